/** One run of a graph on a thread, from the record of its start to the record of its end. */
import { isGraphDrained, type RunControl } from "@langchain/langgraph";
import { Cancellation } from "../../core/abort.js";
import type { ResilienceEvent, WentBack } from "../../core/events.js";
import { eventsOf, persistenceOf } from "../../core/persistence-of.js";
import type { ThreadStatus } from "../../core/ports.js";
import { redactText } from "../../core/redact.js";
import { RUN_HOLD, type RunHold } from "../../core/run-hold.js";
import type { Category } from "../../errors/categories.js";
import { rethrowControlFlow } from "../../errors/control-flow.js";
import { asError, ResilienceError } from "../../errors/own-errors.js";
import { settleInbox } from "../inbox/settle-inbox.js";
import { ANSWER_REFUSED } from "../internals.js";
import { FAULTS_KEY, THREAD_NAME_KEY } from "../run-context.js";
import { type LockOptions, type ThreadLock, withThreadLock } from "../thread-lock.js";
import { automaticQuestion, finishRollback } from "./automatic-rollback.js";
import type { DamageOptions } from "./damage.js";
import { type Durability, graphNameOf, type RunnableGraph } from "./graph.js";
import { checkFaults } from "./injected-faults.js";
import { errorText, inspectResolved, type PendingInterrupt, type ThreadInspection } from "./inspect-thread.js";
import type { ThreadRef } from "./resolve-thread.js";

export interface RunOptions extends DamageOptions {
  /** The graph's key in langgraph.json; default the name it was compiled with. Stored with the thread. */
  readonly graphName?: string;
  /**
   * The thread is locked while the run lasts, so that no two runs are at it at once; a second one is refused with
   * ThreadBusyError. `false` runs it unlocked: then that is yours to see to. Without effect where the graph's
   * checkpointer is not of `openPersistence`, or of a plugin without locks.
   */
  readonly lock?: LockOptions | false;
  /** Aborts the run at once; the thread can be resumed. */
  readonly signal?: AbortSignal;
  /** `control.requestDrain()` stops the run after the current step; the thread can be resumed. */
  readonly control?: RunControl;
  /** Supersteps at most; default LangGraph's own (25). */
  readonly recursionLimit?: number;
  /**
   * When a checkpoint is written. Default "sync": a superstep begins when what it stands on is durable, so that a killed
   * process repeats at most the superstep in flight. "async" (LangGraph's own default) may lose any number of them.
   */
  readonly durability?: Durability;
  /** Called for each event of this thread, and of the services it shares with others, while the run lasts. */
  readonly onEvent?: (event: ResilienceEvent) => void;
  /** Further keys for `config.configurable`. */
  readonly configurable?: Readonly<Record<string, unknown>>;
  /** Node → category: each attempt of the node, fallbacks included, fails with it. To rehearse a failure. */
  readonly injectFaults?: Readonly<Record<string, Category>>;
}

export interface RunResult extends ThreadRef {
  readonly status: Exclude<ThreadStatus, "running">;
  /** The state as it stands, also after a failure. */
  readonly values: Readonly<Record<string, unknown>>;
  /** What a person has to answer, when `status` is `waiting_human`. */
  readonly waitingFor: readonly PendingInterrupt[];
  /** The failure, when `status` is `failed` or `aborted`; why an answer was refused, when it is `waiting_human`. */
  readonly error?: Error;
  /** The newest checkpoint; absent when none is stored, and when `unreadable`. */
  readonly checkpointId?: string;
  /** Present when the database could not be read at the end: what is stored is safe but not known here. */
  readonly unreadable?: true;
  /** Nodes that a resume would run. */
  readonly next: readonly string[];
  /** Present when it went on from before a damaged checkpoint. */
  readonly wentBack?: WentBack;
  /** False when there was nothing to run: the thread had finished, or waits for an answer that was not given. */
  readonly ran: boolean;
}

/** What a run is made of: which graph on which thread, under which lock, and how. */
export interface ThreadRun {
  readonly graph: RunnableGraph;
  readonly ref: ThreadRef;
  readonly lock: ThreadLock;
  readonly options: RunOptions;
}

/** What a run begins with: an input, a command, or null to go on; and from which checkpoint, if not from the head. */
export interface Beginning {
  readonly input: unknown;
  readonly resumed: boolean;
  readonly from?: string | undefined;
  readonly wentBack?: WentBack | undefined;
}

/**
 * Does the work while it holds the thread.
 *
 * @throws ThreadError THREAD_NOT_RESUMABLE while a rollback of the thread is not finished
 */
export function withRun<T>(
  caller: string,
  graph: RunnableGraph,
  ref: ThreadRef,
  options: RunOptions,
  work: (run: ThreadRun) => Promise<T>,
): Promise<T> {
  return withHeldThread(caller, graph, ref, options, async (run) => {
    const { onEvent, signal } = options;
    const unsubscribe =
      onEvent && eventsOf(graph.checkpointer).subscribe((event) => (isOf(event, ref) ? onEvent(event) : undefined));
    try {
      await finishRollback(run, signal);
      return await work(run);
    } finally {
      unsubscribe?.();
    }
  });
}

/** The same in the middle of a rollback too; see thread-lock.ts. */
export async function withHeldThread<T>(
  caller: string,
  graph: RunnableGraph,
  ref: ThreadRef,
  options: RunOptions,
  work: (run: ThreadRun) => Promise<T>,
): Promise<T> {
  const { lock, signal, control } = options;
  const { threadId, name: label = threadId } = ref;
  const locks = persistenceOf(graph.checkpointer)?.locks;
  return await withThreadLock({ caller, threadId, label, locks, lock, signal, control }, (held) =>
    work({ graph, ref, lock: held, options }),
  );
}

/** One run, to where it ends: what is left to be done by itself comes after it, see gone-on.ts. */
export async function runOnce(run: ThreadRun, beginning: Beginning): Promise<RunResult> {
  const { graph, ref, options } = run;
  checkFaults(graph, options.injectFaults);
  const persistence = persistenceOf(graph.checkpointer);
  const events = eventsOf(graph.checkpointer);
  const graphName = graphNameOf(graph, options.graphName);
  const context = { threadId: ref.threadId, ...(graphName === undefined ? {} : { graph: graphName }) };
  await persistence?.threads.record({
    ...ref,
    ...(graphName === undefined ? {} : { graph: graphName }),
    status: "running",
    error: null,
  });
  events.emit("run.started", context, { resumed: beginning.resumed });
  const { wentBack } = beginning;
  if (wentBack !== undefined) events.emit("run.wentBack", context, wentBack);
  const result = await outcome(run, await invoke(run, beginning, graphName));
  const message = result.error === undefined ? undefined : errorText(result.error);
  // Nobody has to answer yet.
  const isAsked = automaticQuestion(result.waitingFor) === undefined;
  const ended = result.status === "waiting_human" && !isAsked ? "paused" : result.status;
  events.emit("run.finished", context, { outcome: ended, ...(message === undefined ? {} : { message }) });
  return wentBack === undefined ? result : { ...result, wentBack };
}

function isOf({ threadId }: ResilienceEvent, ref: ThreadRef): boolean {
  return threadId === undefined || threadId === ref.threadId;
}

/**
 * What the run came to, recorded. A database that is gone by now makes it a failure like any other, and a thread that is
 * another's by now, too, which is then recorded by that one.
 */
async function outcome({ graph, ref, lock }: ThreadRun, endedBy: Error | undefined): Promise<RunResult> {
  let failure = endedBy;
  try {
    const held = await lock.isHeld();
    if (!held) failure = asError(lock.loss.reason);
    const inspection = await inspectResolved(graph, ref);
    failure ??= inspection.damage;
    const status = statusOf(failure, inspection);
    const error = status === "drained" ? undefined : failure;
    const message = error === undefined ? null : redactText(errorText(error));
    if (held)
      await persistenceOf(graph.checkpointer)?.threads.record({ threadId: ref.threadId, status, error: message });
    const { values, waitingFor, next, checkpointId } = inspection;
    // An aborted thread asks nothing, though its questions are still stored.
    if (held)
      await settleInbox(graph.checkpointer, status === "aborted" ? { ...inspection, waitingFor: [] } : inspection);
    return {
      ...ref,
      status,
      values,
      waitingFor,
      next,
      ...(error === undefined ? {} : { error }),
      ...(checkpointId === undefined ? {} : { checkpointId }),
      ran: true,
    };
  } catch (thrown) {
    rethrowControlFlow(thrown);
    return {
      ...ref,
      status: "failed",
      unreadable: true,
      values: {},
      waitingFor: [],
      next: [],
      error: failure ?? asError(thrown),
      ran: true,
    };
  }
}

/** @returns what ended the run early, if anything did */
async function invoke(
  { graph, ref, lock, options }: ThreadRun,
  { input, from }: Beginning,
  graphName: string | undefined,
): Promise<Error | undefined> {
  const { signal, control, recursionLimit, durability = "sync", injectFaults } = options;
  const running = new Cancellation({ outer: signal });
  let broken: Error | undefined;
  const abort = (reason: Error): void => {
    if (running.aborted) return;
    broken = reason;
    running.abort(reason);
  };
  const hold: RunHold = {
    ...(lock.lease === undefined ? {} : { lease: lock.lease }),
    abort: (reason) => (codeOf(reason) === "LEASE_LOST" ? lock.loss.abort(reason) : abort(reason)),
  };
  const losing = new Cancellation({ outer: lock.loss.signal, onAbort: (reason) => abort(asError(reason)) });
  try {
    await graph.invoke(input, {
      configurable: {
        ...options.configurable,
        thread_id: ref.threadId,
        ...(ref.name === undefined ? {} : { [THREAD_NAME_KEY]: ref.name }),
        ...(graphName === undefined ? {} : { graph_id: graphName }),
        ...(from === undefined ? {} : { checkpoint_id: from }),
        ...(injectFaults === undefined ? {} : { [FAULTS_KEY]: injectFaults }),
        [RUN_HOLD]: hold,
      },
      signal: running.signal,
      ...(control === undefined ? {} : { control }),
      ...(recursionLimit === undefined ? {} : { recursionLimit }),
      durability,
    });
    return broken;
  } catch (error) {
    if (broken !== undefined) return broken;
    // A run that was told to stop has not failed, whatever the step in flight made of it.
    if (signal?.aborted) return new Stopped(signal.reason);
    return thrownByNode(asError(error));
  } finally {
    losing.dispose();
    running.dispose();
  }
}

function codeOf(error: Error): unknown {
  return (error as { code?: unknown }).code;
}

/** The user's own error, beneath the one that carried it out of the graph. */
function thrownByNode(error: Error): Error {
  return codeOf(error) === "NODE_FAILED" && error.cause instanceof Error ? error.cause : error;
}

class Stopped extends ResilienceError {
  constructor(reason: unknown) {
    super("CANCELLED", `The run was stopped${reason instanceof Error ? `: ${reason.message}` : ""}`, { cause: reason });
  }
}

function statusOf(failure: Error | undefined, { waitingFor, status }: ThreadInspection): RunResult["status"] {
  if (failure === undefined)
    return waitingFor.length > 0 ? "waiting_human" : status === "succeeded" ? status : "paused";
  const code = codeOf(failure);
  // The answer did not fit the question; it is still open.
  if (code === ANSWER_REFUSED) return "waiting_human";
  if (failure instanceof Stopped || isGraphDrained(failure)) return "drained";
  return code === "RUN_ABORTED" ? "aborted" : "failed";
}
