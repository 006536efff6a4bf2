import { AUTOMATIC } from "../../core/audit-ports.js";
import { systemClock } from "../../core/clock.js";
import type { InboxItem } from "../../core/inbox-ports.js";
import { persistenceOf } from "../../core/persistence-of.js";
import { changeItem } from "../../recovery/inbox-change.js";
import { withdrawn } from "../../recovery/inbox-life.js";

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
    if (isGone(item, head))
      await changeItem(inbox, item.id, (stored) => withdrawn(stored, { by: AUTOMATIC, at: systemClock.now() }));
}
