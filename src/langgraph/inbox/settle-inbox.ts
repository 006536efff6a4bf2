/** Puts the inbox right about a thread, where its questions were answered, lost their answers, or went with a checkpoint. */
import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { systemClock } from "../../core/clock.js";
import type { InboxItem } from "../../core/inbox-ports.js";
import { persistenceOf } from "../../core/persistence-of.js";
import { changeItem } from "../../recovery/inbox-change.js";
import { ended, reopened } from "../../recovery/inbox-life.js";
import { answersOf, finishedTasks, interruptsOf } from "../internals.js";
import type { ThreadInspection } from "../threads/inspect-thread.js";

/**
 * Whether the thread has gone on from where the question was asked. IDs of checkpoints grow with the time of their
 * making (UUID version 6); one that is not stored yet, in a run that stores its checkpoints late, is later than the head.
 *
 * @param head newest checkpoint of the root graph
 */
export function isGone({ askedAt }: InboxItem, head: string | undefined): boolean {
  return askedAt !== undefined && head !== undefined && head > askedAt;
}

/** Nobody has to answer what the thread does not ask any more: it was rolled back, forked, or changed by other means. */
export async function withdrawGone(checkpointer: object, threadId: string, head: string | undefined): Promise<void> {
  const inbox = persistenceOf(checkpointer)?.inbox;
  if (inbox === undefined) return;
  for (const item of await inbox.list({ threadId, limit: 1000 }))
    if (isGone(item, head)) await changeItem(inbox, item.id, (stored) => ended(stored, systemClock.now()));
}

/**
 * The same for a thread that stands still: what it asks is open, though an answer was noted that died with its process;
 * and what it does not ask any more is not.
 */
export async function settleInbox(
  checkpointer: object,
  {
    threadId,
    checkpointId,
    waitingFor,
    damage,
  }: Pick<ThreadInspection, "threadId" | "checkpointId" | "waitingFor" | "damage">,
): Promise<void> {
  const inbox = persistenceOf(checkpointer)?.inbox;
  if (inbox === undefined || damage !== undefined) return;
  const asked = new Map(
    waitingFor.flatMap(({ request, approval, perhapsAnswered }) => {
      const id = (request ?? approval)?.id;
      return id === undefined ? [] : [[id, perhapsAnswered === true] as const];
    }),
  );
  for (const { id, answer, ...item } of await inbox.list({ threadId, limit: 1000 })) {
    if (!asked.has(id)) {
      if (answer !== undefined || isGone({ id, ...item }, checkpointId))
        await changeItem(inbox, id, (stored) => ended(stored, systemClock.now()));
    } else if (answer !== undefined && asked.get(id) === false)
      await changeItem(inbox, id, (stored) => reopened(stored, systemClock.now()));
    asked.delete(id);
  }
  for (const id of asked.keys()) {
    const stored = await inbox.get(id);
    if (stored === undefined || stored.state === "pending") continue;
    const { item, note } = reopened(stored, systemClock.now());
    await inbox.change(item, stored.version, note);
  }
}

/**
 * What the thread knows of a question by its stored checkpoint alone.
 *
 * @param head newest checkpoint of the root graph
 * @returns `unknown` where it is not, or not yet, stored that it was asked
 */
export function questionAt(
  { pendingWrites = [] }: Pick<CheckpointTuple, "pendingWrites">,
  { id }: InboxItem,
): "open" | "answered" | "unknown" {
  for (const { taskId, value } of interruptsOf(pendingWrites)) {
    const { id: asked, question = 0 } = (value ?? {}) as { id?: unknown; question?: number };
    if (asked !== id) continue;
    const answers = answersOf(pendingWrites).get(taskId) ?? 0;
    return finishedTasks(pendingWrites).has(taskId) || answers > question ? "answered" : "open";
  }
  return "unknown";
}
