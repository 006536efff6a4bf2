/**
 * The life of a question in the inbox, as pure changes of its item. Who makes a change writes it over the version it was
 * made of, so of several at once one is done.
 *
 *     pending ─┬─ answered ──► the thread has stored the answer ──────────► resolved
 *      │  ▲    ├─ the thread went on without an answer ──────────────────► withdrawn
 *      │  │    └─ time over on the last level ──► default action stored ──► expired
 *      │  │
 *      └──┴─ claimed, released, reminded, escalated to the next level, overdue; its answer was lost with a process
 */
import { createHash } from "node:crypto";
import { AUTOMATIC, type AuditEntry } from "../core/audit-ports.js";
import type { InboxItem, InboxLevel, InboxResolution, StoredInboxItem } from "../core/inbox-ports.js";
import type { NoticeEvent } from "../core/notice-ports.js";
import { withNotice } from "./kept-notices.js";

/** An item as it is to be written, and what the audit log says of it. */
export interface InboxChange {
  readonly item: InboxItem;
  readonly note: AuditEntry;
}

interface Who {
  readonly by: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly reason?: string | undefined;
}

/** From an answer until the thread has stored it; by then it was, or its process is dead or slow. */
const takingInMs = 60_000;
const firstLookMs = 10 * 60_000;
const rarestLookMs = 24 * 3_600_000;

/** The same for the same question, however often its task is run again. */
export function inboxId(threadId: string, taskId: string, question: number | string): string {
  return createHash("sha256")
    .update(JSON.stringify([threadId, taskId, question]))
    .digest("hex")
    .slice(0, 16);
}

/** What a new question is made of. */
export interface NewItem extends Pick<InboxItem, "id" | "threadId" | "node" | "kind" | "summary" | "request" | "hash"> {
  readonly thread?: string | undefined;
  readonly graph?: string | undefined;
  readonly askedAt?: string | undefined;
  readonly plan?: InboxItem["plan"] | undefined;
  /** Default 0. */
  readonly level?: number | undefined;
  readonly assignee?: string | undefined;
}

/** @param tellAfterMs for how long people are not told of it, in milliseconds */
export function opened(given: NewItem, at: number, tellAfterMs = 0): InboxChange {
  const { level: asked = 0, plan } = given;
  const level = Math.min(asked, (plan?.levels.length ?? 1) - 1);
  const fresh = { ...given, v: 1, state: "pending", level: asked, openedAt: at, reminders: 0 } as const;
  const item = whole(reached(fresh, plan?.levels[level], at));
  return {
    item: withNotice(item, { event: "opened", id: `${given.id}/0`, at: at + tellAfterMs }),
    note: noteOf(item, 0, "inbox.opened", { by: AUTOMATIC, at }),
  };
}

/** It is asked again, as if for the first time on its level. */
export function reopened(stored: StoredInboxItem, at: number): InboxChange {
  const again = { ...bare(stored), ...over, state: "pending" as const, resolution: undefined };
  const item = reached(again, levelOf(stored), at);
  return changed(
    stored,
    { ...over, resolution: undefined, ...item },
    "inbox.reopened",
    { by: AUTOMATIC, at },
    {},
    "opened",
  );
}

/** Whom the item is for by now. */
export function peopleOf(item: InboxItem): readonly string[] {
  return item.assignee === undefined ? (levelOf(item)?.to ?? []) : [item.assignee];
}

/** Who holds the item at this time. */
export function holderOf({ claim }: InboxItem, nowMs: number): InboxItem["claim"] {
  return claim !== undefined && claim.until > nowMs ? claim : undefined;
}

export function claimed(stored: StoredInboxItem, who: Who, until: number): InboxChange {
  return changed(stored, { claim: { by: who.by, until } }, "inbox.claimed", who, {
    until: new Date(until).toISOString(),
  });
}

export function released(stored: StoredInboxItem, who: Who): InboxChange {
  return changed(stored, { claim: undefined }, "inbox.released", who);
}

/** An answer is taken in. Until the thread has stored it others are kept from the question. */
export function answering(stored: StoredInboxItem, { action, by, at, reason }: InboxResolution): InboxChange {
  const until = at + takingInMs;
  const answer = defined({ action, by, at, reason });
  // One that was taken for withdrawn is asked after all.
  const patch = { state: "pending" as const, answer, claim: { by, until }, sweepAt: until };
  return changed(stored, patch, "inbox.answered", { by, at, reason }, { action });
}

/** The thread has stored the answer. One that nobody has given is that of its expiry. */
export function settled(stored: StoredInboxItem, { action, by, at, reason }: InboxResolution): InboxChange {
  const resolution = defined({ action, by, at, reason });
  const isExpiry = by === AUTOMATIC;
  const ended = { ...over, state: isExpiry ? "expired" : "resolved", resolution } as const;
  const what = isExpiry ? "inbox.expired" : "inbox.resolved";
  return changed(stored, ended, what, { by, at, reason }, { action }, isExpiry ? "expired" : "resolved");
}

/** The thread asks no more: it has stored an answer, or has gone on without one. */
export function ended(stored: StoredInboxItem, at: number): InboxChange {
  return stored.answer === undefined ? withdrawn(stored, { by: AUTOMATIC, at }) : settled(stored, stored.answer);
}

/** Nobody needs to answer any more. */
function withdrawn(stored: StoredInboxItem, who: Who): InboxChange {
  return changed(stored, { ...over, state: "withdrawn" }, "inbox.withdrawn", who, {}, "withdrawn");
}

/** What is to be done about an item by now. */
export type InboxTurn =
  | { readonly kind: "nothing" }
  | { readonly kind: "change"; readonly change: InboxChange }
  /** Nothing but when to look again. */
  | { readonly kind: "look"; readonly item: InboxItem }
  /** After the change the default action is answered. */
  | { readonly kind: "expire"; readonly change: InboxChange; readonly decision: { readonly action: string } };

/** @param holdMs how long whoever makes the turn may take for a default action, before another takes it for lost */
export function turnOf(stored: StoredInboxItem, nowMs: number, holdMs: number): InboxTurn {
  if (stored.state !== "pending" || stored.sweepAt === undefined || stored.sweepAt > nowMs) return { kind: "nothing" };
  const who = { by: AUTOMATIC, at: nowMs };
  const { dueAt, plan, level, overdue } = stored;
  if (stored.answer !== undefined) {
    // Whether it was lost is for whoever knows the thread to say.
    return { kind: "look", item: { ...bare(stored), sweepAt: nowMs + takingInMs } };
  }
  if (dueAt !== undefined && dueAt <= nowMs && overdue !== true) {
    if (!isLastLevel(stored)) return { kind: "change", change: escalated(stored, nowMs) };
    const { onExpiry } = plan ?? {};
    if (onExpiry === undefined) {
      const late = looked({ ...bare(stored), overdue: true }, nowMs);
      return { kind: "change", change: changed(stored, late, "inbox.overdue", who, { level }, "overdue") };
    }
    const claim = { by: AUTOMATIC, until: nowMs + holdMs };
    const change = changed(stored, { claim, sweepAt: claim.until }, "inbox.expiring", who, { action: onExpiry.action });
    return { kind: "expire", change, decision: onExpiry };
  }
  const { remindEveryMs } = levelOf(stored) ?? {};
  if (stored.remindAt !== undefined && stored.remindAt <= nowMs && remindEveryMs !== undefined) {
    // From now on: whoever was away is not reminded of each time that was missed.
    const next = { ...bare(stored), remindAt: nowMs + remindEveryMs, reminders: stored.reminders + 1 };
    const details = { level, reminders: next.reminders };
    return { kind: "change", change: changed(stored, looked(next, nowMs), "inbox.reminded", who, details, "reminder") };
  }
  return { kind: "look", item: whole(looked(bare(stored), nowMs)) };
}

/** The default action could not be done now. */
export function putOff(stored: StoredInboxItem, nowMs: number, untilMs: number, why: string): InboxChange {
  const who = { by: AUTOMATIC, at: nowMs, reason: why };
  return changed(stored, { claim: undefined, sweepAt: untilMs }, "inbox.put_off", who);
}

/** The default action cannot be done at all: a person has to. */
export function expiryFailed(stored: StoredInboxItem, nowMs: number, why: string): InboxChange {
  const item = looked({ ...bare(stored), claim: undefined, overdue: true }, nowMs);
  const details = { action: stored.plan?.onExpiry?.action };
  return changed(stored, item, "inbox.expiry_failed", { by: AUTOMATIC, at: nowMs, reason: why }, details, "failed");
}

function escalated(stored: StoredInboxItem, at: number): InboxChange {
  const level = stored.level + 1;
  const { to = [] } = stored.plan?.levels[level] ?? {};
  const item = reached({ ...bare(stored), assignee: undefined, level }, stored.plan?.levels[level], at);
  return changed(stored, item, "inbox.escalated", { by: AUTOMATIC, at }, { level, to }, "escalated");
}

/** Of a question that was handed on by people beyond its levels, the last. */
function levelOf({ level, plan }: Pick<InboxItem, "level" | "plan">): InboxLevel | undefined {
  return plan?.levels[Math.min(level, plan.levels.length - 1)];
}

function isLastLevel({ level, plan }: InboxItem): boolean {
  return level >= (plan?.levels.length ?? 1) - 1;
}

/** The times of a level that is reached now. */
function reached(item: Patch, level: InboxLevel | undefined, at: number): Patch {
  const { deadlineMs, remindEveryMs } = level ?? {};
  const dueAt = deadlineMs === undefined ? undefined : at + deadlineMs;
  const remindAt = remindEveryMs === undefined ? undefined : at + remindEveryMs;
  return looked({ ...item, dueAt, remindAt, overdue: undefined }, at);
}

/** With the time of the next turn: also of one that only looks whether the thread still asks, the older the rarer. */
function looked(item: Patch, now: number): Patch {
  const { overdue, dueAt, remindAt, openedAt = now } = item;
  const look = now + Math.min(rarestLookMs, Math.max(firstLookMs, now - openedAt));
  const times = [overdue === true ? undefined : dueAt, remindAt, look].filter((time) => time !== undefined);
  return { ...item, sweepAt: Math.min(...times) };
}

const over = { answer: undefined, claim: undefined, sweepAt: undefined, remindAt: undefined, overdue: undefined };

/** What is undefined is taken out. */
function whole(patch: Patch): InboxItem {
  return defined(patch) as unknown as InboxItem;
}

type Patch = { readonly [K in keyof InboxItem]?: InboxItem[K] | undefined };

function changed(
  stored: StoredInboxItem,
  patch: Patch,
  what: string,
  who: Who,
  details: Readonly<Record<string, unknown>> = {},
  event?: NoticeEvent,
): InboxChange {
  const { version } = stored;
  const item = whole({ ...bare(stored), ...patch });
  return {
    item: event === undefined ? item : withNotice(item, { event, id: `${item.id}/${version}`, at: who.at }),
    note: noteOf(item, version, what, who, details),
  };
}

function noteOf(
  { id, threadId, node, kind }: InboxItem,
  version: number,
  what: string,
  { by, at, reason }: Who,
  details: Readonly<Record<string, unknown>> = {},
): AuditEntry {
  return defined({
    v: 1 as const,
    id: `inbox/${id}/${version}`,
    at,
    by,
    what,
    threadId,
    reason,
    details: { item: id, node, kind, ...details },
  });
}

function bare({ version: _, ...item }: StoredInboxItem): InboxItem {
  return item;
}

/** Without what is undefined, which JSON does not keep. */
function defined<T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as never;
}
