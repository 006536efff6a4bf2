/**
 * The ports of the stores that a persistence does not fill yet. They are here so that what fills and what uses them can
 * be written apart; a plugin that has none of them is complete today. Scopes and keys are opaque texts to a store. Each
 * method that writes resolves when the write is durable.
 */
import type { AttemptRecord, DecisionRecord } from "./records.js";

/** Failed attempts that outlive the process, so that a resumed step goes on counting. */
export interface AttemptStore {
  append(scope: string, attempt: AttemptRecord): Promise<void>;
  /** Oldest first. */
  list(scope: string): Promise<readonly AttemptRecord[]>;
  clear(scope: string): Promise<void>;
}

export type EffectState =
  | "intended"
  | "dispatched"
  | "confirmed"
  | "failed"
  | "unknown"
  | "compensating"
  | "compensated"
  | "compensation_failed";

export interface EffectEntry {
  readonly key: string;
  readonly scope: string;
  readonly effect: string;
  readonly state: EffectState;
  /** The same key with another hash is another effect, and refused. */
  readonly inputHash: string;
  readonly receipt?: unknown;
}

/** What the steps did to the outside world. */
export interface EffectLedger {
  find(key: string): Promise<EffectEntry | undefined>;
  /** Writes the entry if its stored state is `from` (absent: not stored), and says whether it was. */
  move(entry: EffectEntry, from?: EffectState): Promise<boolean>;
  /** In the order of intent. */
  list(scope: string): Promise<readonly EffectEntry[]>;
}

/** Questions to people over all threads and graphs. */
export interface InboxStore {
  open(id: string, request: unknown, deadline?: Date): Promise<void>;
  /** True for one caller only. */
  resolve(id: string, decision: DecisionRecord): Promise<boolean>;
}

/** Append-only: who did what, when and why. */
export interface AuditLog {
  append(entry: {
    readonly at: string;
    readonly by: string;
    readonly what: string;
    readonly details?: unknown;
  }): Promise<void>;
}

/** The text of a long generation, saved while it grows. */
export interface StreamStore {
  save(scope: string, text: string, tokens: number): Promise<void>;
  load(scope: string): Promise<{ readonly text: string; readonly tokens: number } | undefined>;
}

/** Amounts used so far, per scope and unit. */
export interface BudgetStore {
  /** @returns the new total */
  add(scope: string, unit: "attempts" | "tokens" | "money" | "milliseconds", amount: number): Promise<number>;
}

/** State that several processes change: read with a version, written only if the version still holds. */
export interface VersionedStore {
  read(key: string): Promise<{ readonly value: unknown; readonly version: number } | undefined>;
  write(key: string, value: unknown, expectedVersion: number | undefined): Promise<boolean>;
}

/** Answers by input, with their age. */
export interface ResultCache {
  get(key: string): Promise<{ readonly value: unknown; readonly storedAt: Date } | undefined>;
  put(key: string, value: unknown): Promise<void>;
}

/** Leases with a fencing token that grows with each holder. */
export interface LeaseStore {
  /** @returns the token, or undefined while another holds it */
  acquire(name: string, holder: string, leaseMs: number): Promise<number | undefined>;
  renew(name: string, token: number, leaseMs: number): Promise<boolean>;
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
