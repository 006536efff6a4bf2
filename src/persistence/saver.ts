import type { RunnableConfig } from "@langchain/core/runnables";
import type {
  ChannelVersions,
  Checkpoint,
  CheckpointListOptions,
  CheckpointMetadata,
  CheckpointTuple,
  DeltaChannelHistory,
  PendingWrite,
  SerializerProtocol,
} from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import pg from "pg";
import { CheckpointCorruptError } from "../errors/persistence-errors.js";
import { nextChannelVersion } from "./channel-version.js";
import { DurableCheckpoints, type WhenDurableOptions } from "./durable-checkpoints.js";
import { endRunOf, noteRun } from "./failed-write.js";
import { LazyFormat } from "./lazy-format.js";
import { migrateAll, migrateCheckpoints } from "./migrations.js";
import { storable } from "./native/storable.js";
import { threadKey } from "./native/stored-object.js";
import { Quarantine } from "./quarantine.js";
import { deleteEverything } from "./saver-statements.js";
import { connectionTimeoutMs, guardPool, type SqlPool, writeTogether } from "./sql-pool.js";
import { toStorableJson } from "./storable-text.js";
import { refuseUnstorable } from "./strict-state.js";

export interface ResilientSaverOptions {
  /** PostgreSQL schema of the tables; default "public". */
  readonly schema?: string;
  /**
   * Writes exactly the rows the stock saver would, so that it can go on with every thread at any time; default false.
   * Slower and larger by far, and rows carry no checksums. Either way both formats are read.
   */
  readonly compatible?: boolean;
  /** Also keeps a row for each thread, for lists of threads; default false. `openPersistence` turns it on. */
  readonly keepThreads?: boolean;
  /**
   * Refuses state that would come back as something else (a Date, a class instance, NaN, a circle) with
   * `InvalidInputError`, which names the channel and the path in it; default false: it is stored as the stock saver does.
   * The rules are those of the stock serializer.
   */
  readonly strict?: boolean;
  /** Told once of each damage that is come upon, before the call rejects with it. It is on record in `lgr_quarantine`. */
  readonly onCorrupt?: (error: CheckpointCorruptError) => void;
}

/**
 * A drop-in for the stock `PostgresSaver`: it goes on with the threads of a database that the stock saver wrote, and is
 * right where that is wrong. Forks read their own branch's values; writes come back in the order of the live run; NUL
 * and lone surrogates are stored; `setup()` may be called from anywhere at once, and is not needed; a connection that is
 * terminated neither ends the process nor returns to the pool; a transient error is retried (every write is idempotent)
 * and a failure is reported by its own error. A write that is acknowledged is committed.
 *
 * It writes what concurrent threads have waiting in one statement, stores long texts once a thread and growing lists by
 * what they grew, and gives every checkpoint a checksum over all it needs. Stock refuses checkpoints in this format with
 * an error of its own; `compatible: true` keeps to stock's.
 *
 * Errors are those of node-postgres, with their SQLSTATE in `code`; {@link CheckpointCorruptError} for a checkpoint that
 * is not what was written; `LeaseLostError` for a write of a run whose hold on the thread is over.
 */
export class ResilientPostgresSaver extends PostgresSaver {
  readonly #pool: SqlPool;
  readonly #schema: string;
  readonly #settings: ResilientSaverOptions;
  readonly #durable: DurableCheckpoints;
  readonly #quarantine: Quarantine;
  readonly #format: LazyFormat;
  #settingUp: Promise<void> | undefined;

  constructor(pool: pg.Pool | SqlPool, serde?: SerializerProtocol, options: ResilientSaverOptions = {}) {
    const schema = options.schema ?? "public";
    super(pool as pg.Pool, serde, { schema });
    this.#pool = pool;
    this.#schema = schema;
    this.#settings = options;
    this.#quarantine = new Quarantine({ pool, schema, onCorrupt: options.onCorrupt });
    this.#format = new LazyFormat({
      pool,
      schema,
      serde: this.serde,
      compatible: options.compatible ?? false,
      keepThreads: options.keepThreads ?? false,
      makeTables: () => this.setup(),
      nextVersion: (current) => this.getNextVersion(current),
      dump: {
        blobs: (threadId, namespace, values, versions) => this._dumpBlobs(threadId, namespace, values, versions),
        checkpoint: (checkpoint) => this._dumpCheckpoint(checkpoint),
        writes: (writes) => this._dumpWrites("", "", "", "", writes),
        metadataJson: async (metadata) => {
          const [, json] = await this.serde.dumpsTyped(metadata);
          return toStorableJson(new TextDecoder().decode(json));
        },
      },
    });
    this.#durable = new DurableCheckpoints(async (config) => (await this.#format.opened()).isStored(config));
    guardPool(pool);
  }

  /** A saver on a pool of its own; `end()` closes it. A connection attempt fails after 10 s without an answer. */
  static override fromConnString(connString: string, options?: ResilientSaverOptions): ResilientPostgresSaver {
    const pool = new pg.Pool({ connectionString: connString, connectionTimeoutMillis: connectionTimeoutMs });
    return new ResilientPostgresSaver(pool, undefined, options);
  }

  /** Makes the tables or brings them up to date. Safe to call at any time, from any number of callers and processes. */
  override async setup(): Promise<void> {
    const { compatible, keepThreads } = this.#settings;
    const migrate = compatible === true && keepThreads !== true ? migrateCheckpoints : migrateAll;
    this.#settingUp ??= migrate(this.#pool, this.#schema).finally(() => {
      this.#settingUp = undefined;
    });
    await this.#settingUp;
  }

  /** Unique to the branch, see channel-version.ts. */
  override getNextVersion(current: number | undefined): number {
    return nextChannelVersion(current);
  }

  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const { reader } = await this.#format.opened();
    return this.#quarantine.noting(reader.getTuple(config));
  }

  /** Newest first. Throws at a damaged checkpoint, once those before it have been given. */
  override async *list(config: RunnableConfig, options: CheckpointListOptions = {}): AsyncGenerator<CheckpointTuple> {
    for await (const found of this.listSound(config, options)) {
      if (found instanceof CheckpointCorruptError) throw found;
      yield found;
    }
  }

  /** Like {@link list}, with the error of a damaged checkpoint in its place, and those after it still come. */
  async *listSound(
    config: RunnableConfig,
    options: CheckpointListOptions = {},
  ): AsyncGenerator<CheckpointTuple | CheckpointCorruptError> {
    const [where, values] = this._searchWhere(config, options.filter, options.before);
    const limit = options.limit === undefined ? undefined : Number.parseInt(String(options.limit), 10);
    const { reader } = await this.#format.opened();
    for await (const found of reader.scan(where, values, limit)) {
      if (found instanceof CheckpointCorruptError) await this.#quarantine.note(found);
      yield found;
    }
  }

  protected override _searchWhere(
    config?: RunnableConfig,
    filter?: Record<string, unknown>,
    before?: RunnableConfig,
  ): [string, unknown[]] {
    const values: unknown[] = [];
    const wheres: string[] = [];
    const add = (condition: string, value: unknown) => wheres.push(`${condition} $${values.push(value)}`);
    const { thread_id, checkpoint_ns, checkpoint_id } = config?.configurable ?? {};
    if (thread_id) add("cp.thread_id =", storable(thread_id, "thread_id"));
    if (checkpoint_ns !== undefined && checkpoint_ns !== null)
      add("cp.checkpoint_ns =", storable(checkpoint_ns, "checkpoint_ns"));
    if (checkpoint_id) add("cp.checkpoint_id =", storable(checkpoint_id, "checkpoint_id"));
    if (filter && Object.keys(filter).length > 0) add("cp.metadata @>", toStorableJson(JSON.stringify(filter)));
    if (before?.configurable?.checkpoint_id !== undefined)
      add("cp.checkpoint_id <", storable(before.configurable.checkpoint_id, "checkpoint_id"));
    return [wheres.length > 0 ? `where ${wheres.join(" and ")}` : "", values];
  }

  override put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<RunnableConfig> {
    noteRun(config);
    return this.#put(config, checkpoint, metadata, newVersions).then(
      () => {
        this.#durable.stored(config, checkpoint.id);
        const { thread_id, checkpoint_ns = "" } = config.configurable ?? {};
        return { configurable: { thread_id, checkpoint_ns, checkpoint_id: checkpoint.id } };
      },
      (error: unknown) => {
        this.#durable.failed(config, checkpoint.id, error);
        endRunOf(config, error);
        throw error;
      },
    );
  }

  async #put(...put: Parameters<PostgresSaver["put"]>): Promise<void> {
    const [config, { channel_values }, , newVersions] = put;
    if (config.configurable === undefined) throw new Error(`Missing "configurable" field in "config" param`);
    if (this.#settings.strict) for (const channel in newVersions) refuseUnstorable(channel, channel_values[channel]);
    const { writer } = this.#format.current ?? (await this.#format.opened());
    return writer.put(...put);
  }

  /** `taskPath` orders the writes on reading; stock's format alone has no place for it. */
  override putWrites(config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath = ""): Promise<void> {
    noteRun(config);
    return this.#putWrites(config, writes, taskId, taskPath).catch((error: unknown) => {
      endRunOf(config, error);
      throw error;
    });
  }

  async #putWrites(config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath: string): Promise<void> {
    if (this.#settings.strict) for (const [channel, value] of writes) refuseUnstorable(channel, value);
    const { writer } = this.#format.current ?? (await this.#format.opened());
    return writer.putWrites(config, writes, taskId, taskPath);
  }

  override async deleteThread(threadId: string): Promise<void> {
    const { hasOwnTables, forget } = await this.#format.opened();
    const id = storable(threadId, "thread_id");
    await writeTogether(this.#pool, [deleteEverything(this.#schema, id, hasOwnTables ? threadKey(id) : undefined)]);
    forget(threadKey(id));
    this.#durable.forget(threadId);
  }

  override async getDeltaChannelHistory(options: {
    config: RunnableConfig;
    channels: string[];
  }): Promise<Record<string, DeltaChannelHistory>> {
    if (options.channels.length === 0) return {};
    const { reader } = await this.#format.opened();
    try {
      return await this.#quarantine.noting(reader.deltaHistory(options.config, options.channels));
    } catch (error) {
      // A header that the database could not read: one checkpoint after the other tells which.
      if (!/^22/.test(String((error as { code?: unknown }).code))) throw error;
      return super.getDeltaChannelHistory(options);
    }
  }

  /**
   * Resolves when the checkpoint of this config is stored, and with it all that it stands on: its ancestors, and inside a
   * node the checkpoints of the graphs around it. What must not be done before its step is durable waits for this.
   *
   * @throws the error of the put that failed; NOT_DURABLE when it is not stored within `timeoutMs` (default 30,000)
   */
  async whenDurable(config: RunnableConfig, options?: WhenDurableOptions): Promise<void> {
    await this.#durable.when(config, options);
  }
}
