import { z } from "zod";
import { systemClock } from "../../core/clock.js";
import type { EffectLedger, StoredEffect } from "../../core/effect-ports.js";
import { parseOptions } from "../../core/options.js";
import { persistenceOf } from "../../core/persistence-of.js";
import { RUN_HOLD, type RunHold } from "../../core/run-hold.js";
import { knownEffect } from "../../effects/known-effects.js";
import { LedgerBook } from "../../effects/ledger-book.js";
import { classifyError } from "../../errors/classify.js";
import { RollbackInterruptedError, RollbackRefusedError } from "../../errors/effect-errors.js";
import { asError, ConfigError, InvalidInputError } from "../../errors/own-errors.js";
import {
  type Affected,
  affectedBy,
  type PlannedEffect,
  planned,
  type RollbackPlan,
  type RollbackReport,
} from "../../recovery/rollback-plan.js";
import type { LockOptions } from "../thread-lock.js";
import { type GraphLike, type RunnableGraph, runnableGraph } from "../threads/graph.js";
import { resolveThread, type ThreadRef } from "../threads/resolve-thread.js";
import { withHeldThread } from "../threads/run.js";
import { beginRollback, endRollback, isRollback, openRollback } from "./open-rollback.js";
import {
  type FoundTarget,
  findTarget,
  nextOf,
  type ParsedTarget,
  type RollbackTarget,
  targetSchema,
} from "./target.js";
import { lookedUp, undoAll } from "./undo-all.js";

export interface PlanOptions {
  /** Where to go back to. */
  readonly to: RollbackTarget;
}

export interface RollbackOptions {
  /** Where to go back to. May be left out to finish a rollback that was interrupted. */
  readonly to?: RollbackTarget;
  /** Goes back although something stays in the world that cannot be undone; default false: that is refused. */
  readonly acceptStanding?: boolean;
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
const schema = z.strictObject({
  to: targetSchema.optional(),
  acceptStanding: z.boolean().default(false),
  lock: z.unknown().optional(),
  signal: z.instanceof(AbortSignal).optional(),
  onProgress: func.optional(),
});

/**
 * What {@link rollback} would do: nothing is called and nothing is written.
 *
 * @throws InvalidInputError where there is no such checkpoint on this branch; CheckpointCorruptError where it is damaged
 */
export async function planRollback(graph: GraphLike, thread: string, options: PlanOptions): Promise<RollbackPlan> {
  const { to } = parseOptions("planRollback()", z.strictObject({ to: targetSchema }), options);
  const { runnable, ref, ledger } = await opened(graph, thread, "planRollback()");
  const found = await findTarget(runnable, ref.threadId, to);
  return planOf(ref, found, affectedBy(await ofThread(ledger, ref.threadId), found.from));
}

/**
 * Takes a thread back to an earlier checkpoint, and undoes what its steps have done to the outside world since: the
 * newest effect first, each recorded before and after, retried as its own policy says. What may have happened is looked
 * up first. Then the target's state becomes the new head: the history stays, and `resumeThread` goes on from there.
 * Interrupted, it is finished by calling it again; until then the thread does not run.
 *
 * @throws RollbackRefusedError, before anything is undone, when something would stay in the world and `acceptStanding`
 * is not given; InvalidInputError where there is no such checkpoint; CheckpointCorruptError where it is damaged;
 * ThreadBusyError while another run has the thread; RollbackInterruptedError when it cannot go on, for want of the
 * database above all
 */
export async function rollback(
  graph: GraphLike,
  thread: string,
  options: RollbackOptions = {},
): Promise<RollbackReport> {
  const { to, acceptStanding, signal, onProgress } = parseOptions("rollback()", schema, options);
  const { runnable, ref, ledger } = await opened(graph, thread, "rollback()");
  const lock = options.lock === undefined ? {} : { lock: options.lock };
  return withHeldThread(
    "rollback()",
    runnable,
    ref,
    { ...lock, ...(signal === undefined ? {} : { signal }) },
    async (run) => {
      const { lease, loss } = run.lock;
      const book = new LedgerBook(ledger, lease, systemClock);
      const earlier = await openRollback(ledger, ref.threadId);
      const found = await foundAgain(runnable, ref, to, earlier);
      const doubts = affectedBy(await ofThread(ledger, ref.threadId), found.from).doubtful;
      await lookedUp(book, doubts, signal);
      const affected = affectedBy(await ofThread(ledger, ref.threadId), found.from);
      const plan = planOf(ref, found, affected);
      const standing = [...plan.stays, ...plan.doubtful];
      if (standing.length > 0 && !acceptStanding) throw new RollbackRefusedError(ref.name ?? ref.threadId, standing);
      const open =
        earlier ?? (await beginRollback(book, ref.threadId, { target: plan.target.checkpointId, head: found.head }));
      const label = ref.name ?? ref.threadId;
      return interruptible(label, open.target, async () => {
        const { undone, failed } = await undoAll(book, affected.undo, { signal, onProgress });
        if (failed.length > 0) return { ...plan, outcome: "incomplete", undone, failed };
        const hold: RunHold = { ...(lease === undefined ? {} : { lease }), abort: (reason) => loss.abort(reason) };
        // A rollback that died here has its new head already.
        const checkpointId = open.head === found.head ? await newHead(runnable, found, hold) : found.head;
        await endRollback(book, open);
        const threads = persistenceOf(runnable.checkpointer)?.threads;
        await threads?.record({ threadId: ref.threadId, status: "paused", error: null });
        return { ...plan, outcome: "done", undone, failed, checkpointId };
      });
    },
  );
}

/** Whoever reads that the database is gone has to read as well how the thread stands, and what to do. */
async function interruptible<T>(thread: string, target: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = asError(thrown);
    const { category } = classifyError(error);
    // One that was told to stop, or has lost the thread, says so itself.
    if (category === "cancelled") throw error;
    throw new RollbackInterruptedError(thread, target, category, error);
  }
}

/** One that was begun goes on to its own target: the head may have moved, and with it what "two steps back" is. */
async function foundAgain(
  graph: RunnableGraph,
  ref: ThreadRef,
  to: ParsedTarget | undefined,
  earlier: { readonly target: string } | undefined,
): Promise<FoundTarget> {
  if (earlier === undefined) {
    if (to === undefined)
      throw new InvalidInputError(
        `rollback(): give { to }; no rollback of thread "${ref.name ?? ref.threadId}" is to be finished`,
      );
    return findTarget(graph, ref.threadId, to);
  }
  if (to !== undefined && "checkpoint" in to && to.checkpoint !== earlier.target)
    throw new InvalidInputError(
      `A rollback of thread "${ref.name ?? ref.threadId}" to checkpoint ${earlier.target} was begun and not finished: finish it first, by rollback() without { to }`,
    );
  return findTarget(graph, ref.threadId, { checkpoint: earlier.target });
}

async function newHead(graph: RunnableGraph, { target }: FoundTarget, hold: RunHold): Promise<string> {
  const config = { configurable: { ...target.config.configurable, [RUN_HOLD]: hold } };
  const made = await graph.updateState(config, null);
  return String(made.configurable?.checkpoint_id);
}

function planOf({ threadId, name }: ThreadRef, { target, head, from }: FoundTarget, affected: Affected): RollbackPlan {
  return {
    threadId,
    ...(name === undefined ? {} : { name }),
    target: {
      checkpointId: String(target.config.configurable?.checkpoint_id),
      step: target.metadata?.step ?? -1,
      next: nextOf(target),
    },
    head,
    leaves: from.size - 1,
    undo: affected.undo.map((entry) => planned(entry)),
    doubtful: affected.doubtful.map((entry) => planned(entry, whyInDoubt(entry))),
    stays: affected.stays.map(([entry, why]) => planned(entry, why)),
  };
}

function whyInDoubt(entry: StoredEffect): string {
  const { error } = entry;
  const known = knownEffect(entry);
  const probed = typeof known === "object" && known.effect.probe !== undefined;
  const since = error === undefined ? "its process died during the call" : error.message;
  return `it may have happened (${since})${probed ? "; its probe is asked first" : "; nothing can tell: settle it first"}`;
}

async function ofThread(ledger: EffectLedger, threadId: string): Promise<readonly StoredEffect[]> {
  return (await ledger.list(threadId)).filter((entry) => !isRollback(entry));
}

async function opened(graph: GraphLike, thread: string, caller: string) {
  const runnable = runnableGraph(graph, caller);
  const ledger = persistenceOf(runnable.checkpointer)?.ledger;
  if (ledger === undefined)
    throw new ConfigError(
      `${caller}: the graph's checkpointer is not from openPersistence(), so there is no ledger that says what to undo`,
    );
  return { runnable, ref: await resolveThread(runnable, thread), ledger };
}
