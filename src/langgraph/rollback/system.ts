import { z } from "zod";
import { parseOptions } from "../../core/options.js";
import { persistenceOf } from "../../core/persistence-of.js";
import type { ThreadRecord } from "../../core/ports.js";
import { redactText } from "../../core/redact.js";
import { asError, ConfigError } from "../../errors/own-errors.js";
import type { RollbackReport } from "../../recovery/rollback-plan.js";
import type {
  PlannedThread,
  RolledBackThread,
  SystemRollbackPlan,
  SystemRollbackReport,
} from "../../recovery/system-rollback.js";
import type { LockOptions } from "../thread-lock.js";
import { type GraphLike, graphNameOf, type RunnableGraph, runnableGraph } from "../threads/graph.js";
import { withHeldThread } from "../threads/run.js";
import { openRollback } from "./open-rollback.js";
import { ledgerOf, performRollback, plannedRollback } from "./perform-rollback.js";
import { beforeTouch, type Touch } from "./touched.js";

export interface SystemPlanOptions {
  readonly scope: "system";
  /** What was faulty: an effect by its name, or a node of the root graph. */
  readonly touched: Touch;
  /** Since when: a Date, a text in ISO 8601, or milliseconds since the Unix epoch. */
  readonly since: Date | string | number;
  /** The graph's name as its threads have it; default that it was compiled with. */
  readonly graphName?: string;
  /** How many threads are in flight at once; default 5. */
  readonly concurrency?: number;
  /** Ends it between two threads, and within one between two effects. */
  readonly signal?: AbortSignal;
}

export interface SystemRollbackOptions extends SystemPlanOptions {
  /** As for one thread. */
  readonly acceptStanding?: boolean;
  readonly by?: string;
  readonly reason?: string;
  /** As for `runThread`, of each thread. */
  readonly lock?: LockOptions | false;
  /** Called when a thread was done with; `of` threads are looked at. Absent: it was not touched. */
  readonly onThread?: (
    thread: RolledBackThread | undefined,
    count: { readonly done: number; readonly of: number },
  ) => void;
}

const name = z.string().min(1);
const shape = {
  scope: z.literal("system"),
  touched: z.union(
    [z.strictObject({ effect: name }), z.strictObject({ node: name })],
    'must be { effect: "name" } or { node: "name" }',
  ),
  since: z
    .union([z.date(), z.iso.datetime({ offset: true }), z.number().min(0)], "must be a Date, a time in ISO 8601, or ms")
    .transform((given) => new Date(given).getTime()),
  graphName: name.optional(),
  concurrency: z.int().min(1).max(100).default(5),
  signal: z.instanceof(AbortSignal).optional(),
};
const planSchema = z.strictObject(shape);
const schema = z.strictObject({
  ...shape,
  acceptStanding: z.boolean().default(false),
  by: name.default("unnamed"),
  reason: z.string().optional(),
  lock: z.unknown().optional(),
  onThread: z
    .custom<NonNullable<SystemRollbackOptions["onThread"]>>(
      (value) => typeof value === "function",
      "must be a function",
    )
    .optional(),
});

/** What {@link rollbackSystem} would do to which threads; nothing is called and nothing is written. */
export async function planSystem(graph: GraphLike, options: SystemPlanOptions): Promise<SystemRollbackPlan> {
  const { touched, since, graphName, concurrency, signal } = parseOptions("planRollback()", planSchema, options);
  const runnable = runnableGraph(graph, "planRollback()");
  const ledger = ledgerOf(runnable, "planRollback()");
  const records = await threadsSince(runnable, graphName, since, "planRollback()");
  const threads: PlannedThread[] = [];
  await eachOf(records, concurrency, signal, async (record) => {
    const ref = refOf(record);
    try {
      const checkpoint = await beforeTouch(runnable, ledger, ref.threadId, touched, since);
      if (checkpoint === undefined) return;
      threads.push({ ...ref, plan: await plannedRollback(runnable, ref, { scope: "session", to: { checkpoint } }) });
    } catch (error) {
      threads.push({ ...ref, ...failureOf(error) });
    }
  });
  signal?.throwIfAborted();
  return { scope: "system", looked: records.length, threads };
}

/**
 * Takes back every thread of the graph that a faulty part has touched since a given time, each to before the first touch
 * on its branch. One that cannot be is reported and does not keep the others from it. Called again it does what is left.
 */
export async function rollbackSystem(graph: GraphLike, options: SystemRollbackOptions): Promise<SystemRollbackReport> {
  const parsed = parseOptions("rollback()", schema, options);
  const { touched, since, graphName, concurrency, signal, acceptStanding, by, reason, onThread } = parsed;
  const runnable = runnableGraph(graph, "rollback()");
  const ledger = ledgerOf(runnable, "rollback()");
  const records = await threadsSince(runnable, graphName, since, "rollback()");
  const lock = options.lock === undefined ? {} : { lock: options.lock };
  const threads: RolledBackThread[] = [];
  let done = 0;
  const one = async (record: ThreadRecord): Promise<RolledBackThread | undefined> => {
    const ref = refOf(record);
    // Looked at before it is locked: most threads have nothing to do with it.
    const isOpen = (await openRollback(ledger, ref.threadId)) !== undefined;
    if (!isOpen && (await beforeTouch(runnable, ledger, ref.threadId, touched, since)) === undefined) return undefined;
    const held = { ...lock, ...(signal === undefined ? {} : { signal }) };
    return withHeldThread("rollback()", runnable, ref, held, async (run) => {
      const came = (report: RollbackReport) => ({ ...ref, outcome: report.outcome, report });
      const earlier = await openRollback(ledger, ref.threadId);
      const finished =
        earlier && (await performRollback(run, { range: undefined, acceptStanding, signal, by, reason }));
      if (finished?.outcome === "incomplete") return came(finished);
      const checkpoint = await beforeTouch(runnable, ledger, ref.threadId, touched, since);
      if (checkpoint === undefined) return finished && came(finished);
      const range = { scope: "session" as const, to: { checkpoint } };
      return came(await performRollback(run, { range, acceptStanding, signal, by, reason }));
    });
  };
  const left = await eachOf(records, concurrency, signal, async (record) => {
    const came = await one(record).catch((error: unknown) => notRolledBack(record, error));
    if (came !== undefined) threads.push(came);
    done += 1;
    onThread?.(came, { done, of: records.length });
  });
  const counts = { done: 0, incomplete: 0, refused: 0, busy: 0, failed: 0 };
  for (const { outcome } of threads) counts[outcome] += 1;
  return { scope: "system", looked: records.length, threads, counts, left };
}

function notRolledBack(record: ThreadRecord, thrown: unknown): RolledBackThread {
  const { code, why } = failureOf(thrown);
  const outcome = code === "ROLLBACK_REFUSED" ? "refused" : code === "THREAD_BUSY" ? "busy" : "failed";
  return { ...refOf(record), outcome, code, why };
}

function failureOf(thrown: unknown): { readonly code: string; readonly why: string } {
  const error = asError(thrown) as Error & { readonly code?: unknown };
  return { code: typeof error.code === "string" ? error.code : "UNKNOWN", why: redactText(error.message) };
}

async function threadsSince(
  graph: RunnableGraph,
  given: string | undefined,
  sinceMs: number,
  caller: string,
): Promise<readonly ThreadRecord[]> {
  const graphName = graphNameOf(graph, given);
  if (graphName === undefined)
    throw new ConfigError(
      `${caller}: the graph has no name by which its threads are known; compile it with { name }, or give { graphName }`,
    );
  const all = await persistenceOf(graph.checkpointer)?.threads.list({ graph: graphName, limit: 2 ** 31 - 1 });
  return (all ?? []).filter(({ updatedAt }) => updatedAt.getTime() >= sinceMs);
}

function refOf({ threadId, name: alias }: ThreadRecord) {
  return alias === undefined ? { threadId } : { threadId, name: alias };
}

/** @returns how many were not begun because of the signal */
async function eachOf<T>(
  all: readonly T[],
  concurrency: number,
  signal: AbortSignal | undefined,
  work: (one: T) => Promise<void>,
): Promise<number> {
  let next = 0;
  const worker = async () => {
    for (let one = all[next]; one !== undefined && signal?.aborted !== true; one = all[next]) {
      next += 1;
      await work(one);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return Math.max(0, all.length - next);
}
