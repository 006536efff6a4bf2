/** What is written into state, interrupts and tables. Plain JSON-able data, versioned by `v`. */
import type { Category } from "../errors/categories.js";
import type { ErrorReport } from "../errors/report.js";
import type { EffectScope } from "./effect-ports.js";

/** One failed attempt. Times are milliseconds; `startedAt` since the Unix epoch. */
export interface AttemptRecord {
  /** 1 for the first attempt of this way of doing the step. */
  readonly number: number;
  /** "node", or the name of the fallback step that failed. */
  readonly step: string;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly report: ErrorReport;
  /** The wait before the next attempt; absent when there was none. */
  readonly delayMs?: number;
  /** Why there was no further attempt, where neither the category nor the number of attempts says it. */
  readonly gaveUp?: string;
  /** Effects on the outside world that it had begun. */
  readonly effects?: readonly string[];
}

/** The name attempts of the node itself carry in {@link AttemptRecord}`.step`. */
export const NODE_STEP = "node";

/** A step that failed for good, with all that a person or a later step needs to go on from there. */
export interface FailureRecord {
  readonly v: 1;
  readonly node: string;
  /** Exactly what the node was given. */
  readonly input: unknown;
  readonly report: ErrorReport;
  /** Over human retries too, oldest first. */
  readonly attempts: readonly AttemptRecord[];
  /** Present where only what the node itself returns says what comes after it: a result alone would end the run. */
  readonly routesByItself?: true;
  /** Names of the declared fallback steps, in order. */
  readonly fallbacks: readonly string[];
  /** What people have decided about it so far, oldest first. */
  readonly decisions: readonly DecisionRecord[];
  /** The step at its first execution, to which its effects belong. */
  readonly scope?: EffectScope;
  /** What the node has declared to be taken back before a person is asked; absent where nothing is, or it has been. */
  readonly rollback?: DeclaredRollback;
  /** How often the step was taken back without anybody having been asked. */
  readonly rolledBack?: number;
}

/** What of a thread is taken back by itself when a node has failed, as the node's author says it. */
export interface DeclaredRollback {
  readonly scope: "step" | "process" | "transaction" | "session";
  /** How often within one run of the thread. */
  readonly max: number;
  /** Whether something may stay in the world that cannot be undone. */
  readonly acceptStanding: boolean;
  /** The node's transaction, with scope "transaction". */
  readonly transaction?: string;
}

/** A decision as it is kept: who, what, when and why. */
export interface DecisionRecord {
  readonly action: string;
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
  readonly reason?: string;
  /** Whom an escalation hands the question to. */
  readonly to?: string;
}

/** Who answered in place of the node, and why. Kept in the state channel `degradations`. */
export interface Degradation {
  readonly v: 1;
  readonly node: string;
  readonly answeredBy: string;
  readonly category: Category;
  readonly reason: string;
  readonly at: string;
  /** How old the answer was, where it came from a cache; milliseconds. */
  readonly ageMs?: number;
}

/** What a person decided, on its way back to the node that failed. The decorator obeys it. */
export type Directive =
  | { readonly kind: "retry"; readonly parameters?: RetryParameters }
  | { readonly kind: "fallback"; readonly step: string }
  | { readonly kind: "provide"; readonly result: unknown };

/** What `adjust` may change about the next try. */
export interface RetryParameters {
  readonly maxAttempts?: number;
  readonly initialDelayMs?: number;
  readonly timeoutMs?: number;
}
