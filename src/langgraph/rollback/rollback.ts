import { z } from "zod";
import { parseOptions } from "../../core/options.js";
import type { PlannedEffect, RollbackPlan, RollbackReport } from "../../recovery/rollback-plan.js";
import { checkRange, type RollbackRange, rangeShape } from "../../recovery/rollback-target.js";
import type { SystemRollbackPlan, SystemRollbackReport } from "../../recovery/system-rollback.js";
import type { LockOptions } from "../thread-lock.js";
import type { UsableState } from "../threads/damage.js";
import { type GraphLike, runnableGraph } from "../threads/graph.js";
import { resolveThread } from "../threads/resolve-thread.js";
import { withHeldThread } from "../threads/run.js";
import { ledgerOf, performRollback, plannedRollback } from "./perform-rollback.js";
import { planSystem, rollbackSystem, type SystemPlanOptions, type SystemRollbackOptions } from "./system.js";

export interface PlanOptions extends RollbackRange {
  /** What the state of a sound checkpoint fits, where the last one is gone back to; as for `resumeThread`. */
  readonly usableState?: UsableState;
}

/** What is to be taken back may be left out to finish a rollback that was interrupted. */
export interface RollbackOptions extends PlanOptions {
  /** Goes back although something stays in the world that cannot be undone; default false: that is refused. */
  readonly acceptStanding?: boolean;
  /** Who asks for it, and why; for the audit log. */
  readonly by?: string;
  readonly reason?: string;
  /** As for `runThread`. */
  readonly lock?: LockOptions | false;
  /** Ends it between two effects; called again it goes on. */
  readonly signal?: AbortSignal;
  /** Called when an effect was undone, or could not be. */
  readonly onProgress?: (done: PlannedEffect, count: { readonly done: number; readonly of: number }) => void;
}

const func = z.custom<NonNullable<RollbackOptions["onProgress"]>>(
  (value) => typeof value === "function",
  "must be a function",
);
const usable = z.custom<UsableState>(
  (value) => typeof (value as { safeParse?: unknown } | undefined)?.safeParse === "function",
  "must be a zod schema",
);
const planSchema = z.strictObject({ ...rangeShape, usableState: usable.optional() }).superRefine(checkRange);
const schema = z
  .strictObject({
    ...rangeShape,
    usableState: usable.optional(),
    acceptStanding: z.boolean().default(false),
    by: z.string().min(1).optional(),
    reason: z.string().optional(),
    lock: z.unknown().optional(),
    signal: z.instanceof(AbortSignal).optional(),
    onProgress: func.optional(),
  })
  .superRefine(checkRange);

/**
 * What {@link rollback} would do: nothing is called and nothing is written.
 *
 * @throws InvalidInputError where there is nothing of the kind to go back to; CheckpointCorruptError where it is damaged
 */
export async function planRollback(graph: GraphLike, thread: string, options: PlanOptions): Promise<RollbackPlan>;
/** What a rollback of all threads that a faulty part has touched would do to which of them. */
export async function planRollback(graph: GraphLike, options: SystemPlanOptions): Promise<SystemRollbackPlan>;
export async function planRollback(
  graph: GraphLike,
  given: string | SystemPlanOptions,
  options?: PlanOptions,
): Promise<RollbackPlan | SystemRollbackPlan> {
  if (typeof given !== "string") return planSystem(graph, given);
  const request = parseOptions("planRollback()", planSchema, options);
  const runnable = runnableGraph(graph, "planRollback()");
  ledgerOf(runnable, "planRollback()");
  return plannedRollback(runnable, await resolveThread(runnable, given), request);
}

/**
 * Takes a thread back to an earlier checkpoint, and undoes what its steps have done to the outside world since: the
 * newest effect first, each recorded before and after, retried as its own policy says. What may have happened is looked
 * up first. Then the target's state becomes the new head: the history stays, and `resumeThread` goes on from there.
 * With scope "step" the thread stays before the failed step. Interrupted, it is finished by calling it again; until then
 * the thread does not run.
 *
 * @throws RollbackRefusedError, before anything is undone, when something would stay in the world and `acceptStanding`
 * is not given; InvalidInputError where there is nothing to go back to; CheckpointCorruptError where it is damaged;
 * ThreadBusyError while another run has the thread; RollbackInterruptedError when it cannot go on, for want of the
 * database above all
 */
export async function rollback(graph: GraphLike, thread: string, options?: RollbackOptions): Promise<RollbackReport>;
/**
 * Takes back every thread of the graph that a faulty part has touched since a given time, each to before the first touch
 * on its branch. One that cannot be is reported and does not keep the others from it. Called again it does what is left.
 *
 * @throws ConfigError for wrong options, and for a graph without a name
 */
export async function rollback(graph: GraphLike, options: SystemRollbackOptions): Promise<SystemRollbackReport>;
export async function rollback(
  graph: GraphLike,
  given: string | SystemRollbackOptions,
  options: RollbackOptions = {},
): Promise<RollbackReport | SystemRollbackReport> {
  if (typeof given !== "string") return rollbackSystem(graph, given);
  const request = parseOptions("rollback()", schema, options);
  const runnable = runnableGraph(graph, "rollback()");
  ledgerOf(runnable, "rollback()");
  const ref = await resolveThread(runnable, given);
  const { acceptStanding, by = "unnamed", reason, signal, onProgress } = request;
  // Nothing said: one that was interrupted is finished.
  const isNew = options.to !== undefined || options.scope !== undefined;
  const lock = options.lock === undefined ? {} : { lock: options.lock };
  return withHeldThread("rollback()", runnable, ref, { ...lock, ...(signal === undefined ? {} : { signal }) }, (run) =>
    performRollback(run, {
      range: isNew ? request : undefined,
      acceptStanding,
      by,
      reason,
      signal,
      onProgress,
    }),
  );
}
