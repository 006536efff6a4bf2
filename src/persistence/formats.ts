/** The parts of the saver for the format it writes; both formats are read either way. */
import type { RunnableConfig } from "@langchain/core/runnables";
import type {
  ChannelVersions,
  Checkpoint,
  CheckpointMetadata,
  PendingWrite,
  SerializerProtocol,
} from "@langchain/langgraph-checkpoint";
import { CheckpointReader } from "./native/checkpoint-reader.js";
import { CheckpointWriter, type WriterOptions } from "./native/checkpoint-writer.js";
import { Database } from "./native/database.js";
import { StateCache } from "./native/state-cache.js";
import { storable } from "./native/storable.js";
import type { SqlPool } from "./sql-pool.js";
import { type Serialized, StockWriter, type StockWriterOptions } from "./stock-writer.js";

interface Writer {
  put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<void>;
  putWrites(config: RunnableConfig, writes: readonly PendingWrite[], taskId: string, taskPath: string): Promise<void>;
}

export interface CheckpointFormat {
  readonly reader: CheckpointReader;
  readonly writer: Writer;
  readonly hasOwnTables: boolean;
  /** Forgets what is remembered of a thread. */
  forget(threadKey: string): void;
  isStored(config: RunnableConfig): Promise<boolean>;
}

export interface FormatOptions extends Pick<StockWriterOptions, "dump" | "write" | "keepThreads"> {
  readonly schema: string;
  readonly pool: SqlPool;
  readonly serde: SerializerProtocol;
  /** Whether this package's own format is written. */
  readonly native: boolean;
  readonly hasOwnTables: boolean;
  readonly now: () => number;
  readonly makeTables: () => Promise<void>;
  readonly nextVersion: (current: number | undefined) => number;
}

/** For values that went through the serializer already. */
const asSerialized: SerializerProtocol = {
  dumpsTyped: async ({ type, bytes }: Serialized) => [type, bytes],
  loadsTyped: async (type: string, bytes: Uint8Array | string) => ({ type, bytes }),
};

export function formatOf(options: FormatOptions): CheckpointFormat {
  const { schema, serde, hasOwnTables, native, keepThreads, nextVersion } = options;
  const cache = new StateCache(options.now);
  const database = new Database(options.pool, options.makeTables);
  const reader = new CheckpointReader({ schema, serde, cache, database, ownTables: hasOwnTables, nextVersion });
  const ask = async (what: string, threadId: string, namespace: string, checkpointId: string) => {
    const text = `select 1 from "${schema}".checkpoints where thread_id = $1 and checkpoint_ns = $2 and checkpoint_id = $3${what}`;
    return (await database.rows({ text, values: [threadId, namespace, checkpointId] })).length > 0;
  };
  const nativeWriter = (more: Pick<WriterOptions, "serde" | "stockWrites">) =>
    new CheckpointWriter({
      schema,
      cache,
      database,
      keepThreads,
      loadState: (threadId, namespace, checkpointId) => reader.loadState(threadId, namespace, checkpointId),
      findVersion: (threadId, namespace, channel, version) => reader.findVersion(threadId, namespace, channel, version),
      ...more,
    });
  const stockWriter = (more: Pick<StockWriterOptions, "isNative" | "nativeWrites">) =>
    new StockWriter({
      schema,
      dump: options.dump,
      write: options.write,
      keepThreads,
      ownTables: hasOwnTables,
      ...more,
    });
  // The writes of tasks go where those are that their checkpoint has already, so that the newer take the place of the older.
  const beside = native
    ? stockWriter({ isNative: async () => false })
    : hasOwnTables
      ? nativeWriter({ serde: asSerialized })
      : undefined;
  const putBeside: Writer["putWrites"] | undefined = beside && ((...writes) => beside.putWrites(...writes));
  const writer = native
    ? nativeWriter({ serde, ...(putBeside && { stockWrites: putBeside }) })
    : stockWriter({
        isNative: (threadId, namespace, checkpointId) =>
          ask(" and type is not null", threadId, namespace, checkpointId),
        ...(putBeside && { nativeWrites: putBeside }),
      });
  return {
    reader,
    writer: {
      put: (...put) => writer.put(...put),
      putWrites: (config, ...writes) => {
        reader.deltas.wroteAt(config);
        return writer.putWrites(config, ...writes);
      },
    },
    hasOwnTables,
    forget(key) {
      cache.forget(key);
      reader.deltas.forget(key);
    },
    isStored: ({ configurable = {} }) =>
      ask(
        "",
        storable(configurable.thread_id, "thread_id"),
        storable(configurable.checkpoint_ns ?? "", "checkpoint_ns"),
        storable(configurable.checkpoint_id, "checkpoint_id"),
      ),
  };
}
