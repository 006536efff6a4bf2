import { z } from "zod";
import { parseOptions } from "../../core/options.js";
import { persistenceOf } from "../../core/persistence-of.js";
import { ThreadError } from "../../errors/own-errors.js";
import { type DamagePlan, damagePlan } from "./damage.js";
import { runToEnd } from "./gone-on.js";
import { type GraphLike, graphNameOf, runnableGraph } from "./graph.js";
import { inspectResolved } from "./inspect-thread.js";
import { resolveThread } from "./resolve-thread.js";
import { resumeResolved } from "./resume-thread.js";
import { type RunOptions, type RunResult, type ThreadRun, withRun } from "./run.js";

export interface RunThreadOptions extends RunOptions {
  /** A name of yours, or a UUID. A name is an alias of a stable UUID. */
  readonly threadId: string;
  /**
   * What to do when the thread is stored already: go on with it as {@link resumeThread} would (default), refuse, or
   * give it the input as its next turn.
   */
  readonly ifExists?: "resume" | "refuse" | "newTurn";
}

const ifExistsSchema = z.enum(["resume", "refuse", "newTurn"]).default("resume");

/**
 * Starts a graph on a thread, or goes on with the thread if it is stored. Failures of the run are returned, not thrown.
 *
 * @throws ThreadError THREAD_EXISTS when the thread is stored and `ifExists` is "refuse", or when it belongs to another graph
 * @throws CheckpointCorruptError when its newest checkpoint is damaged, and `onCorrupt` does not let it go back
 * @throws ThreadBusyError when another run has the thread; nothing was changed
 * @throws CancelledError when it is told to stop while it waits for the thread
 * @throws ConfigError for a graph without a checkpointer, and for wrong options
 */
export async function runThread(graph: GraphLike, input: unknown, options: RunThreadOptions): Promise<RunResult> {
  const runnable = runnableGraph(graph, "runThread()");
  const { threadId, ifExists: given, ...run } = options;
  const plan = damagePlan("runThread()", options);
  const ifExists = parseOptions("runThread(): ifExists", ifExistsSchema, given ?? "resume");
  const ref = await resolveThread(runnable, threadId);
  return await withRun("runThread()", runnable, ref, run, (locked) => runLocked(locked, input, ifExists, plan));
}

async function runLocked(
  run: ThreadRun,
  input: unknown,
  ifExists: NonNullable<RunThreadOptions["ifExists"]>,
  plan: DamagePlan,
): Promise<RunResult> {
  const { graph, ref, options } = run;
  const stored = await inspectResolved(graph, ref, plan);
  if (!stored.stored) return await runToEnd(run, { input, resumed: false });
  const label = ref.name ?? ref.threadId;
  const record = await persistenceOf(graph.checkpointer)?.threads.get(ref.threadId);
  const graphName = graphNameOf(graph, options.graphName);
  if (record?.graph !== undefined && graphName !== undefined && record.graph !== graphName) {
    throw new ThreadError(
      "THREAD_EXISTS",
      `Thread "${label}" belongs to graph "${record.graph}", not to "${graphName}"; choose another thread`,
    );
  }
  switch (ifExists) {
    case "refuse":
      throw new ThreadError(
        "THREAD_EXISTS",
        `Thread "${label}" exists already (${stored.status}); resume it, or choose another name`,
      );
    case "newTurn":
      if (stored.damage !== undefined) throw stored.damage;
      return await runToEnd(run, { input, resumed: false });
    case "resume":
      return await resumeResolved(run, stored, undefined, { plan });
  }
}
