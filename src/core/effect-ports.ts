/**
 * What the steps of a thread did to the outside world, as it is kept: the ledger's port and its records. Plain JSON,
 * versioned by `v`.
 */
import type { ErrorReport } from "../errors/report.js";
import type { AuditEntry } from "./audit-ports.js";
import type { HeldLease } from "./run-hold.js";

/**
 * What may be done about an effect whose outcome is not known. `read` changes nothing outside. `idempotent`: done again
 * with the same key it is done once. `reversible` and `irreversible` are never done again blindly; the one can be undone.
 */
export const EFFECT_KINDS = ["read", "idempotent", "reversible", "irreversible"] as const;
export type EffectKind = (typeof EFFECT_KINDS)[number];

/**
 * How far an effect has come. `intended`: nothing was asked for yet. `dispatched`: the call may be under way.
 * `confirmed`: it happened. `failed`: it did not. `unknown`: it may have. `compensating`: it is being undone, and may
 * have been. `compensated`: it was undone. `compensation_failed`: undoing it failed for good.
 */
export const EFFECT_STATES = [
  "intended",
  "dispatched",
  "confirmed",
  "failed",
  "unknown",
  "compensating",
  "compensated",
  "compensation_failed",
] as const;
export type EffectState = (typeof EFFECT_STATES)[number];

/** One task of one graph: a graph within a node has its own, beneath that of the node. */
export interface EffectFrame {
  /** Of the graph, as LangGraph has it: the tasks around, with their IDs. "" for the root. */
  readonly namespace: string;
  readonly checkpointId: string;
  readonly node: string;
  readonly taskId: string;
  /** Which of the graphs that an attempt of the node around has called it is in; absent for the first. */
  readonly call?: number;
  /** Which decorated call within the node around called it; absent for the node itself. */
  readonly part?: string;
}

/** The step that an effect belongs to at its first execution, outermost graph first. Retries and crashes keep it. */
export type EffectScope = readonly EffectFrame[];

/** One effect as it is kept: of one thread, under one key, in one epoch. */
export interface EffectEntry {
  readonly v: 1;
  readonly threadId: string;
  /** Which effect of which step it is. The same for a step that is run again. */
  readonly key: string;
  /** 0 at first; the next one when it was undone, or did not happen and is to be done with another input. */
  readonly epoch: number;
  /** What the outside world is given to tell a repetition by; unique to key and epoch. */
  readonly idempotencyKey: string;
  /** Name of the effect. */
  readonly effect: string;
  readonly kind: EffectKind;
  readonly state: EffectState;
  readonly scope: EffectScope;
  /** Names of the nodes in `scope`, and of decorators within the node: the same in each run of the graph. */
  readonly place: string;
  /** The caller's key, or which of the step's calls of this effect it is: "#0" for the first. */
  readonly name: string;
  readonly inputHash: string;
  readonly input: unknown;
  /** What the effect gave back, once `confirmed`. */
  readonly receipt?: unknown;
  /** Why it failed, or why its outcome, or that of undoing it, is not known. Redacted. */
  readonly error?: ErrorReport;
  /** How often it was asked for, and how often it was asked to be undone. */
  readonly calls: number;
  readonly undoCalls: number;
  /** The effect of another branch of the thread whose receipt this is. */
  readonly origin?: { readonly key: string; readonly epoch: number };
  /** The effect of another branch that did not happen there, or was undone, and in whose place this is. */
  readonly instead?: { readonly key: string; readonly epoch: number };
  /** Present while effects of the branches that this one left behind may have to be considered. */
  readonly forked?: true;
  /** Name of the transaction that it is part of. */
  readonly transaction?: string;
  /** Who calls, where it is `dispatched` or `compensating`: see process-identity.ts; and until when at most, in ms since the Unix epoch. */
  readonly caller?: { readonly process: string; readonly until: number };
  /** Who let it be begun, where somebody had to. */
  readonly approvedBy?: { readonly by: string; readonly reason?: string };
  /**
   * The question whether it may be begun: the task that asked it, and which of the task's questions it is. `settled` once
   * the answer was no, or what was asked is no longer what would be done.
   */
  readonly asked?: {
    readonly task: string;
    readonly question: number;
    readonly settled?: true;
    /** Who said no, and how many answers the task had by then. */
    readonly rejected?: { readonly by: string; readonly reason?: string; readonly answers: number };
  };
  /** Who said what came of it, where a person did. */
  readonly settledBy?: { readonly by: string; readonly reason?: string };
  /** Milliseconds since the Unix epoch. */
  readonly intendedAt: number;
  readonly dispatchedAt?: number;
  readonly settledAt?: number;
  readonly compensatedAt?: number;
  /** Unique to each change, so that a repeated one is known by it. */
  readonly change: string;
}

/** `seq` grows with each intent of the thread. */
export type StoredEffect = EffectEntry & { readonly seq: number };

/** What came of a change: `refused` where the stored state was another, `lease lost` where the run may no longer write. */
export type EffectMove = "moved" | "refused" | "lease lost";

/** A checkpoint, as far as it matters where it came from. */
export interface WayPoint {
  readonly checkpointId: string;
  readonly parentId: string | undefined;
  /** What made it: "input", "loop", "update" or "fork". */
  readonly source: string;
  readonly step: number;
}

/** All methods see what was acknowledged before, and acknowledge what is durable. */
export interface EffectLedger {
  /** The newest epoch under the key, and the newest entry of the same effect at the same place under any key. */
  look(
    threadId: string,
    key: string,
    like: { readonly effect: string; readonly place: string },
  ): Promise<{ readonly found?: StoredEffect; readonly newest?: StoredEffect }>;
  /**
   * Writes the entry if the stored state of its key and epoch is one of `from` (empty: not stored). The same change again is `moved`.
   *
   * @param lease refused in the same statement once it is no longer held
   * @param audit goes into the audit log in the same statement, if the entry is written
   */
  move(entry: EffectEntry, from: readonly EffectState[], lease?: HeldLease, audit?: AuditEntry): Promise<EffectMove>;
  /** All entries of the thread, in the order of intent. */
  list(threadId: string): Promise<readonly StoredEffect[]>;
  /**
   * A checkpoint and those it came from, nearest first, down to `until`, or to the first of all where that is not among
   * them. Without this each is read whole, with all its values.
   */
  way?(
    from: { readonly threadId: string; readonly namespace: string; readonly checkpointId: string },
    until: string,
  ): Promise<readonly WayPoint[]>;
}
