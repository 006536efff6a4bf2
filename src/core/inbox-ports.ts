/** Questions to people over all threads and graphs: the inbox's port and its records. Plain JSON, versioned by `v`. */

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
  readonly resolution?: InboxResolution;
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

/** All methods see what was acknowledged before, and acknowledge what is durable. */
export interface InboxStore {
  /** Keeps a new question. One with this ID that is there already stays as it is, and is given back. */
  open(item: InboxItem): Promise<StoredInboxItem>;
  get(id: string): Promise<StoredInboxItem | undefined>;
  /**
   * Writes the item in place of the stored one if that has this version: of several at once, one.
   *
   * @returns as it is stored then, with the next version; undefined when another was faster, or there is none
   */
  change(item: InboxItem, version: number): Promise<StoredInboxItem | undefined>;
  /** The oldest first. */
  list(filter?: InboxFilter): Promise<readonly StoredInboxItem[]>;
  /** Pending ones to be looked at by now, the longest overdue first. @param nowMs ms since the Unix epoch */
  due(nowMs: number, limit: number): Promise<readonly StoredInboxItem[]>;
}
