/** What a rollback of all threads that a faulty part has touched is going to do, and what it did. Plain data. */
import type { RollbackPlan, RollbackReport } from "./rollback-plan.js";

interface OfThread {
  readonly threadId: string;
  /** The alias, where the thread has one. */
  readonly name?: string;
}

/** A thread that was touched: what would be taken back, or why that cannot be said. */
export type PlannedThread = OfThread &
  ({ readonly plan: RollbackPlan } | { readonly code: string; readonly why: string });

export interface SystemRollbackPlan {
  readonly scope: "system";
  /** How many threads were looked at, and which of them were touched. */
  readonly looked: number;
  readonly threads: readonly PlannedThread[];
}

/**
 * `refused`: something would stay in the world; `busy`: another run has it; `failed`: it could not be done, or could not
 * be brought to its end. The thread is then as it was, or says that its rollback is to be finished.
 */
export type RolledBackThread = OfThread &
  (
    | { readonly outcome: RollbackReport["outcome"]; readonly report: RollbackReport }
    | { readonly outcome: "refused" | "busy" | "failed"; readonly code: string; readonly why: string }
  );

export interface SystemRollbackReport {
  readonly scope: "system";
  readonly looked: number;
  /** Those that were touched, in the order in which they were done with. */
  readonly threads: readonly RolledBackThread[];
  /** How many of each outcome. */
  readonly counts: Readonly<Record<RolledBackThread["outcome"], number>>;
  /** How many were not looked at any more, because it was told to stop. */
  readonly left: number;
}
