/** Does what is to happen with a question that nobody has answered in time: answers it with its default action. */
import { RunControl } from "@langchain/langgraph";
import { AUTOMATIC } from "../../core/audit-ports.js";
import type { Clock } from "../../core/clock.js";
import type { InboxStore, StoredInboxItem } from "../../core/inbox-ports.js";
import { asError } from "../../errors/own-errors.js";
import { changeItem } from "../../recovery/inbox-change.js";
import { expiryFailed, putOff } from "../../recovery/inbox-life.js";
import { ANSWER_REFUSED, answerRefused } from "../internals.js";
import { type GraphLike, runnableGraph } from "../threads/graph.js";
import { resumeKnown } from "../threads/resume-thread.js";

export interface Expiry {
  readonly inbox: InboxStore;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** `elsewhere`: it was answered meanwhile, or its thread went on without an answer. */
export type ExpiryOutcome = "expired" | "failed" | "put_off" | "elsewhere";

const firstWaitMs = 60_000;
const longestWaitMs = 3_600_000;

/** What is refused for good: a person has to look at it. Anything else may pass. */
const FOR_GOOD: ReadonlySet<unknown> = new Set([
  ANSWER_REFUSED,
  "DECISION_REFUSED",
  "ROLLBACK_REFUSED",
  "ROLLBACK_INCOMPLETE",
  "INVALID_INPUT",
  "CHECKPOINT_CORRUPT",
]);

type Failure = Error & { readonly code?: unknown; readonly details?: { readonly isAsked?: boolean } };

/** A thread that does not ask yet, for its process has died, asks once it is resumed. */
function isForGood(failure: Failure): boolean {
  const { code, details } = failure;
  return (FOR_GOOD.has(code) && details?.isAsked !== false) || answerRefused(failure) !== undefined;
}

/** The longer nobody could do it, the rarer it is tried. */
function waitMs({ dueAt = 0 }: StoredInboxItem, now: number): number {
  return Math.min(longestWaitMs, Math.max(firstWaitMs, now - dueAt));
}

/** @param item held by this process for its default action */
export async function expire(
  graph: GraphLike,
  item: StoredInboxItem,
  decision: { readonly action: string },
  { inbox, clock, signal }: Expiry,
): Promise<ExpiryOutcome> {
  const failure = await answerWith(graph, item, decision, signal);
  let outcome: ExpiryOutcome = "elsewhere";
  await changeItem(inbox, item.id, (stored) => {
    // Another has taken it over: this process was not heard of for long.
    if (stored.claim?.by !== AUTOMATIC || stored.claim.until !== item.claim?.until) return undefined;
    const now = clock.now();
    outcome = failure !== undefined && isForGood(failure) ? "failed" : "put_off";
    const why = failure?.message ?? "the run ended before the answer was taken in";
    return outcome === "failed" ? expiryFailed(stored, now, why) : putOff(stored, now, now + waitMs(stored, now), why);
  });
  return (await inbox.get(item.id))?.state === "expired" ? "expired" : outcome;
}

/** @returns what kept it from being answered; a run that fails after the answer is no matter of the inbox */
async function answerWith(
  graph: GraphLike,
  { id, threadId, thread: name, graph: graphName, hash, dueAt = 0 }: StoredInboxItem,
  decision: { readonly action: string },
  signal: AbortSignal,
): Promise<Failure | undefined> {
  const control = new RunControl();
  const drain = () => control.requestDrain("the sweep of the inbox ends");
  signal.addEventListener("abort", drain, { once: true });
  if (signal.aborted) drain();
  const reason = `nobody had answered by ${new Date(dueAt).toISOString()}`;
  try {
    const answer = { reason, ...decision, by: AUTOMATIC, of: hash };
    const named = graphName === undefined ? {} : { graphName };
    const ref = { threadId, ...(name === undefined ? {} : { name }) };
    const runnable = runnableGraph(graph, "sweepInbox()");
    return (await resumeKnown(runnable, ref, answer, { answerTo: id, control, ...named }, true)).error;
  } catch (error) {
    return asError(error);
  } finally {
    signal.removeEventListener("abort", drain);
  }
}
