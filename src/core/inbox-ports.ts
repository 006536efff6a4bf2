/** Questions to people over all threads and graphs: the inbox's port and its records. Plain JSON, versioned by `v`. */
import type { AuditEntry } from "./audit-ports.js";
import type { NoticeEvent } from "./notice-ports.js";

/**
 * `pending`: it waits for an answer. `resolved`: it was answered. `expired`: its time is over, and what was to happen then
 * has. `withdrawn`: the thread went on without an answer (it was rolled back, or resumed from elsewhere).
 */
export const INBOX_STATES = ["pending", "resolved", "expired", "withdrawn"] as const;
export type InboxState = (typeof INBOX_STATES)[number];

/** Who answered, what, when and why. */
export interface InboxResolution {
  readonly action: string;
  readonly by: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly reason?: string;
}

/** Who is asked on a level, and for how long. */
export interface InboxLevel {
  /** As channels know them: mail addresses, names; none: whomever the channels tell by default. */
  readonly to: readonly string[];
  /** From when the level is reached; absent: no end. */
  readonly deadlineMs?: number;
  /** Absent: nobody is reminded. */
  readonly remindEveryMs?: number;
}

/** What becomes of a question that nobody answers. */
export interface InboxPlan {
  /** In the order in which they are asked; at least one. */
  readonly levels: readonly InboxLevel[];
  /** What is answered when the time of the last level is over; absent: it goes on waiting. JSON, with an `action`. */
  readonly onExpiry?: { readonly action: string };
}

/** People are still to be told of this. */
export interface PendingNotice {
  readonly id: string;
  readonly event: NoticeEvent;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  /** Channels that have told them, or have given up. */
  readonly done: readonly string[];
  /** Tries that failed. */
  readonly attempts: number;
  /** When it is tried again; absent: it was not tried yet. */
  readonly nextAt?: number;
}

/** One question. */
export interface InboxItem {
  readonly v: 1;
  /** Unique: of the thread, the task that asks and which of its questions it is. */
  readonly id: string;
  readonly threadId: string;
  /** The alias, where the thread has one. */
  readonly thread?: string;
  readonly graph?: string;
  /** The node that failed, or whose effect is to be approved. */
  readonly node: string;
  /** "intervention" or "approval". */
  readonly kind: string;
  /** One sentence. */
  readonly summary: string;
  /** What the person is shown: redacted, with the allowed actions and their schemas. */
  readonly request: unknown;
  /** Over what was shown; an answer counts for this alone. */
  readonly hash: string;
  readonly state: InboxState;
  /** 0 for the first people asked; one more with each escalation. */
  readonly level: number;
  /** Whom it was handed to by name, by the last escalation. */
  readonly assignee?: string;
  /** Who works on it, and until when that keeps others from it. */
  readonly claim?: { readonly by: string; readonly until: number };
  /** Milliseconds since the Unix epoch. */
  readonly openedAt: number;
  /** When its time on this level is over; absent: never. */
  readonly dueAt?: number;
  /** When it is next to be looked at by a sweep: the nearest reminder or `dueAt`; absent: never. */
  readonly sweepAt?: number;
  readonly reminders: number;
  /** When the people of its level are reminded next; absent: never. */
  readonly remindAt?: number;
  /** The time of the last level is over, and nothing happens by itself. */
  readonly overdue?: true;
  /** An answer that is being taken in: it counts once the thread has stored it, and is lost with a process that dies before. */
  readonly answer?: InboxResolution;
  readonly resolution?: InboxResolution;
  /** What becomes of it without an answer; absent: it waits. */
  readonly plan?: InboxPlan;
  /** The checkpoint of the root graph at which it was asked: with a later one the thread has gone on without an answer. */
  readonly askedAt?: string;
  /** Oldest first. */
  readonly notices?: readonly PendingNotice[];
  /** When the next of them is to be sent, and not before `tellingUntil`; absent: none is. */
  readonly notifyAt?: number;
  /** Until when the process that sends them has them to itself, also those that come meanwhile; absent: none does. */
  readonly tellingUntil?: number;
}

/** `version` grows with each change; 1 at first. */
export type StoredInboxItem = InboxItem & { readonly version: number };

export interface InboxFilter {
  /** Default: those that are pending. "all": every one. */
  readonly state?: InboxState | "all";
  readonly graph?: string;
  readonly threadId?: string;
  readonly node?: string;
  readonly kind?: string;
  readonly assignee?: string;
  /** Held by this person now. */
  readonly claimedBy?: string;
  /** Only those whose `dueAt` is before this time; ms since the Unix epoch. */
  readonly dueBefore?: number;
  /** Default 100. */
  readonly limit?: number;
}

/**
 * All methods see what was acknowledged before, and acknowledge what is durable. With a note, the change and its entry in
 * the audit log are one write: either both are there or neither.
 */
export interface InboxStore {
  /**
   * Keeps a new question. One with this ID that is there already stays as it is, and is given back; then nothing is noted.
   */
  open(item: InboxItem, note?: AuditEntry): Promise<StoredInboxItem>;
  get(id: string): Promise<StoredInboxItem | undefined>;
  /**
   * Writes the item in place of the stored one if that has this version: of several at once, one.
   *
   * @returns as it is stored then, with the next version; undefined when another was faster, or there is none
   */
  change(item: InboxItem, version: number, note?: AuditEntry): Promise<StoredInboxItem | undefined>;
  /** The oldest first. */
  list(filter?: InboxFilter): Promise<readonly StoredInboxItem[]>;
  /** Pending ones to be looked at by now, the longest overdue first. @param nowMs ms since the Unix epoch */
  due(nowMs: number, limit: number): Promise<readonly StoredInboxItem[]>;
  /** Those, pending or not, with notices to be sent by now, the longest overdue first. */
  unsent(nowMs: number, limit: number): Promise<readonly StoredInboxItem[]>;
}
