/** Puts the inbox right about a thread, where its questions were answered, lost their answers, or went with a checkpoint. */
import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { systemClock } from "../../core/clock.js";
import type { InboxItem } from "../../core/inbox-ports.js";
import { persistenceOf } from "../../core/persistence-of.js";
import type { Persistence } from "../../core/ports.js";
import { isAwaited } from "../../effects/approve-effect.js";
import type { ApprovalRequest } from "../../recovery/approval-request.js";
import { changeItem } from "../../recovery/inbox-change.js";
import { ended, inboxId, reopened } from "../../recovery/inbox-life.js";
import { answersOf, finishedTasks, interruptsOf, wasAborted } from "../checkpoint-internals.js";
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
 * and what it does not ask is not.
 */
export async function settleInbox(
  checkpointer: object,
  { threadId, waitingFor, damage }: Pick<ThreadInspection, "threadId" | "waitingFor" | "damage">,
): Promise<void> {
  const inbox = persistenceOf(checkpointer)?.inbox;
  if (inbox === undefined || damage !== undefined) return;
  const asked = new Map(
    waitingFor.flatMap(({ request, approval, perhapsAnswered }) => {
      const id = (request ?? approval)?.id;
      return id === undefined ? [] : [[id, perhapsAnswered === true] as const];
    }),
  );
  for (const { id, answer } of await inbox.list({ threadId, limit: 1000 })) {
    if (!asked.has(id)) await changeItem(inbox, id, (stored) => ended(stored, systemClock.now()));
    else if (answer !== undefined && asked.get(id) === false)
      await changeItem(inbox, id, (stored) => reopened(stored, systemClock.now()));
    asked.delete(id);
  }
  for (const [id, isPerhapsAnswered] of asked) {
    const stored = isPerhapsAnswered ? undefined : await inbox.get(id);
    if (stored === undefined || stored.state === "pending") continue;
    const { item, note } = reopened(stored, systemClock.now());
    await inbox.change(item, stored.version, note);
  }
}

/** From an answer until it is taken for lost where the thread has not stored it: longer than compensations take. */
const lostAfterMs = 5 * 60_000;

/**
 * What is stored of a thread says of one of its questions. `over`: it asks no more. `lost`: it asks, though an answer was
 * taken in, by a process that is dead by now. `open`: neither, or nothing is known.
 */
export async function threadSays(
  { checkpointer, ledger }: Pick<Persistence, "checkpointer" | "ledger">,
  item: InboxItem,
  nowMs: number,
): Promise<"open" | "over" | "lost"> {
  const { threadId, answer, kind, request, hash } = item;
  const head = await checkpointer.getTuple({ configurable: { thread_id: threadId } });
  if (head === undefined) return "open";
  if (isGone(item, head.checkpoint.id)) return "over";
  const known = questionAt(head, item);
  if (known === "answered") return "over";
  const { key, effect } = (request ?? {}) as Partial<ApprovalRequest>;
  if (kind === "approval" && key !== undefined && effect !== undefined) {
    const found = (await ledger?.look(threadId, key, { effect, place: "" }))?.found;
    if (found !== undefined && !isAwaited(found, hash)) return "over";
  }
  return known === "open" && answer !== undefined && nowMs - answer.at > lostAfterMs ? "lost" : "open";
}

/** @returns `unknown` where it is not, or not yet, stored that it was asked */
function questionAt(
  { pendingWrites = [] }: Pick<CheckpointTuple, "pendingWrites">,
  { id, threadId }: InboxItem,
): "open" | "answered" | "unknown" {
  if (wasAborted(pendingWrites)) return "answered";
  const answers = answersOf(pendingWrites);
  for (const { taskId, value } of interruptsOf(pendingWrites)) {
    const { id: asked, question = 0 } = (value ?? {}) as { id?: unknown; question?: number };
    const count = answers.get(taskId) ?? 0;
    if (asked === id) return finishedTasks(pendingWrites).has(taskId) || count > question ? "answered" : "open";
    const before = Array.from({ length: count }, (_, earlier) => inboxId(threadId, taskId, earlier));
    if (before.includes(id)) return "answered";
  }
  return "unknown";
}
