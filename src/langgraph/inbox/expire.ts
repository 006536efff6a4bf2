/** Does what is to happen with a question that nobody has answered in time: answers it with its default action. */
import { RunControl } from "@langchain/langgraph";
import { AUTOMATIC } from "../../core/audit-ports.js";
import type { Clock } from "../../core/clock.js";
import type { InboxStore, StoredInboxItem } from "../../core/inbox-ports.js";
import { asError } from "../../errors/own-errors.js";
import { changeItem } from "../../recovery/inbox-change.js";
import { expiryFailed, putOff } from "../../recovery/inbox-life.js";
import { ANSWER_REFUSED } from "../internals.js";
import type { GraphLike } from "../threads/graph.js";
import { resumeThread } from "../threads/resume-thread.js";

export interface Expiry {
  readonly inbox: InboxStore;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** `elsewhere`: it was answered meanwhile, or its thread went on without an answer. */
export type ExpiryOutcome = "expired" | "failed" | "put_off" | "elsewhere";

const againMs = 60_000;

/** What is refused for good: a person has to look at it. Anything else may pass. */
const FOR_GOOD: ReadonlySet<unknown> = new Set([
  ANSWER_REFUSED,
  "DECISION_REFUSED",
  "ROLLBACK_REFUSED",
  "ROLLBACK_INCOMPLETE",
  "INVALID_INPUT",
  "CHECKPOINT_CORRUPT",
  "THREAD_NOT_RESUMABLE",
  "THREAD_NOT_FOUND",
  "CONFIG",
]);

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
    outcome = failure !== undefined && FOR_GOOD.has(failure.code) ? "failed" : "put_off";
    const why = failure?.message ?? "the run ended before the answer was taken in";
    return outcome === "failed" ? expiryFailed(stored, now, why) : putOff(stored, now, now + againMs, why);
  });
  return (await inbox.get(item.id))?.state === "expired" ? "expired" : outcome;
}

/** @returns what kept it from being answered; a run that fails after the answer is no matter of the inbox */
async function answerWith(
  graph: GraphLike,
  { id, threadId, graph: graphName, hash, dueAt = 0 }: StoredInboxItem,
  decision: { readonly action: string },
  signal: AbortSignal,
): Promise<(Error & { readonly code?: unknown }) | undefined> {
  const control = new RunControl();
  const drain = () => control.requestDrain("the sweep of the inbox ends");
  signal.addEventListener("abort", drain, { once: true });
  const reason = `nobody had answered by ${new Date(dueAt).toISOString()}`;
  try {
    const answer = { reason, ...decision, by: AUTOMATIC, of: hash };
    const named = graphName === undefined ? {} : { graphName };
    const { error } = await resumeThread(graph, threadId, answer, { answerTo: id, control, ...named });
    return error;
  } catch (error) {
    return asError(error);
  } finally {
    signal.removeEventListener("abort", drain);
  }
}
