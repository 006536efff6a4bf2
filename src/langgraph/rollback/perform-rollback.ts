/** A rollback, by whoever holds the thread: the effects first, then the state. */
import { randomUUID } from "node:crypto";
import { AUTOMATIC } from "../../core/audit-ports.js";
import { systemClock } from "../../core/clock.js";
import type { EffectLedger, StoredEffect } from "../../core/effect-ports.js";
import { eventsOf, persistenceOf } from "../../core/persistence-of.js";
import { RUN_HOLD, type RunHold } from "../../core/run-hold.js";
import { knownEffect } from "../../effects/known-effects.js";
import { LedgerBook } from "../../effects/ledger-book.js";
import { classifyError } from "../../errors/classify.js";
import { RollbackInterruptedError, RollbackRefusedError } from "../../errors/effect-errors.js";
import { asError, ConfigError, InvalidInputError } from "../../errors/own-errors.js";
import {
  type Affected,
  type PlannedEffect,
  planned,
  type RollbackPlan,
  type RollbackReport,
} from "../../recovery/rollback-plan.js";
import type { RollbackScope } from "../../recovery/rollback-target.js";
import { withdrawGone } from "../inbox/settle-inbox.js";
import type { ThreadLock } from "../thread-lock.js";
import { root } from "../threads/damage.js";
import type { RunnableGraph } from "../threads/graph.js";
import type { ThreadRef } from "../threads/resolve-thread.js";
import { putStandIn } from "../threads/stand-in.js";
import { beginRollback, endRollback, type OpenRollback, openRollback, type RollbackWay } from "./open-rollback.js";
import { type Range, type RangeRequest, rangeOf } from "./range.js";
import { rangeAgain } from "./range-again.js";
import { affectedIn } from "./reach.js";
import { lookedUp, undoAll } from "./undo-all.js";
import { nextOf } from "./way.js";

/** The thread, and the right to write to it. */
export interface HeldThread {
  readonly graph: RunnableGraph;
  readonly ref: ThreadRef;
  readonly lock: ThreadLock;
}

export interface RollbackRequest {
  /** Undefined: one that was interrupted is finished, and nothing else. */
  readonly range: RangeRequest | undefined;
  readonly acceptStanding: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?:
    | ((done: PlannedEffect, count: { readonly done: number; readonly of: number }) => void)
    | undefined;
  /** For the audit log; default: nobody was asked. */
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
  /** The node whose failure it is for, where nobody was asked. */
  readonly because?: string;
  /** The run that it counts in. */
  readonly run?: string;
  /** Whether a run asks for it and goes on after it: whoever takes over from that finishes it first. */
  readonly resumes?: boolean;
}

/** @throws as {@link rollback} does */
export async function performRollback(thread: HeldThread, request: RollbackRequest): Promise<RollbackReport> {
  const { graph, ref, lock } = thread;
  const { threadId } = ref;
  const { by = AUTOMATIC, reason, signal, onProgress } = request;
  const label = ref.name ?? threadId;
  const ledger = ledgerOf(graph, "rollback()");
  const signer = { by, ...(reason === undefined ? {} : { reason }) };
  const book = new LedgerBook(ledger, lock.lease, systemClock, signer);
  const earlier = await openRollback(ledger, threadId);
  const { scope, range } = await rangeAgain(thread, request.range, earlier);
  const affected = () => affectedIn({ saver: graph.checkpointer, ledger, threadId }, range);
  await lookedUp(book, (await affected()).doubtful, signal);
  const found = await affected();
  const plan = planOf(ref, scope, range, found);
  const standing = [...plan.stays, ...plan.doubtful];
  const mayStay = request.acceptStanding || earlier?.acceptStanding === true;
  if (standing.length > 0 && !mayStay) {
    await note(thread, signer, "rollback.refused", { scope, standing });
    throw new RollbackRefusedError(label, standing);
  }
  const { checkpointId: target } = plan.target;
  const open = earlier ?? (await beginRollback(book, threadId, wayTo(range, scope, request)));
  const context = { threadId };
  const events = eventsOf(graph.checkpointer);
  events.emit("rollback.started", context, { scope, target, effects: found.undo.length, automatic: by === AUTOMATIC });
  const report = await interruptible(label, target, signal, async (): Promise<RollbackReport> => {
    const { undone, failed } = await undoAll(book, found.undo, { signal, onProgress });
    if (failed.length > 0) {
      await note(thread, signer, "rollback.incomplete", { scope, failed });
      return { ...plan, outcome: "incomplete", undone, failed };
    }
    const checkpointId = await newHead(thread, range, open);
    await endRollback(book, open);
    if (range.stays !== true)
      await persistenceOf(graph.checkpointer)?.threads.record({ threadId, status: "paused", error: null });
    return { ...plan, outcome: "done", undone, failed, checkpointId };
  });
  const { outcome, undone, failed } = report;
  // What led to a rollback amid a run is settled by that run.
  if (report.checkpointId !== undefined && request.resumes !== true)
    await withdrawGone(graph.checkpointer, threadId, report.checkpointId);
  events.emit("rollback.finished", context, { scope, outcome, undone: undone.length, failed: failed.length });
  return report;
}

export async function plannedRollback(
  graph: RunnableGraph,
  ref: ThreadRef,
  request: RangeRequest,
): Promise<RollbackPlan> {
  const ledger = ledgerOf(graph, "planRollback()");
  const range = await rangeOf(graph, ref, request);
  const stores = { saver: graph.checkpointer, ledger, threadId: ref.threadId };
  return planOf(ref, request.scope, range, await affectedIn(stores, range));
}

/** @throws ConfigError where there is none */
export function ledgerOf({ checkpointer }: Pick<RunnableGraph, "checkpointer">, caller: string): EffectLedger {
  const ledger = persistenceOf(checkpointer)?.ledger;
  if (ledger !== undefined) return ledger;
  throw new ConfigError(
    `${caller}: the graph's checkpointer is not from openPersistence(), so there is no ledger that says what to undo`,
  );
}

function wayTo(
  { target, head, only, damage, stays }: Range,
  scope: RollbackScope,
  { because, run, resumes = false, acceptStanding }: RollbackRequest,
): RollbackWay {
  return {
    target: String(target.config.configurable?.checkpoint_id),
    head,
    scope,
    ...(only === undefined ? {} : { only }),
    ...(stays === true ? { stays } : {}),
    ...(damage === undefined ? {} : { isDamaged: true }),
    ...(resumes ? { resumes } : {}),
    ...(acceptStanding ? { acceptStanding } : {}),
    ...(run === undefined ? {} : { run }),
    ...(because === undefined ? {} : { because }),
  };
}

/** Whoever reads that the database is gone has to read as well how the thread stands, and what to do. */
async function interruptible<T>(
  thread: string,
  target: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = asError(thrown);
    const { category } = classifyError(error);
    // One that was told to stop, or has lost the thread, says so itself.
    if (category === "cancelled" || signal?.aborted === true) throw error;
    throw new RollbackInterruptedError(thread, target, category, error);
  }
}

/** One that died after it has its new head already: it was made from the target. */
async function newHead({ graph, ref, lock }: HeldThread, range: Range, open: OpenRollback): Promise<string> {
  const { target, head, damage } = range;
  if (range.stays === true || (await isMadeByIt(graph, ref, head, open))) return head;
  const { lease, loss } = lock;
  const hold: RunHold = { ...(lease === undefined ? {} : { lease }), abort: (reason) => loss.abort(reason) };
  if (damage !== undefined && head === open.head) {
    const sound = await graph.checkpointer.getTuple(target.config);
    if (sound === undefined) throw new InvalidInputError(`Checkpoint ${open.target} is no longer there to go back to`);
    return putStandIn(graph, sound, damage, hold);
  }
  const made = await graph.updateState({ configurable: { ...target.config.configurable, [RUN_HOLD]: hold } }, null);
  return String(made.configurable?.checkpoint_id);
}

async function isMadeByIt(
  graph: RunnableGraph,
  ref: ThreadRef,
  head: string,
  { head: before, target, isDamaged }: OpenRollback,
): Promise<boolean> {
  if (head === before) return false;
  // A stand-in is put beside its target.
  if (isDamaged === true) return true;
  const parent = (await graph.checkpointer.getTuple(root(ref, head)))?.parentConfig?.configurable?.checkpoint_id;
  return parent === target;
}

function planOf(
  { threadId, name }: ThreadRef,
  scope: RollbackScope,
  { target, head, from, stays }: Range,
  affected: Affected,
): RollbackPlan {
  return {
    threadId,
    ...(name === undefined ? {} : { name }),
    scope,
    target: {
      checkpointId: String(target.config.configurable?.checkpoint_id),
      step: target.metadata?.step ?? -1,
      next: nextOf(target),
    },
    head,
    leaves: stays === true ? 0 : from.size - 1,
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

/** What no change of the ledger says. */
async function note(
  { graph, ref }: HeldThread,
  signer: { readonly by: string; readonly reason?: string },
  what: string,
  details: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { threadId } = ref;
  const entry = { v: 1 as const, id: randomUUID(), at: systemClock.now(), ...signer, what, threadId, details };
  await persistenceOf(graph.checkpointer)?.audit?.append(entry);
}
