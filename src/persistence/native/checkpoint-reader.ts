/** What the saver reads: one statement for a checkpoint or a page of them, two for the history of a delta channel. */
import type { RunnableConfig } from "@langchain/core/runnables";
import {
  type CheckpointTuple,
  type DeltaChannelHistory,
  getCheckpointId,
  maxChannelVersion,
  type SerializerProtocol,
  TASKS,
} from "@langchain/langgraph-checkpoint";
import { CheckpointCorruptError } from "../../errors/persistence-errors.js";
import type { Statement } from "../sql-pool.js";
import { textArray, uuidArray } from "./binary-array.js";
import { CheckpointRows, type ReadCheckpoint, theCheckpoint } from "./checkpoint-rows.js";
import type { Database } from "./database.js";
import { DeltaHistories } from "./delta-history.js";
import { headerChannelsSql } from "./header.js";
import { ReadQueue, type Wanted } from "./read-queue.js";
import { ancestorsSql, objectsSql, type ReadRow, readSql, severalSql } from "./read-statement.js";
import type { CheckpointState, StateCache } from "./state-cache.js";
import { storable } from "./storable.js";
import { StoredContents } from "./stored-contents.js";
import { checkpointKey, threadKey } from "./stored-object.js";
import type { StandingValue } from "./stored-value.js";

export interface ReaderOptions {
  readonly schema: string;
  readonly serde: SerializerProtocol;
  readonly cache: StateCache;
  readonly database: Database;
  readonly ownTables: boolean;
  nextVersion(current: number | undefined): number;
}

const inPlace = "where cp.thread_id = $1 and cp.checkpoint_ns = $2";

/** Checkpoints that an unlimited list reads at a time. */
const pageSize = 64;

export class CheckpointReader {
  readonly #options: ReaderOptions;
  readonly #latest: string;
  readonly #byId: string;
  readonly #several: string;
  readonly #deltas: DeltaHistories;
  readonly #queue = new ReadQueue((wanted) => this.#readTogether(wanted));

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#latest = readSql({ ...options, head: `${inPlace} order by cp.checkpoint_id desc limit 1`, known: 3 });
    this.#byId = readSql({ ...options, head: `${inPlace} and cp.checkpoint_id = $3`, known: 4 });
    this.#several = severalSql(options);
    this.#deltas = new DeltaHistories({
      serde: options.serde,
      sql: ancestorsSql(options),
      name: nameOf("ancestors", options.schema),
      read: (statement) => this.#rows(statement),
      addMissing: (rows, n, channels) => this.#addMissing(rows, n, channels),
    });
  }

  async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    return (await this.#readOne(config))?.tuple;
  }

  /** Checkpoints newest first; one that is damaged comes as its error, and those after it still come. */
  async *scan(
    where: string,
    values: unknown[],
    limit: number | undefined,
  ): AsyncGenerator<CheckpointTuple | CheckpointCorruptError> {
    let left = limit ?? Number.POSITIVE_INFINITY;
    let before: readonly string[] | undefined;
    while (left > 0) {
      const size = Math.min(left, pageSize);
      const rows = await this.#page(where, values, before, size);
      for (let n = 0; n < rows.length; n += 1) {
        before = rows.key(n);
        yield await this.#sound(rows, n);
      }
      left -= rows.length;
      if (rows.length < size) return;
    }
  }

  async #page(
    where: string,
    values: unknown[],
    before: readonly string[] | undefined,
    size: number,
  ): Promise<CheckpointRows> {
    const all = [...values];
    const key = "cp.checkpoint_id, cp.thread_id, cp.checkpoint_ns";
    const older = before?.map((part) => `$${all.push(part)}`).join(", ");
    const beyond = older === undefined ? "" : `${where === "" ? "where" : " and"} (${key}) < (${older})`;
    const head = `${where}${beyond} order by ${key.replaceAll(",", " desc,")} desc limit ${size}`;
    const text = readSql({ ...this.#options, head, known: all.push(uuidArray([])) });
    return this.#rows({ text, values: all });
  }

  async #sound(rows: CheckpointRows, n: number): Promise<CheckpointTuple | CheckpointCorruptError> {
    try {
      return (await this.#finish(await rows.read(n))).tuple;
    } catch (error) {
      if (error instanceof CheckpointCorruptError) return error;
      throw error;
    }
  }

  async deltaHistory(
    config: RunnableConfig,
    channels: readonly string[],
  ): Promise<Record<string, DeltaChannelHistory>> {
    const { thread_id, checkpoint_ns = "" } = config.configurable ?? {};
    const checkpointId = getCheckpointId(config) || (await this.getTuple(config))?.checkpoint.id;
    if (checkpointId !== undefined) {
      const place = {
        threadId: storable(thread_id, "thread_id"),
        namespace: storable(checkpoint_ns, "checkpoint_ns"),
        checkpointId: storable(checkpointId, "checkpoint_id"),
      };
      const histories = await this.#deltas.of(place, channels);
      if (histories !== undefined) return histories;
      await this.#refuseLost(config, checkpointId);
    }
    return Object.fromEntries(channels.map((channel) => [channel, { writes: [] }]));
  }

  /** Told of each write, and of each thread that is deleted. */
  get deltas(): Pick<DeltaHistories, "wroteAt" | "forget"> {
    return this.#deltas;
  }

  async loadState(threadId: string, namespace: string, checkpointId: string): Promise<CheckpointState | undefined> {
    const { cache } = this.#options;
    const key = threadKey(threadId);
    const known = cache.state(key, namespace, checkpointId);
    if (known !== undefined) return known;
    const found = await this.#queue.find({ threadId, namespace, checkpointId });
    if (found === undefined) return undefined;
    const { state } = await found.rows.read(found.n);
    cache.remember(key, namespace, checkpointId, state);
    return state;
  }

  async findVersion(
    threadId: string,
    namespace: string,
    channel: string,
    version: unknown,
  ): Promise<CheckpointState | undefined> {
    const { schema, database } = this.#options;
    const rows = database.rows<{ checkpoint_id: string }>({
      text: `select checkpoint_id from "${schema}".checkpoints cp ${inPlace} and case when cp.type is not null
          then substr(cp.type, strpos(cp.type, '{'))::jsonb -> 'c' ->> $3::text = $4 and ${headerChannelsSql("cp.type")} ? $3
          else cp.checkpoint -> 'channel_versions' ->> $3::text = $4 and exists (
            select 1 from "${schema}".checkpoint_blobs b where b.thread_id = cp.thread_id
              and b.checkpoint_ns = cp.checkpoint_ns and b.channel = $3 and b.version = $4) end
        order by checkpoint_id desc limit 1`,
      values: [threadId, namespace, channel, String(version)],
    });
    const [row] = await rows.catch(async (error: unknown) => {
      // A header that the database cannot read: one checkpoint after the other tells which.
      if (!/^22/.test(String((error as { code?: unknown }).code))) throw error;
      for await (const found of this.scan(inPlace, [threadId, namespace], undefined))
        if (found instanceof CheckpointCorruptError) throw found;
      throw error;
    });
    return row === undefined ? undefined : this.loadState(threadId, namespace, row.checkpoint_id);
  }

  async #readOne(config: RunnableConfig): Promise<ReadCheckpoint | undefined> {
    const { thread_id, checkpoint_ns = "" } = config.configurable ?? {};
    if (thread_id === undefined || thread_id === null) return undefined;
    const checkpointId = getCheckpointId(config);
    const threadId = storable(thread_id, "thread_id");
    const namespace = storable(checkpoint_ns, "checkpoint_ns");
    const id = checkpointId ? storable(checkpointId, "checkpoint_id") : undefined;
    const found = await this.#queue.find({ threadId, namespace, checkpointId: id });
    if (found === undefined) {
      if (checkpointId) await this.#refuseLost(config, checkpointId);
      return undefined;
    }
    const read = await found.rows.read(found.n);
    this.#options.cache.remember(threadKey(threadId), namespace, found.rows.key(found.n)[0], read.state);
    return this.#finish(read);
  }

  /** A checkpoint that is not there, but something of it is: it was not deleted by any of this package's doing. */
  async #refuseLost({ configurable = {} }: RunnableConfig, checkpointId: unknown): Promise<void> {
    const { database, schema, ownTables } = this.#options;
    if (!ownTables) return;
    const { thread_id, checkpoint_ns = "" } = configurable;
    const key = checkpointKey(storable(checkpoint_ns, "checkpoint_ns"), storable(checkpointId, "checkpoint_id"));
    const text = `select 1 from "${schema}".lgr_write_counts where thread_key = $1::uuid and checkpoint_key = $2::uuid`;
    const left = await database.rows({ text, values: [threadKey(storable(thread_id, "thread_id")), key] });
    if (left.length === 0) return;
    throw new CheckpointCorruptError(
      {
        threadId: String(thread_id),
        namespace: String(checkpoint_ns),
        checkpointId: String(checkpointId),
        part: theCheckpoint,
      },
      "its row is missing, while the writes of its tasks are there",
    );
  }

  async #readTogether(wanted: readonly Wanted[]): Promise<CheckpointRows> {
    const { cache, schema } = this.#options;
    const held = new Map<string, StandingValue>();
    for (const { threadId, namespace, checkpointId } of wanted) {
      for (const [hash, value] of cache.valuesAt(threadKey(threadId), namespace, checkpointId)) held.set(hash, value);
    }
    const known = uuidArray([...held.keys()]);
    const [one, ...more] = wanted;
    if (one === undefined || more.length > 0) {
      const values = [
        textArray(wanted.map(({ threadId }) => threadId)),
        textArray(wanted.map(({ namespace }) => namespace)),
        textArray(wanted.map(({ checkpointId }) => checkpointId ?? null)),
        known,
      ];
      return this.#rows({ text: this.#several, name: nameOf("several", schema), values }, held);
    }
    const { threadId, namespace, checkpointId } = one;
    return checkpointId === undefined
      ? this.#rows({ text: this.#latest, name: nameOf("latest", schema), values: [threadId, namespace, known] }, held)
      : this.#rows(
          { text: this.#byId, name: nameOf("by_id", schema), values: [threadId, namespace, checkpointId, known] },
          held,
        );
  }

  async #rows(statement: Statement, held: ReadonlyMap<string, StandingValue> = new Map()): Promise<CheckpointRows> {
    const { database, serde, cache } = this.#options;
    return new CheckpointRows(await database.rows<ReadRow>(statement), serde, new StoredContents(cache, held));
  }

  async #addMissing(rows: CheckpointRows, n: number, channels: ReadonlySet<string>): Promise<void> {
    const { threadKey: key, hashes } = rows.missing(n, channels);
    if (hashes.length === 0) return;
    const { database, schema } = this.#options;
    rows.addObjects(await database.rows<ReadRow>({ text: objectsSql(schema), values: [key, uuidArray(hashes)] }));
  }

  /** Checkpoints of a format before 4 keep the sends that lead to them in the writes of their parent. */
  async #finish(read: ReadCheckpoint): Promise<ReadCheckpoint> {
    const { checkpoint, parentConfig } = read.tuple;
    if (checkpoint.v >= 4 || parentConfig === undefined) return read;
    const parent = await this.getTuple(parentConfig);
    const sends = (parent?.pendingWrites ?? []).filter(([, channel]) => channel === TASKS).map(([, , send]) => send);
    if (sends.length === 0) return read;
    const versions = Object.values(checkpoint.channel_versions);
    checkpoint.channel_values[TASKS] = sends;
    checkpoint.channel_versions[TASKS] =
      versions.length > 0 ? maxChannelVersion(...versions) : this.#options.nextVersion(undefined);
    return read;
  }
}

/** A name of a prepared statement has at most 63 bytes. */
function nameOf(statement: string, schema: string): string {
  return `lgr1_${statement}_${schema}`.slice(0, 63);
}
