import type { RunnableConfig } from "@langchain/core/runnables";
import {
  type ChannelVersions,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointTuple,
  type PendingWrite,
  type SerializerProtocol,
  TASKS,
  WRITES_IDX_MAP,
} from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import pg from "pg";
import { nextChannelVersion } from "./channel-version.js";
import { retryTransient } from "./connection-errors.js";
import { graphOf } from "./graph-of.js";
import { migrateAll, migrateCheckpoints } from "./migrations.js";
import {
  deleteEverything,
  putCheckpoint,
  putTaskWrites,
  selectPendingSends,
  selectTuples,
  type WriteRow,
} from "./saver-statements.js";
import { connectionTimeoutMs, guardPool, runTogether, type SqlPool, type Statement, withClient } from "./sql-pool.js";
import { fromStorableJson, fromStorableText, toStorableJson, toStorableText } from "./storable-text.js";

export interface ResilientSaverOptions {
  /** PostgreSQL schema of the tables; default "public". */
  readonly schema?: string;
  /**
   * Also keep, in tables of this package, the thread's row and the task paths that order a superstep's writes; default
   * false, then only the stock saver's tables are written. `openPersistence` turns it on.
   */
  readonly ownTables?: boolean;
}

interface TupleRow {
  thread_id: string;
  checkpoint_ns: string;
  checkpoint_id: string;
  parent_checkpoint_id: string | null;
  checkpoint: Omit<Checkpoint, "pending_sends" | "channel_values">;
  metadata: Record<string, unknown>;
  channel_values: [Uint8Array, Uint8Array, Uint8Array][];
  pending_writes: [Uint8Array, Uint8Array, Uint8Array, Uint8Array][];
}

/**
 * A drop-in for the stock `PostgresSaver`, on the same tables, readable by it, that is right where the stock one is
 * wrong: forks read their own branch's values; NUL and lone surrogates are stored and read back; names with a backslash
 * can be read; `setup()` may be called from anywhere at once; a connection that is terminated neither ends the process
 * nor returns to the pool; a transient connection error is retried (every write is idempotent); and a failure is
 * reported by its own error. A checkpoint or a task's writes are one statement: one round trip, all or nothing.
 *
 * Errors are those of node-postgres, with their SQLSTATE in `code`.
 */
export class ResilientPostgresSaver extends PostgresSaver {
  readonly #pool: SqlPool;
  readonly #schema: string;
  readonly #ownTables: boolean;
  readonly #selectTuples: string;
  #settingUp: Promise<void> | undefined;

  constructor(pool: pg.Pool | SqlPool, serde?: SerializerProtocol, options: ResilientSaverOptions = {}) {
    const schema = options.schema ?? "public";
    super(pool as pg.Pool, serde, { schema });
    this.#pool = pool;
    this.#schema = schema;
    this.#ownTables = options.ownTables ?? false;
    this.#selectTuples = selectTuples(schema, this.#ownTables);
    guardPool(pool);
  }

  /** A saver on a pool of its own; `end()` closes it. A connection attempt fails after 10 s without an answer. */
  static override fromConnString(connString: string, options?: ResilientSaverOptions): ResilientPostgresSaver {
    const pool = new pg.Pool({ connectionString: connString, connectionTimeoutMillis: connectionTimeoutMs });
    return new ResilientPostgresSaver(pool, undefined, options);
  }

  /** Makes the tables or brings them up to date. Safe to call at any time, from any number of callers and processes. */
  override async setup(): Promise<void> {
    this.#settingUp ??= (this.#ownTables ? migrateAll : migrateCheckpoints)(this.#pool, this.#schema).finally(() => {
      this.#settingUp = undefined;
    });
    await this.#settingUp;
  }

  /** Unique to the branch, see channel-version.ts. */
  override getNextVersion(current: number | undefined): number {
    return nextChannelVersion(current);
  }

  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const { thread_id, checkpoint_ns = "", checkpoint_id } = config.configurable ?? {};
    const values = [storable(thread_id), storable(checkpoint_ns)];
    let where = "where cp.thread_id = $1 and cp.checkpoint_ns = $2";
    if (checkpoint_id) {
      values.push(storable(checkpoint_id));
      where += " and cp.checkpoint_id = $3";
    } else {
      where += " order by cp.checkpoint_id desc limit 1";
    }
    const [tuple] = await this.#load({ text: this.#selectTuples + where, values });
    return tuple;
  }

  override async *list(config: RunnableConfig, options: CheckpointListOptions = {}): AsyncGenerator<CheckpointTuple> {
    const [where, values] = this._searchWhere(config, options.filter, options.before);
    const limit = options.limit === undefined ? "" : ` limit ${Number.parseInt(String(options.limit), 10)}`;
    yield* await this.#load({ text: `${this.#selectTuples}${where} order by cp.checkpoint_id desc${limit}`, values });
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
    if (thread_id) add("cp.thread_id =", storable(thread_id));
    if (checkpoint_ns !== undefined && checkpoint_ns !== null) add("cp.checkpoint_ns =", storable(checkpoint_ns));
    if (checkpoint_id) add("cp.checkpoint_id =", storable(checkpoint_id));
    if (filter && Object.keys(filter).length > 0) add("cp.metadata @>", toStorableJson(JSON.stringify(filter)));
    if (before?.configurable?.checkpoint_id !== undefined)
      add("cp.checkpoint_id <", storable(before.configurable.checkpoint_id));
    return [wheres.length > 0 ? `where ${wheres.join(" and ")}` : "", values];
  }

  override async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<RunnableConfig> {
    if (config.configurable === undefined) throw new Error(`Missing "configurable" field in "config" param`);
    const { thread_id, checkpoint_ns = "", checkpoint_id } = config.configurable;
    const [blobs, metadataJson] = await Promise.all([
      this._dumpBlobs(thread_id, checkpoint_ns, checkpoint.channel_values, newVersions),
      this.#metadataJson(metadata),
    ]);
    await this.#write(
      putCheckpoint(this.#schema, {
        threadId: storable(thread_id),
        namespace: storable(checkpoint_ns),
        checkpointId: storable(checkpoint.id),
        parentId: storable(checkpoint_id),
        checkpoint: toStorableJson(JSON.stringify(this._dumpCheckpoint(checkpoint))),
        metadata: metadataJson,
        blobs: blobs.map(([, , channel, version, type, blob]) => ({ channel: storable(channel), version, type, blob })),
        ...(this.#ownTables && checkpoint_ns === "" ? { thread: { graph: storable(graphOf(config, metadata)) } } : {}),
      }),
    );
    return { configurable: { thread_id, checkpoint_ns, checkpoint_id: checkpoint.id } };
  }

  /** `taskPath` orders the writes on reading where this package's own tables are kept; stock's have no place for it. */
  override async putWrites(
    config: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
    taskPath = "",
  ): Promise<void> {
    const { thread_id, checkpoint_ns = "", checkpoint_id } = config.configurable ?? {};
    const replace = writes.every(([channel]) => channel in WRITES_IDX_MAP);
    const dumped = await this._dumpWrites(
      thread_id,
      checkpoint_ns,
      checkpoint_id,
      taskId,
      writes as [string, unknown][],
    );
    // One statement cannot replace a row twice: of two special writes under one number the last counts, as in stock.
    const byIdx = new Map<number, WriteRow>();
    for (const [, , , , idx, channel, type, blob] of dumped) {
      if (replace || !byIdx.has(idx)) byIdx.set(idx, { idx, channel: storable(channel), type, blob });
    }
    await this.#write(
      putTaskWrites(this.#schema, {
        threadId: storable(thread_id),
        namespace: storable(checkpoint_ns),
        checkpointId: storable(checkpoint_id),
        taskId: storable(taskId),
        replace,
        writes: [...byIdx.values()],
        ...(this.#ownTables && taskPath !== "" ? { taskPath: storable(taskPath) } : {}),
      }),
    );
  }

  override async deleteThread(threadId: string): Promise<void> {
    await this.#write([deleteEverything(this.#schema, storable(threadId), this.#ownTables)]);
  }

  protected override async _loadBlobs(blobs: [Uint8Array, Uint8Array, Uint8Array][]): Promise<Record<string, unknown>> {
    const values = await super._loadBlobs(blobs);
    return Object.fromEntries(Object.entries(values).map(([channel, value]) => [fromStorableText(channel), value]));
  }

  protected override async _loadWrites(
    writes: [Uint8Array, Uint8Array, Uint8Array, Uint8Array][],
  ): Promise<[string, string, unknown][]> {
    const loaded = await super._loadWrites(writes);
    return loaded.map(([taskId, channel, value]) => [fromStorableText(taskId), fromStorableText(channel), value]);
  }

  async #metadataJson(metadata: CheckpointMetadata): Promise<string> {
    const [, json] = await this.serde.dumpsTyped(metadata);
    return toStorableJson(new TextDecoder().decode(json));
  }

  async #write(statements: readonly Statement[]): Promise<void> {
    await retryTransient(() => runTogether(this.#pool, statements));
  }

  async #read<R extends object>(statement: Statement): Promise<R[]> {
    return retryTransient(() =>
      withClient(this.#pool, async (client) => (await client.query<R>(statement.text, statement.values)).rows),
    );
  }

  async #load(statement: Statement): Promise<CheckpointTuple[]> {
    const rows = await this.#read<TupleRow>(statement);
    await this.#addPendingSends(rows.filter((row) => row.checkpoint.v < 4 && row.parent_checkpoint_id !== null));
    return Promise.all(rows.map((row) => this.#tuple(row)));
  }

  /** Checkpoints of an older format keep the sends that lead to them in the writes of their parent. */
  async #addPendingSends(rows: TupleRow[]): Promise<void> {
    if (rows.length === 0) return;
    const sends = await this.#read<{
      thread_id: string;
      checkpoint_id: string;
      pending_sends: [Uint8Array, Uint8Array][];
    }>({
      text: selectPendingSends(this.#schema),
      values: [rows.map((row) => row.thread_id), rows.map((row) => row.parent_checkpoint_id), TASKS],
    });
    for (const { thread_id, checkpoint_id, pending_sends } of sends) {
      for (const row of rows) {
        if (row.thread_id !== thread_id || row.parent_checkpoint_id !== checkpoint_id) continue;
        await this._migratePendingSends(pending_sends, row);
      }
    }
  }

  async #tuple(row: TupleRow): Promise<CheckpointTuple> {
    const thread_id = fromStorableText(row.thread_id);
    const checkpoint_ns = fromStorableText(row.checkpoint_ns);
    const configOf = (checkpointId: string): RunnableConfig => ({
      configurable: { thread_id, checkpoint_ns, checkpoint_id: fromStorableText(checkpointId) },
    });
    return {
      config: configOf(row.checkpoint_id),
      checkpoint: await this._loadCheckpoint(fromStorableJson(row.checkpoint), row.channel_values),
      metadata: await this._loadMetadata(fromStorableJson(row.metadata)),
      pendingWrites: await this._loadWrites(row.pending_writes),
      ...(row.parent_checkpoint_id ? { parentConfig: configOf(row.parent_checkpoint_id) } : {}),
    };
  }
}

/** Passes on what is not text, for the database to refuse by name. */
function storable(text: string): string;
function storable(text: string | undefined): string | undefined;
function storable(text: string | undefined): string | undefined {
  return typeof text === "string" ? toStorableText(text) : text;
}
