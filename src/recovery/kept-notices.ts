/** The notices that an item keeps until people are told of them, and when the next of them is to be sent. */
import type { InboxItem, PendingNotice } from "../core/inbox-ports.js";
import type { NoticeEvent } from "../core/notice-ports.js";

/** Where nobody sends them, they must not grow for ever. */
const mostKept = 20;

/** What nobody needs to hear any more once the other has happened. */
const replaces: Partial<Record<NoticeEvent, ReadonlySet<NoticeEvent>>> = {
  opened: new Set(["opened", "resolved", "expired", "withdrawn"]),
  reminder: new Set(["reminder"]),
};

/** What an item has of them. */
export type Kept = { readonly [K in "notices" | "notifyAt" | "tellingUntil"]?: InboxItem[K] | undefined };

/** With one more. It is sent when nobody is sending those before it. */
export function withNotice<T extends Kept>(item: T, { id, event, at }: Pick<PendingNotice, "id" | "event" | "at">): T {
  const { notices = [], tellingUntil } = item;
  const kept = notices.filter((one) => replaces[event]?.has(one.event) !== true);
  return withNotices(item, [...kept, { id, event, at, done: [], attempts: 0 }].slice(-mostKept), tellingUntil);
}

/** @param tellingUntil until when one process has them to itself; undefined: none has */
export function withNotices<T extends Kept>(
  item: T,
  notices: readonly PendingNotice[],
  tellingUntil: number | undefined,
): T {
  const { notices: _, notifyAt: __, tellingUntil: ___, ...rest } = item;
  if (notices.length === 0) return rest as T;
  const next = Math.min(...notices.map(dueAt));
  const held = tellingUntil === undefined ? {} : { tellingUntil };
  return { ...rest, notices, ...held, notifyAt: Math.max(next, tellingUntil ?? next) } as unknown as T;
}

/** When it is to be sent, or tried again. */
export function dueAt({ at, nextAt = at }: PendingNotice): number {
  return nextAt;
}
