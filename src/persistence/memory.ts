/** The `memory:` plugin: everything in this process, gone with it. For tests and for trying things out. */
import type { RunnableConfig } from "@langchain/core/runnables";
import {
  type Checkpoint,
  type CheckpointMetadata,
  InMemoryStore,
  MemorySaver,
  type PendingWrite,
} from "@langchain/langgraph-checkpoint";
import { settleBeforeClose } from "../core/before-close.js";
import { systemClock } from "../core/clock.js";
import { createEventBus } from "../core/events.js";
import { registerCheckpointer } from "../core/persistence-of.js";
import type { Persistence, PersistencePlugin } from "../core/ports.js";
import { runHoldOf } from "../core/run-hold.js";
import { LeaseLostError } from "../errors/persistence-errors.js";
import { graphOf } from "./graph-of.js";
import { MemoryAttempts } from "./memory-attempts.js";
import { MemoryAudit } from "./memory-audit.js";
import { createMemoryCache } from "./memory-cache.js";
import { MemoryEffects } from "./memory-effects.js";
import { MemoryInbox } from "./memory-inbox.js";
import { MemoryLocks } from "./memory-locks.js";
import { MemoryStreams } from "./memory-streams.js";
import { MemoryThreads } from "./memory-threads.js";
import { createMemoryVersioned } from "./memory-versioned.js";
import { OpenedSaver } from "./opened-saver.js";
import { resolveOptions } from "./persistence-options.js";
import { byTheRules } from "./store-rules.js";
import { refuseUnstorable } from "./strict-state.js";

class TrackedMemorySaver extends MemorySaver {
  readonly threads = new MemoryThreads(this);
  readonly attempts = new MemoryAttempts();
  readonly streams = new MemoryStreams();
  readonly locks = new MemoryLocks();
  readonly audit = new MemoryAudit();
  readonly inbox = new MemoryInbox(this.audit);
  readonly ledger = new MemoryEffects(this.locks, this.audit);
  readonly #strict: boolean;

  constructor(strict: boolean) {
    super();
    this.#strict = strict;
  }

  override async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
  ): Promise<RunnableConfig> {
    this.#checkLease(config);
    this.#checkState(Object.entries(checkpoint.channel_values));
    const next = await super.put(config, checkpoint, metadata);
    if ((config.configurable?.checkpoint_ns ?? "") === "") {
      this.threads.touch(config.configurable?.thread_id, graphOf(config, metadata));
    }
    return next;
  }

  override async putWrites(
    config: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
    taskPath?: string,
  ): Promise<void> {
    this.#checkLease(config);
    this.#checkState(writes);
    await super.putWrites(config, writes, taskId, taskPath);
  }

  override async deleteThread(threadId: string): Promise<void> {
    await super.deleteThread(threadId);
    this.threads.forget(threadId);
    this.attempts.forget(threadId);
    this.streams.forget(threadId);
    this.ledger.forget(threadId);
    this.inbox.forget(threadId);
  }

  #checkState(values: readonly (readonly [channel: string, value: unknown])[]): void {
    if (this.#strict) for (const [channel, value] of values) refuseUnstorable(channel, value);
  }

  #checkLease(config: RunnableConfig): void {
    const lease = runHoldOf(config)?.lease;
    if (lease !== undefined && !this.locks.isHeld(lease)) throw new LeaseLostError(lease.name);
  }
}

export const memoryPlugin: PersistencePlugin = {
  open(_, given) {
    const events = createEventBus(systemClock.now);
    const saver = new TrackedMemorySaver(resolveOptions(given).strict);
    const persistence: Persistence = {
      checkpointer: new OpenedSaver(async () => saver, events),
      store: new InMemoryStore(),
      threads: saver.threads,
      ...byTheRules({
        attempts: saver.attempts,
        audit: saver.audit,
        breakers: createMemoryVersioned(),
        cache: createMemoryCache(),
        inbox: saver.inbox,
        ledger: saver.ledger,
        locks: saver.locks,
        streams: saver.streams,
      }),
      events,
      description: "memory of this process (lost when it ends)",
      ready: async () => {},
      close: () => settleBeforeClose(persistence),
    };
    registerCheckpointer(persistence.checkpointer, persistence);
    return persistence;
  },
};
