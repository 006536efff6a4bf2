/**
 * The ports of the stores beside the checkpointer. Attempts, the ledger of effects (see effect-ports.ts), breakers, cache,
 * streams and locks are filled by every persistence of this package; the others are here so that what fills and what uses
 * them can be written apart. All are optional: a plugin that has none of them is complete. Scopes and keys are opaque texts
 * to a store. Each method that writes resolves when the write is durable.
 */
import type { AuditLog } from "./audit-ports.js";
import type { EffectLedger } from "./effect-ports.js";
import type { InboxStore } from "./inbox-ports.js";
import type { AttemptRecord } from "./records.js";

/** One step of one thread, from its first execution on. */
export interface AttemptScope {
  readonly threadId: string;
  /** Opaque: tells apart the steps of a thread. */
  readonly step: string;
}

/**
 * How the last execution of a step was left: `open` while attempts are being made (so that whoever finds it open knows
 * that a process died), `paused` when it stopped in good order, `ended` when it gave up and its failure went on.
 */
export type AttemptsState = "open" | "paused" | "ended";

export interface StoredAttempts {
  /** By number, ascending. */
  readonly attempts: readonly AttemptRecord[];
  readonly state: AttemptsState;
}

/** Failed attempts that outlive the process, so that a resumed step goes on counting. */
export interface AttemptStore {
  /**
   * Adds a failed attempt and leaves the step `open`. The same number again changes nothing, so what is counted apart
   * (a fallback begins at 1 anew) needs a scope of its own.
   */
  append(scope: AttemptScope, attempt: AttemptRecord): Promise<void>;
  /** A step without attempts stays without. */
  mark(scope: AttemptScope, state: AttemptsState): Promise<void>;
  load(scope: AttemptScope): Promise<StoredAttempts | undefined>;
  clear(scope: AttemptScope): Promise<void>;
}

/** One generated text of a thread. The names beside the thread's are opaque to a store. */
export interface StreamScope {
  readonly threadId: string;
  /** The node that generates it, the same each time it is entered. */
  readonly node: string;
  /** One entry of the node, with its retries and resumptions. */
  readonly step: string;
  /** Which text of that step. */
  readonly stream: string;
}

/** What was generated since the part before. */
export interface StreamPart {
  /** 0 for the first. */
  readonly seq: number;
  readonly text: string;
  readonly tokens: number;
  /** Who generated it; two processes at the same text are two writers. */
  readonly writer: string;
  /** Who generated the part before; absent for the first. */
  readonly after?: string;
  /** Present with the last part of a complete text: what else there is to the answer. JSON. */
  readonly end?: object;
}

/** The parts of a text, joined. */
export interface StoredStream {
  readonly text: string;
  readonly tokens: number;
  /** How many parts there are: the `seq` of the next. */
  readonly parts: number;
  /** Who generated the last of them. */
  readonly writer: string;
  /** Of the last part. */
  readonly end?: object;
}

/** The texts of long generations, saved part by part while they grow. */
export interface StreamStore {
  /**
   * Adds a part after the one before it. The same part again changes nothing.
   *
   * @returns false, and nothing is written, when the place is another writer's, or the part before is not there or
   * another's: the text is no longer this writer's to go on with
   */
  append(scope: StreamScope, part: StreamPart): Promise<boolean>;
  load(scope: StreamScope): Promise<StoredStream | undefined>;
  /** Drops the parts of this writer from `seq` on. */
  truncate(scope: StreamScope, seq: number, writer: string): Promise<void>;
  clear(scope: StreamScope): Promise<void>;
  /** Drops what the node has saved in steps other than this one. */
  clearOtherSteps(scope: StreamScope): Promise<void>;
}

/** Amounts used so far, per scope and unit. */
export interface BudgetStore {
  /** @returns the new total */
  add(scope: string, unit: "attempts" | "tokens" | "money" | "milliseconds", amount: number): Promise<number>;
}

/** What a {@link VersionedStore} holds under a key, and the time by the clock that all its processes share. */
export interface Versioned {
  readonly value: unknown;
  /** Grows with each write; 0 when nothing is stored. */
  readonly version: number;
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
}

/** State that several processes change: read with a version, written only if the version still holds. Values are JSON. */
export interface VersionedStore {
  /** A key without a value reads as version 0 with an undefined value. */
  read(key: string): Promise<Versioned>;
  /**
   * Writes if the stored version is `expectedVersion` (0: nothing stored), and gives it the next.
   * @returns the new version, or undefined when another was faster
   * @throws when that cannot be known: the reply was lost, and too many others have written since
   */
  write(key: string, value: unknown, expectedVersion: number): Promise<number | undefined>;
  /** Every key with its value, in the order of the keys. */
  list(): Promise<readonly (Versioned & { readonly key: string })[]>;
}

/** Answers by key, aged by the clock that all its processes share. Values are JSON. */
export interface ResultCache {
  /** An answer kept for its time is as if it were not there. `ageMs` counts from the `put`. */
  get(key: string): Promise<{ readonly value: unknown; readonly ageMs: number } | undefined>;
  /** Keeps the answer for `keepMs` milliseconds from now, in place of an earlier one. */
  put(key: string, value: unknown, keepMs: number): Promise<void>;
  delete(key: string): Promise<void>;
}

/** What came of asking for a lease: its token, or who has it, under which token and for how long unless it is renewed. */
export type LeaseAnswer =
  | { readonly kind: "held"; readonly token: number }
  | { readonly kind: "busy"; readonly holder: string; readonly token: number; readonly expiresInMs: number };

/**
 * Leases with a fencing token that grows with each holder. The clock that all its processes share decides what has run
 * out. Holders are opaque texts, unique to each that may hold: one that asks again, because a reply was lost, is given
 * the token it has, and its time anew.
 */
export interface LeaseStore {
  /** Takes a lease that nobody has, or whose time is over. */
  acquire(name: string, holder: string, leaseMs: number): Promise<LeaseAnswer>;
  /** Takes the lease before its time is over if it still has this token: from a holder that is known to be gone. */
  takeOver(name: string, token: number, holder: string, leaseMs: number): Promise<LeaseAnswer>;
  /**
   * Gives the lease its time anew, also when it had run out and nobody took it.
   * @returns false when it is no longer this token's
   */
  renew(name: string, token: number, leaseMs: number): Promise<boolean>;
  /** Changes nothing when the lease is no longer this token's. */
  release(name: string, token: number): Promise<void>;
}

export interface LaterStores {
  readonly attempts?: AttemptStore;
  readonly ledger?: EffectLedger;
  readonly inbox?: InboxStore;
  readonly audit?: AuditLog;
  readonly streams?: StreamStore;
  readonly budgets?: BudgetStore;
  readonly breakers?: VersionedStore;
  readonly cache?: ResultCache;
  readonly locks?: LeaseStore;
}
