/** Which notices of an item are to be sent, and what becomes of those that were. */
import { AUTOMATIC, type AuditEntry } from "../core/audit-ports.js";
import type { InboxItem, PendingNotice, StoredInboxItem } from "../core/inbox-ports.js";
import type { Channel, NoticeEvent } from "../core/notice-ports.js";
import type { InboxChange } from "./inbox-life.js";
import { dueAt, withNotices } from "./kept-notices.js";

/** After so many tries of one notice people are no longer told of it: with the waits between, after some four hours. */
const maxTries = 10;
const firstWaitMs = 30_000;
const longestWaitMs = 3_600_000;

/** What a channel tells of only where it says so: somebody has seen to it. */
const onRequest: ReadonlySet<NoticeEvent> = new Set(["resolved", "withdrawn"]);

/** What is so only once the question is not open; all else concerns nobody by then. */
const ofClosedOnes: ReadonlySet<NoticeEvent> = new Set([...onRequest, "expired"]);

/** The channels that are to tell of it, and have not. */
export function channelsFor(item: InboxItem, { event, done }: PendingNotice, channels: readonly Channel[]): Channel[] {
  if (ofClosedOnes.has(event) !== (item.state !== "pending")) return [];
  return channels.filter(
    ({ name, events }) =>
      !done.includes(name) && (events === undefined ? !onRequest.has(event) : events.includes(event)),
  );
}

/** Nobody else sends them until then. */
export function leased(stored: StoredInboxItem, untilMs: number): InboxItem {
  const { version: _, ...item } = stored;
  return withNotices(item, item.notices ?? [], untilMs);
}

/** Those to be sent by now. */
export function dueNotices({ notices = [] }: InboxItem, nowMs: number): readonly PendingNotice[] {
  return notices.filter((notice) => dueAt(notice) <= nowMs);
}

/** How a notice came out, by channel. */
export interface Sending {
  readonly notice: string;
  readonly event: NoticeEvent;
  readonly channel: string;
  readonly error?: string;
}

/** What a process has made of an item's notices while it had them to itself. */
export interface Telling {
  /** IDs of those that were looked at; what came later stays as it is. */
  readonly tried: ReadonlySet<string>;
  /** IDs of those that a channel was kept from sending: they are still to be sent, as if they had not been tried. */
  readonly stopped: ReadonlySet<string>;
  readonly sendings: readonly Sending[];
  /** Until when it had them to itself. */
  readonly until: number | undefined;
}

/** Whether it was the last try. */
export function isGivenUp({ attempts }: PendingNotice): boolean {
  return attempts + 1 >= maxTries;
}

/** With what is still to be told, free for whoever comes next. */
export function sent(
  stored: StoredInboxItem,
  { tried, stopped, sendings, until }: Telling,
  nowMs: number,
): InboxChange | { readonly item: InboxItem } {
  const { version, ...before } = stored;
  const left = (before.notices ?? []).flatMap((one): PendingNotice[] => {
    if (!tried.has(one.id)) return [one];
    const own = sendings.filter(({ notice }) => notice === one.id);
    const told = own.filter(({ error }) => error === undefined).map(({ channel }) => channel);
    const done = [...one.done, ...told];
    if (stopped.has(one.id)) return [{ ...one, done }];
    if (told.length === own.length || isGivenUp(one)) return [];
    const attempts = one.attempts + 1;
    return [{ ...one, done, attempts, nextAt: nowMs + waitMs(attempts) }];
  });
  // Another has them by now: this process was not heard of for long.
  const isOurs = before.tellingUntil === until;
  const item: InboxItem = withNotices(before, left, isOurs ? undefined : before.tellingUntil);
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
