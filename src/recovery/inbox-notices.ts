/** Which notices of an item are to be sent, and what becomes of those that were. */
import { AUTOMATIC, type AuditEntry } from "../core/audit-ports.js";
import type { InboxItem, PendingNotice, StoredInboxItem } from "../core/inbox-ports.js";
import type { Channel, NoticeEvent } from "../core/notice-ports.js";
import type { InboxChange } from "./inbox-life.js";

/** After so many tries of one notice people are no longer told of it: with the waits between, after some four hours. */
const maxTries = 10;
const firstWaitMs = 30_000;
const longestWaitMs = 3_600_000;

/** What a channel tells of, where it does not say. */
const byDefault: ReadonlySet<NoticeEvent> = new Set([
  "opened",
  "reminder",
  "escalated",
  "overdue",
  "expired",
  "failed",
]);

/** What concerns nobody any more once the question is not open. */
const ofOpenOnes: ReadonlySet<NoticeEvent> = new Set(["opened", "reminder", "escalated", "overdue", "failed"]);

/** The channels that are to tell of it, and have not. */
export function channelsFor(item: InboxItem, { event, done }: PendingNotice, channels: readonly Channel[]): Channel[] {
  if (item.state !== "pending" && ofOpenOnes.has(event)) return [];
  return channels.filter(
    ({ name, events }) =>
      !done.includes(name) && (events === undefined ? byDefault.has(event) : events.includes(event)),
  );
}

/** Nobody else sends them until then. */
export function leased(stored: StoredInboxItem, untilMs: number): InboxItem {
  const { version: _, ...item } = stored;
  return { ...item, notifyAt: untilMs };
}

/** How a notice came out, by channel. */
export interface Sending {
  readonly notice: string;
  readonly event: NoticeEvent;
  readonly channel: string;
  readonly error?: string;
}

/** Whether it was the last try. */
export function isGivenUp({ attempts }: PendingNotice): boolean {
  return attempts + 1 >= maxTries;
}

/**
 * @param tried IDs of the notices that were looked at; those that came later stay as they are
 */
export function sent(
  stored: StoredInboxItem,
  tried: ReadonlySet<string>,
  sendings: readonly Sending[],
  nowMs: number,
): InboxChange | { readonly item: InboxItem } {
  const { version, notices = [], notifyAt: _, ...rest } = stored;
  const left = notices.flatMap((one): PendingNotice[] => {
    if (!tried.has(one.id)) return [one];
    const own = sendings.filter(({ notice }) => notice === one.id);
    if (own.every(({ error }) => error === undefined) || isGivenUp(one)) return [];
    const told = own.filter(({ error }) => error === undefined).map(({ channel }) => channel);
    return [{ ...one, done: [...one.done, ...told], attempts: one.attempts + 1 }];
  });
  const next = left.map(({ attempts, at }) => (attempts === 0 ? at : nowMs + waitMs(attempts)));
  const kept = left.length === 0 ? {} : { notices: left, notifyAt: Math.min(...next) };
  const item = { ...rest, ...kept };
  if (sendings.length === 0) return { item };
  const failed = sendings.some(({ error }) => error !== undefined);
  const note: AuditEntry = {
    v: 1,
    id: `inbox/${item.id}/${version}`,
    at: nowMs,
    by: AUTOMATIC,
    what: failed ? "inbox.notify_failed" : "inbox.notified",
    threadId: item.threadId,
    details: {
      item: item.id,
      node: item.node,
      kind: item.kind,
      sendings: sendings.map(({ notice: _, ...one }) => one),
    },
  };
  return { item, note };
}

function waitMs(attempts: number): number {
  return Math.min(longestWaitMs, firstWaitMs * 2 ** (attempts - 1));
}
