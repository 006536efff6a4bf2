import { type Clock, systemClock } from "../../core/clock.js";
import type { InboxStore, StoredInboxItem } from "../../core/inbox-ports.js";
import { persistenceOf } from "../../core/persistence-of.js";
import { asError } from "../../errors/own-errors.js";
import { ThreadBusyError } from "../../errors/persistence-errors.js";
import type { ApprovalAnswer } from "../../recovery/approval-request.js";
import type { Decision } from "../../recovery/decision.js";
import { changeItem, inboxOf, notPending, throwUnlessFree } from "../../recovery/inbox-change.js";
import { claimed, holderOf, released } from "../../recovery/inbox-life.js";
import { type GraphLike, runnableGraph } from "../threads/graph.js";
import { type ResumeOptions, resumeKnown } from "../threads/resume-thread.js";
import type { RunResult } from "../threads/run.js";

export interface ResolveOptions extends Omit<ResumeOptions, "from" | "answerTo"> {
  /** Default: the system clock. */
  readonly clock?: Clock;
}

/** While an answer is on its way others are told so. It is taken in by the first step of the run. */
const answeringMs = 60_000;

/**
 * Answers a question of the inbox, and goes on with its thread. It answers what the inbox shows: where that has changed
 * since, it is refused. Of several people at once one is heard, and the others are told who was faster.
 *
 * @param graph the question's, compiled with the checkpointer of the persistence that has the inbox
 * @throws DecisionRefusedError when the answer does not fit, the question is not open any more, or somebody else works on
 * it; it stays as it was
 * @throws ThreadBusyError when another run has the thread; and what `resumeThread` throws
 */
export async function resolveInboxItem(
  graph: GraphLike,
  id: string,
  answer: Decision | ApprovalAnswer,
  { clock = systemClock, ...options }: ResolveOptions = {},
): Promise<RunResult> {
  const inbox = inboxOf(persistenceOf(graph.checkpointer), "resolveInboxItem()");
  const { by = "unnamed" } = answer;
  let isOurs = false;
  const item = await changeItem(inbox, id, (stored) => {
    const at = clock.now();
    throwUnlessFree(stored, by, at);
    isOurs = holderOf(stored, at) === undefined;
    return isOurs ? claimed(stored, { by, at }, at + answeringMs) : undefined;
  });
  if (item === undefined) return notPending(inbox, id);
  try {
    const { threadId, thread: name, hash } = item;
    const ref = { threadId, ...(name === undefined ? {} : { name }) };
    const runnable = runnableGraph(graph, "resolveInboxItem()");
    return await resumeKnown(runnable, ref, { of: hash, ...answer, by }, { ...options, answerTo: id });
  } catch (error) {
    if (error instanceof ThreadBusyError) await throwIfAnswered(inbox, id);
    throw error;
  } finally {
    if (isOurs)
      await givenBack(inbox, item, by, clock).catch((error: unknown) =>
        process.emitWarning(
          `Question ${id} could not be given back, and is ${by}'s for another minute: ${asError(error).message}`,
          "InboxWarning",
        ),
      );
  }
}

/** Who came second hears of the answer, not of the run that it has led to. */
async function throwIfAnswered(inbox: InboxStore, id: string): Promise<void> {
  const stored = await inbox.get(id);
  if (stored !== undefined && stored.state !== "pending") await notPending(inbox, id);
}

async function givenBack(inbox: InboxStore, { id, claim }: StoredInboxItem, by: string, clock: Clock): Promise<void> {
  await changeItem(inbox, id, (stored) => {
    const isSame = stored.claim?.by === by && stored.claim.until === claim?.until;
    return isSame ? released(stored, { by, at: clock.now() }) : undefined;
  });
}
