/** Writes exactly what the stock saver would, in one statement: for threads that it is to read again. */
import type { RunnableConfig } from "@langchain/core/runnables";
import {
  type ChannelVersions,
  type Checkpoint,
  type CheckpointMetadata,
  type PendingWrite,
  WRITES_IDX_MAP,
} from "@langchain/langgraph-checkpoint";
import { runHoldOf } from "../core/run-hold.js";
import { LeaseLostError } from "../errors/persistence-errors.js";
import { graphOf } from "./graph-of.js";
import { storable } from "./native/storable.js";
import { putCheckpoint, putTaskWrites, type WriteRow } from "./saver-statements.js";
import type { Statement } from "./sql-pool.js";
import { toStorableJson } from "./storable-text.js";

/** What of the stock saver is used: its own serialization. */
export interface StockDump {
  blobs(
    threadId: string,
    namespace: string,
    values: Record<string, unknown>,
    versions: ChannelVersions,
  ): Promise<[string, string, string, string, string, Uint8Array | undefined][]>;
  checkpoint(checkpoint: Checkpoint): object;
  writes(writes: [string, unknown][]): Promise<[string, string, string, string, number, string, string, Uint8Array][]>;
  metadataJson(metadata: CheckpointMetadata): Promise<string>;
}

export interface StockWriterOptions {
  readonly schema: string;
  readonly dump: StockDump;
  readonly keepThreads: boolean;
  readonly ownTables: boolean;
  /** Runs the statements together, after the guard, which gives a row if they may. */
  write(statements: readonly Statement[], guard: Statement | undefined): Promise<"written" | "refused">;
  /** Whether a checkpoint is in this package's own format. */
  isNative(threadId: string, namespace: string, checkpointId: string): Promise<boolean>;
  /**
   * Stores the writes to a checkpoint in this package's own format, which stock does not read anyway: beside the
   * others of its tasks, of which they may take the place. Absent where that format's tables are not there.
   */
  readonly nativeWrites?: (
    config: RunnableConfig,
    writes: readonly [channel: string, value: Serialized][],
    taskId: string,
    taskPath: string,
  ) => Promise<void>;
}

/** A value as the serializer has given it. */
export interface Serialized {
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** Checkpoints known to be in stock's format, for which nothing need be asked. */
const maxKnown = 10_000;

export class StockWriter {
  readonly #options: StockWriterOptions;
  readonly #known = new Set<string>();

  constructor(options: StockWriterOptions) {
    this.#options = options;
  }

  async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<void> {
    const { schema, dump, keepThreads } = this.#options;
    const { thread_id, checkpoint_ns = "", checkpoint_id } = config.configurable ?? {};
    const threadId = storable(thread_id, "thread_id");
    const namespace = storable(checkpoint_ns, "checkpoint_ns");
    const parentId = checkpoint_id ? storable(checkpoint_id, "checkpoint_id") : undefined;
    const serialized = Promise.all([
      dump.blobs(thread_id, checkpoint_ns, checkpoint.channel_values, newVersions),
      dump.metadataJson(metadata),
    ]);
    let [blobs, metadataJson] = await serialized;
    if (parentId !== undefined && (await this.#isNative(threadId, namespace, parentId))) {
      // What the parent has is where stock would not look, so all of it is written, not only what is new.
      blobs = await dump.blobs(thread_id, checkpoint_ns, checkpoint.channel_values, checkpoint.channel_versions);
    }
    await this.#write(
      config,
      putCheckpoint(schema, {
        threadId,
        namespace,
        checkpointId: storable(checkpoint.id, "checkpoint ID"),
        parentId,
        checkpoint: toStorableJson(JSON.stringify(dump.checkpoint(checkpoint))),
        metadata: metadataJson,
        blobs: blobs.map(([, , channel, version, type, blob]) => ({
          channel: storable(channel, "channel"),
          version,
          type,
          blob,
        })),
        ...(keepThreads && checkpoint_ns === "" ? { thread: { graph: graphOf(config, metadata) } } : {}),
      }),
    );
    this.#remember(threadId, namespace, storable(checkpoint.id, "checkpoint ID"));
  }

  async putWrites(
    config: RunnableConfig,
    writes: readonly PendingWrite[],
    taskId: string,
    taskPath: string,
  ): Promise<void> {
    const { schema, dump, ownTables, nativeWrites } = this.#options;
    const { thread_id, checkpoint_ns = "", checkpoint_id } = config.configurable ?? {};
    const replace = writes.every(([channel]) => channel in WRITES_IDX_MAP);
    const dumped = await dump.writes(writes as [string, unknown][]);
    const threadId = storable(thread_id, "thread_id");
    const namespace = storable(checkpoint_ns, "checkpoint_ns");
    const checkpointId = storable(checkpoint_id, "checkpoint_id");
    if (nativeWrites !== undefined && (await this.#isNative(threadId, namespace, checkpointId))) {
      const serialized = dumped.map(
        ([, , , , , channel, type, bytes]) => [channel, { type, bytes }] as [string, Serialized],
      );
      return nativeWrites(config, serialized, taskId, taskPath);
    }
    // One statement cannot replace a row twice: of two special writes under one number the last counts, as in stock.
    const byIdx = new Map<number, WriteRow>();
    for (const [, , , , idx, channel, type, blob] of dumped) {
      if (replace || !byIdx.has(idx)) byIdx.set(idx, { idx, channel: storable(channel, "channel"), type, blob });
    }
    await this.#write(
      config,
      putTaskWrites(schema, {
        threadId,
        namespace,
        checkpointId,
        taskId: storable(taskId, "task ID"),
        replace,
        writes: [...byIdx.values()],
        ...(ownTables && taskPath !== "" ? { taskPath: storable(taskPath, "task path") } : {}),
      }),
    );
  }

  async #write(config: RunnableConfig, statements: readonly Statement[]): Promise<void> {
    const lease = runHoldOf(config)?.lease;
    const { schema, write } = this.#options;
    // In one transaction with what it guards, so that whoever takes the lease waits for these writes, or they for it.
    const guard = lease && {
      text: `select name from "${schema}".lgr_locks where name = $1 and token = $2 and expires_at > now() for share`,
      values: [lease.name, lease.token],
    };
    if ((await write(statements, guard)) === "refused") throw new LeaseLostError(lease?.name ?? "");
  }

  async #isNative(threadId: string, namespace: string, checkpointId: string): Promise<boolean> {
    if (this.#known.has(key(threadId, namespace, checkpointId))) return false;
    const native = await this.#options.isNative(threadId, namespace, checkpointId);
    if (!native) this.#remember(threadId, namespace, checkpointId);
    return native;
  }

  #remember(threadId: string, namespace: string, checkpointId: string): void {
    this.#known.add(key(threadId, namespace, checkpointId));
    if (this.#known.size > maxKnown) this.#known.delete(this.#known.values().next().value ?? "");
  }
}

function key(...parts: string[]): string {
  return parts.join("\x01");
}
