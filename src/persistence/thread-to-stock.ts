/**
 * The checkpoints of one thread, from this package's own format into stock's rows. Contents go over as they were
 * serialized, so that no serializer changes them on the way; only where two of them claim one place are they compared
 * as values.
 */
import { isDeepStrictEqual } from "node:util";
import { isDeltaSnapshot, type SerializerProtocol } from "@langchain/langgraph-checkpoint";
import { ResilienceError } from "../errors/own-errors.js";
import { textArray, uuidArray } from "./native/binary-array.js";
import { CheckpointRows } from "./native/checkpoint-rows.js";
import { writesOf } from "./native/pending-writes.js";
import { hashes, plainHash, splitLast } from "./native/read-row.js";
import { kinds, type ReadRow, readSql } from "./native/read-statement.js";
import { type CheckpointState, StateCache } from "./native/state-cache.js";
import { storable } from "./native/storable.js";
import { StoredContents } from "./native/stored-contents.js";
import { checkpointKey, checkpointKeySql, threadKey } from "./native/stored-object.js";
import { putCheckpoint, putTaskWrites, type WriteRow } from "./saver-statements.js";
import type { SqlClient, Statement } from "./sql-pool.js";
import { fromStorableText, toStorableJson } from "./storable-text.js";

/** Checkpoints read at a time. */
const pageSize = 16;

/** A value as it was serialized. */
class Serialized {
  readonly type: string;
  readonly bytes: Buffer;

  constructor(type: string, value: string | Uint8Array) {
    this.type = type;
    this.bytes = Buffer.from(value as string);
  }
}

/** Reads whatever was serialized as just that. */
const unopened: SerializerProtocol = {
  dumpsTyped: async (value) => ["json", Buffer.from(JSON.stringify(value))],
  loadsTyped: async (type, value) => new Serialized(type, value),
};

interface BlobKey {
  readonly namespace: string;
  readonly channel: string;
  readonly version: string;
}

interface StoredBlob {
  readonly type: string;
  readonly blob: string | null;
}

/** What stock's format cannot hold: it finds the value of a channel by its version alone. */
export class NotInStockFormatError extends ResilienceError {
  readonly category = "environment";

  constructor(threadId: string, checkpointId: string, { namespace, channel, version }: BlobKey, why: string) {
    const where = namespace === "" ? "" : ` (namespace "${namespace}")`;
    super(
      "NOT_IN_STOCK_FORMAT",
      `Checkpoint ${checkpointId} of thread "${threadId}"${where} cannot be written in the stock saver's format: channel "${channel}" at version ${version} ${why}. The thread stays as it is, and this package goes on reading it`,
      { details: { threadId, namespace, checkpointId, channel, version } },
    );
  }
}

export class ThreadToStock {
  readonly #client: SqlClient;
  readonly #schema: string;
  readonly #threadId: string;
  readonly #serde: SerializerProtocol;
  readonly #cache = new StateCache(() => 0);
  /** What each version of a channel is known to hold, by its place in our own format. */
  readonly #written = new Map<string, string>();
  /** Versions at which some checkpoint has no value, with that checkpoint. */
  readonly #without = new Map<string, BlobKey & { readonly checkpointId: string }>();

  /** @param threadId as the tables hold it */
  constructor(client: SqlClient, schema: string, threadId: string, serde: SerializerProtocol) {
    this.#client = client;
    this.#schema = schema;
    this.#threadId = threadId;
    this.#serde = serde;
  }

  /**
   * To be called in a transaction.
   *
   * @returns how many checkpoints were written anew
   * @throws CheckpointCorruptError, NotInStockFormatError
   */
  async rewrite(): Promise<number> {
    let count = 0;
    for (let page = await this.#page(); page.length > 0; page = await this.#page()) {
      const rows = new CheckpointRows(page, unopened, new StoredContents(this.#cache));
      for (let n = 0; n < rows.length; n += 1) await this.#checkpoint(rows, n, page);
      count += rows.length;
    }
    await this.#writeEmpty();
    await this.#drop(["lgr_objects", "lgr_writes", "lgr_write_counts"]);
    return count;
  }

  /** Those of which something is still in our own format; one that is rewritten is not among them any more. */
  async #page(): Promise<ReadRow[]> {
    const hasWrites = `exists (select 1 from "${this.#schema}".lgr_write_counts wc
      where wc.thread_key = $3::uuid and wc.checkpoint_key = ${checkpointKeySql("cp.checkpoint_ns", "cp.checkpoint_id")})`;
    const head = `where cp.thread_id = $1 and (cp.type is not null or ${hasWrites}) order by cp.checkpoint_id desc, cp.checkpoint_ns limit ${pageSize}`;
    const text = readSql({ schema: this.#schema, head, known: 2, ownTables: true });
    return (await this.#client.query<ReadRow>(text, [this.#threadId, uuidArray([]), threadKey(this.#threadId)])).rows;
  }

  async #checkpoint(rows: CheckpointRows, n: number, page: readonly ReadRow[]): Promise<void> {
    const [checkpointId, , namespace] = rows.key(n);
    const row = page.find(({ kind, n: at }) => kind === kinds.checkpoint && at === n + 1);
    if (row === undefined) throw new RangeError(`There is no checkpoint ${n} on the page`);
    const place = { threadId: this.#threadId, namespace, checkpointId };
    // The header and the writes, which are checked against their sums.
    const { tuple, state } = await rows.read(n, new Set());
    if (state.isStock === undefined) {
      const { channel_values: _, ...checkpoint } = tuple.checkpoint;
      const wanted = await rows.read(n, this.#notWritten(namespace, checkpointId, state));
      const values = wanted.tuple.checkpoint.channel_values as Record<string, Serialized>;
      await this.#run(
        putCheckpoint(this.#schema, {
          ...place,
          parentId: row.d ?? undefined,
          checkpoint: toStorableJson(JSON.stringify(checkpoint)),
          metadata: splitLast(row.g ?? "", "\n")[0],
          blobs: await this.#newBlobs(namespace, checkpointId, state, values),
        }),
      );
    }
    for (const [taskId, { taskPath, writes }] of tasksIn(page, row)) {
      const path = taskPath === "" ? {} : { taskPath: storable(taskPath, "task path") };
      // Ours are read before stock's where both have one of a number.
      const more = { taskId: storable(taskId, "task ID"), replace: true, writes, ...path };
      await this.#run(putTaskWrites(this.#schema, { ...place, ...more }));
    }
    await this.#drop(["lgr_writes", "lgr_write_counts"], checkpointKey(namespace, checkpointId));
  }

  async #run(statements: readonly Statement[]): Promise<void> {
    for (const { text, values } of statements) await this.#client.query(text, values);
  }

  /** Channels whose values are to be written, or to be compared with what is there under their version. */
  #notWritten(namespace: string, checkpointId: string, { versions, objects, inline }: CheckpointState): Set<string> {
    const wanted = new Set<string>();
    const withValue = new Set([...Object.keys(objects), ...Object.keys(inline)]);
    for (const channel of withValue) {
      const key = blobKey(namespace, channel, versions[channel]);
      if (versions[channel] === undefined)
        throw this.#impossible(checkpointId, key, "has a value that no version stands for");
      if (this.#written.get(textOf(key)) !== contentOf(channel, { objects, inline })) wanted.add(channel);
    }
    for (const [channel, version] of Object.entries(versions)) {
      const key = blobKey(namespace, channel, version);
      if (!withValue.has(channel)) this.#without.set(textOf(key), { ...key, checkpointId });
    }
    return wanted;
  }

  async #newBlobs(
    namespace: string,
    checkpointId: string,
    state: CheckpointState,
    values: Readonly<Record<string, Serialized>>,
  ) {
    const keys = Object.keys(values).map((channel) => blobKey(namespace, channel, state.versions[channel]));
    const there = await this.#stored(keys);
    const blobs: { channel: string; version: string; type: string; blob: Uint8Array }[] = [];
    for (const key of keys) {
      const value = values[key.channel];
      if (value === undefined) continue;
      const stored = there.get(textOf(key));
      if (stored === undefined) {
        blobs.push({
          channel: storable(key.channel, "channel"),
          version: key.version,
          type: value.type,
          blob: value.bytes,
        });
      } else if (!(await this.#isSame(stored, value))) {
        throw this.#impossible(checkpointId, key, "holds another value in another checkpoint");
      }
      this.#written.set(textOf(key), contentOf(key.channel, state));
    }
    return blobs;
  }

  async #stored(keys: readonly BlobKey[]): Promise<Map<string, StoredBlob>> {
    if (keys.length === 0) return new Map();
    const { rows } = await this.#client.query<StoredBlob & { ns: string; channel: string; version: string }>(
      `select b.checkpoint_ns as ns, b.channel, b.version, b.type, encode(b.blob, 'base64') as blob
        from unnest($2::text[], $3::text[], $4::text[]) as k(ns, channel, version)
        join "${this.#schema}".checkpoint_blobs b on b.thread_id = $1
          and b.checkpoint_ns = k.ns and b.channel = k.channel and b.version = k.version`,
      [this.#threadId, ...columnsOf(keys)],
    );
    return new Map(rows.map((row) => [textOf(blobKey(row.ns, fromStorableText(row.channel), row.version)), row]));
  }

  async #isSame(stored: StoredBlob, value: Serialized): Promise<boolean> {
    if (stored.type === "empty") return false;
    const bytes = Buffer.from(stored.blob ?? "", "base64");
    if (stored.type === value.type && bytes.equals(value.bytes)) return true;
    try {
      return isDeepStrictEqual(await this.#open(stored.type, bytes), await this.#open(value.type, value.bytes));
    } catch {
      // What cannot be read cannot be told to be the same.
      return false;
    }
  }

  #open(type: string, bytes: Uint8Array): Promise<unknown> {
    return Promise.resolve(this.#serde.loadsTyped(type, bytes));
  }

  /** Stock marks the versions without a value. Where some checkpoint has one all the same, it reads as the others'. */
  async #writeEmpty(): Promise<void> {
    const keys = [...this.#without.values()];
    for (const [key, { type, blob }] of await this.#stored(keys)) {
      const { checkpointId, ...place } = this.#without.get(key) ?? { checkpointId: "", ...blobKey("", "", "") };
      // A snapshot that is found again in later checkpoints gives the same value, by fewer steps.
      const isSnapshot = async () => isDeltaSnapshot(await this.#open(type, Buffer.from(blob ?? "", "base64")));
      if (type !== "empty" && !(await isSnapshot()))
        throw this.#impossible(checkpointId, place, "has no value there, but one in another checkpoint");
    }
    await this.#client.query(
      `insert into "${this.#schema}".checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
        select $1, k.ns, k.channel, k.version, 'empty', null from unnest($2::text[], $3::text[], $4::text[]) as k(ns, channel, version)
        on conflict do nothing`,
      [this.#threadId, ...columnsOf(keys)],
    );
  }

  /** @param checkpoint its key; absent for those of all, which then no longer have a row */
  async #drop(tables: readonly string[], checkpoint?: string): Promise<void> {
    const gone = tables.map((table) => {
      const ofCheckpoint = checkpoint === undefined ? "" : " and checkpoint_key = $2::uuid";
      return `${table}_gone as (delete from "${this.#schema}".${table} where thread_key = $1::uuid${ofCheckpoint})`;
    });
    const key = threadKey(this.#threadId);
    await this.#client.query(`with ${gone.join(", ")} select 1`, checkpoint === undefined ? [key] : [key, checkpoint]);
  }

  #impossible(checkpointId: string, key: BlobKey, why: string): NotInStockFormatError {
    return new NotInStockFormatError(fromStorableText(this.#threadId), fromStorableText(checkpointId), key, why);
  }
}

/** The writes of each task of a checkpoint that are in our own format, numbered as they are read. */
function tasksIn(page: readonly ReadRow[], row: ReadRow) {
  const objects = new Map(
    page
      .filter(({ kind }) => kind === kinds.object)
      .map(({ b, c, d }) => [plainHash(b), { links: hashes(c), body: d ?? "" }]),
  );
  const writes = page.filter(({ kind, n }) => kind === kinds.writes && n === row.n);
  const tasks = new Map<string, { taskPath: string; writes: WriteRow[] }>();
  for (const { taskId, path, idx, channel, value } of writesOf({ row, writes, stockWrites: [] }, (hash) =>
    objects.get(hash),
  )) {
    const task = tasks.get(taskId) ?? { taskPath: "", writes: [] };
    tasks.set(taskId, task);
    // An answer is stored without the path that the task's own writes have.
    if (task.taskPath === "") task.taskPath = path;
    const { type, bytes } = new Serialized(...value);
    task.writes.push({ idx, channel: storable(channel, "channel"), type, blob: bytes });
  }
  return tasks;
}

/** @param namespace as the tables hold it */
function blobKey(namespace: string, channel: string, version: unknown): BlobKey {
  return { namespace, channel, version: String(version) };
}

function textOf({ namespace, channel, version }: BlobKey): string {
  return JSON.stringify([namespace, channel, version]);
}

function contentOf(channel: string, { objects, inline }: Pick<CheckpointState, "objects" | "inline">): string {
  return objects[channel] ?? JSON.stringify(inline[channel]);
}

function columnsOf(keys: readonly BlobKey[]): unknown[] {
  return [
    textArray(keys.map(({ namespace }) => namespace)),
    textArray(keys.map(({ channel }) => storable(channel, "channel"))),
    textArray(keys.map(({ version }) => version)),
  ];
}
