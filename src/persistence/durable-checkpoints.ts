/** Which checkpoints are known to be stored, and who waits for one to be. */
import type { RunnableConfig } from "@langchain/core/runnables";
import { getCheckpointId } from "@langchain/langgraph-checkpoint";
import { type Clock, systemClock } from "../core/clock.js";
import { ResilienceError } from "../errors/own-errors.js";

/** Checkpoints that one checkpointer remembers to be stored; asking the database for another costs one statement. */
const maxRemembered = 50_000;
const maxFailures = 1000;

/** Waits between looks into the database, for a checkpoint that another process stores, in milliseconds. */
const lookMs = { first: 10, longest: 500 };

/** Looks after which a checkpoint of a run in this process is not coming, if nothing is on its way. */
const looksInVain = 5;

export interface WhenDurableOptions {
  /** How long to wait at most, in milliseconds; default 30,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface DurableWait extends WhenDurableOptions {
  /**
   * Whether the run that makes the checkpoint is one of this process, on this checkpointer: then it is not waited for
   * once nothing of the thread is being written any more. Default false.
   */
  readonly runsHere?: boolean;
}

interface Place {
  readonly threadId: string;
  readonly namespace: string;
  readonly checkpointId: string;
}

type Waiter = (error?: unknown) => void;

export class DurableCheckpoints {
  readonly #stored = new Set<string>();
  /** Why the last puts that failed did. */
  readonly #failed = new Map<string, unknown>();
  readonly #waiters = new Map<string, Set<Waiter>>();
  /** How many writes are on their way, by thread. */
  readonly #writing = new Map<string, number>();
  readonly #isStored: (config: RunnableConfig) => Promise<boolean>;
  readonly #clock: Clock;

  constructor(isStored: (config: RunnableConfig) => Promise<boolean>, clock: Clock = systemClock) {
    this.#isStored = isStored;
    this.#clock = clock;
  }

  /** A write of the thread is on its way. */
  begun({ configurable }: RunnableConfig): () => void {
    const threadId = String(configurable?.thread_id);
    this.#writing.set(threadId, (this.#writing.get(threadId) ?? 0) + 1);
    return () => {
      const left = (this.#writing.get(threadId) ?? 1) - 1;
      if (left > 0) this.#writing.set(threadId, left);
      else this.#writing.delete(threadId);
    };
  }

  /** A put has been acknowledged. */
  stored(config: RunnableConfig, checkpointId: string): void {
    const key = keyOf({ ...threadOf(config), checkpointId });
    this.#stored.add(key);
    if (this.#stored.size > maxRemembered) this.#stored.delete(this.#stored.values().next().value ?? "");
    if (this.#failed.size > 0) this.#failed.delete(key);
    this.#settle(key);
  }

  /** A put has been rejected. */
  failed(config: RunnableConfig, checkpointId: string, error: unknown): void {
    const key = keyOf({ ...threadOf(config), checkpointId });
    this.#failed.set(key, error);
    if (this.#failed.size > maxFailures) this.#failed.delete(this.#failed.keys().next().value ?? "");
    this.#settle(key, error);
  }

  forget(threadId: string): void {
    const ofThread = (key: string) => key.startsWith(`${threadId}\x01`);
    for (const key of this.#stored) if (ofThread(key)) this.#stored.delete(key);
    for (const key of this.#failed.keys()) if (ofThread(key)) this.#failed.delete(key);
  }

  /**
   * @throws the error of a put that failed, the signal's reason, or NOT_DURABLE when time ran out
   */
  async when(config: RunnableConfig, options: DurableWait = {}): Promise<void> {
    for (const place of placesOf(config)) {
      if (!this.#stored.has(keyOf(place))) await this.#waitFor(place, options);
    }
  }

  async #waitFor(place: Place, { timeoutMs = 30_000, signal, runsHere = false }: DurableWait): Promise<void> {
    const told = new AbortController();
    let failure: { readonly error: unknown } | undefined;
    const waiter: Waiter = (...failed) => {
      if (failed.length > 0) failure = { error: failed[0] };
      told.abort();
    };
    const key = keyOf(place);
    if (this.#failed.has(key)) throw this.#failed.get(key);
    const waiters = this.#waiters.get(key) ?? new Set();
    this.#waiters.set(key, waiters.add(waiter));
    const wake = signal === undefined ? told.signal : AbortSignal.any([signal, told.signal]);
    const until = this.#clock.now() + timeoutMs;
    try {
      let idleLooks = 0;
      for (let waitMs = lookMs.first; !told.signal.aborted; waitMs = Math.min(waitMs * 2, lookMs.longest)) {
        signal?.throwIfAborted();
        if (await this.#isStored(configOf(place))) break;
        idleLooks = this.#writing.has(place.threadId) ? 0 : idleLooks + 1;
        if (this.#clock.now() >= until || (runsHere && idleLooks >= looksInVain)) throw notDurable(place, timeoutMs);
        await this.#clock.sleep(Math.min(waitMs, timeoutMs), wake).catch(() => {});
      }
    } finally {
      waiters.delete(waiter);
      if (waiters.size === 0) this.#waiters.delete(key);
    }
    if (failure !== undefined) throw failure.error;
    this.#stored.add(key);
  }

  #settle(key: string, ...failed: unknown[]): void {
    for (const waiter of this.#waiters.get(key) ?? []) waiter(...failed);
  }
}

/** The checkpoint of the config itself, and those of the graphs around it, on which a node inside a run stands. */
function placesOf(config: RunnableConfig): Place[] {
  const { checkpoint_map: map = {} } = config.configurable ?? {};
  const thread = threadOf(config);
  const places = Object.entries(map as Record<string, unknown>).map(([namespace, checkpointId]) => ({
    ...thread,
    namespace,
    checkpointId: String(checkpointId),
  }));
  const own = getCheckpointId(config);
  return own ? [...places, { ...thread, checkpointId: own }] : places;
}

function threadOf({ configurable }: RunnableConfig): Pick<Place, "threadId" | "namespace"> {
  return { threadId: String(configurable?.thread_id), namespace: String(configurable?.checkpoint_ns ?? "") };
}

function configOf({ threadId, namespace, checkpointId }: Place): RunnableConfig {
  return { configurable: { thread_id: threadId, checkpoint_ns: namespace, checkpoint_id: checkpointId } };
}

function keyOf({ threadId, namespace, checkpointId }: Place): string {
  return `${threadId}\x01${namespace}\x01${checkpointId}`;
}

function notDurable({ threadId, checkpointId }: Place, timeoutMs: number): ResilienceError {
  return new ResilienceError(
    "NOT_DURABLE",
    `Checkpoint ${checkpointId} of thread "${threadId}" was not stored within ${timeoutMs} ms, or nothing of its thread is being stored any more. With durability "exit", or in a subgraph without a checkpointer, it never is: run with "sync" or "async"`,
    { details: { threadId, checkpointId, timeoutMs } },
  );
}
