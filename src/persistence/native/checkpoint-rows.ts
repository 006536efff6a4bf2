/** The reading half: rows of one statement become checkpoints again. */
import type { RunnableConfig } from "@langchain/core/runnables";
import type {
  Checkpoint,
  CheckpointMetadata,
  CheckpointTuple,
  SerializerProtocol,
} from "@langchain/langgraph-checkpoint";
import { CheckpointCorruptError } from "../../errors/persistence-errors.js";
import { fromStorableJson, fromStorableText } from "../storable-text.js";
import { type Header, readHeader } from "./header.js";
import { type ReadPendingWrite, writesOf } from "./pending-writes.js";
import { corrupt, isUndefined, splitLast, stockValue, type TypedValue } from "./read-row.js";
import { kinds, type ReadRow } from "./read-statement.js";
import type { CheckpointState } from "./state-cache.js";
import type { StoredContents } from "./stored-contents.js";
import { threadKey } from "./stored-object.js";
import { typedValue } from "./value-text.js";

/** The part of a checkpoint that is not the content of a channel or a task's writes. */
export const theCheckpoint = "the checkpoint itself";

/** The rows of one checkpoint. */
interface Stored {
  readonly row: ReadRow;
  readonly writes: ReadRow[];
  readonly stockWrites: ReadRow[];
  readonly stockValues: ReadRow[];
  /** Once it has been read and checked. */
  header?: Header;
}

/** A read checkpoint; its values are those asked for. */
export interface ReadCheckpoint {
  readonly tuple: CheckpointTuple;
  readonly state: CheckpointState;
}

export class CheckpointRows {
  readonly #serde: SerializerProtocol;
  readonly #contents: StoredContents;
  readonly #stored: Stored[] = [];

  /** @param contents where the values are that were at hand when the rows were asked for; those of the rows are added */
  constructor(rows: readonly ReadRow[], serde: SerializerProtocol, contents: StoredContents) {
    this.#serde = serde;
    this.#contents = contents;
    const at = new Map<number | null, Stored>();
    for (const row of rows) {
      if (row.kind === kinds.checkpoint) at.set(row.n, { row, writes: [], stockWrites: [], stockValues: [] });
    }
    for (const row of rows) {
      if (row.kind === kinds.writes) at.get(row.n)?.writes.push(row);
      else if (row.kind === kinds.stockWrite) at.get(row.n)?.stockWrites.push(row);
      else if (row.kind === kinds.stockValue) at.get(row.n)?.stockValues.push(row);
    }
    contents.add(rows);
    this.#stored.push(...[...at.values()].sort((a, b) => (a.row.n ?? 0) - (b.row.n ?? 0)));
  }

  addObjects(rows: readonly ReadRow[]): void {
    this.#contents.add(rows);
  }

  get length(): number {
    return this.#stored.length;
  }

  /** Where the checkpoint is that was asked for in this place, from 1. */
  placeOf(n: number): number | undefined {
    const found = this.#stored.findIndex(({ row }) => row.n === n);
    return found === -1 ? undefined : found;
  }

  /** Its ID, thread and namespace, as they are stored. */
  key(n: number): [checkpointId: string, threadId: string, namespace: string] {
    const { a, b, c } = this.#stored[n]?.row ?? {};
    return [c ?? "", a ?? "", b ?? ""];
  }

  /**
   * The checkpoint at this place of the order asked for, from 0.
   *
   * @param channels whose values are read; default all
   * @throws CheckpointCorruptError
   */
  async read(n: number, channels?: ReadonlySet<string>): Promise<ReadCheckpoint> {
    const stored = this.#stored[n];
    if (stored === undefined) throw new RangeError(`There is no checkpoint ${n} among ${this.#stored.length}`);
    const { row } = stored;
    const config = (checkpointId: string | null): RunnableConfig => ({
      configurable: {
        thread_id: fromStorableText(row.a ?? ""),
        checkpoint_ns: fromStorableText(row.b ?? ""),
        checkpoint_id: fromStorableText(checkpointId ?? ""),
      },
    });
    const { checkpoint, metadata, state } = await this.#checkpoint(stored, channels);
    const written = writesOf(stored, (hash) => this.#contents.find(threadKey(row.a ?? ""), hash));
    const pendingWrites = await Promise.all(
      written.map(
        async ({ taskId, channel, value }) => [taskId, channel, await this.#load(value)] as [string, string, unknown],
      ),
    );
    const tuple: CheckpointTuple = {
      config: config(row.c),
      checkpoint,
      metadata,
      pendingWrites,
      ...(row.d ? { parentConfig: config(row.d) } : {}),
    };
    return { tuple, state };
  }

  /** Hashes of the objects that the values of these channels need and that were neither read nor are at hand. */
  missing(n: number, channels: Iterable<string>): { readonly threadKey: string; readonly hashes: string[] } {
    const stored = this.#stored[n];
    if (stored === undefined || stored.row.e === null) return { threadKey: "", hashes: [] };
    const { objects, inline } = this.#header(stored);
    const key = threadKey(stored.row.a ?? "");
    const needed = [...channels].flatMap((channel) => objects[channel] ?? inline[channel]?.links ?? []);
    return { threadKey: key, hashes: needed.filter((hash) => !this.#contents.hold(key, hash)) };
  }

  /**
   * The writes to these channels of the checkpoint at this place, in order, and the values it has stored of them.
   *
   * @throws CheckpointCorruptError
   */
  delta(n: number, channels: ReadonlySet<string>): { writes: ReadPendingWrite[]; values: [string, TypedValue][] } {
    const stored = this.#stored[n];
    if (stored === undefined) return { writes: [], values: [] };
    const { row, stockValues } = stored;
    const key = threadKey(row.a ?? "");
    const writes = writesOf(stored, (hash) => this.#contents.find(key, hash)).filter(({ channel }) =>
      channels.has(channel),
    );
    if (row.e === null) {
      const values = stockValues.map(({ a, b, c }): [string, TypedValue] => [
        fromStorableText(a ?? ""),
        stockValue(b, c),
      ]);
      return { writes, values: values.filter(([channel, value]) => channels.has(channel) && !isUndefined(value)) };
    }
    const { inline, objects } = this.#header(stored);
    const values = [...channels].flatMap((channel): [string, TypedValue][] =>
      Object.hasOwn(inline, channel) || Object.hasOwn(objects, channel)
        ? [[channel, typedValue(this.#contents.text(row, channel, { inline, objects }))]]
        : [],
    );
    return { writes, values: values.filter(([, value]) => !isUndefined(value)) };
  }

  /** Versions of the channels of the checkpoint at this place; undefined where it is in stock's format. */
  versions(n: number): Readonly<Record<string, unknown>> | undefined {
    const stored = this.#stored[n];
    return stored === undefined || stored.row.e === null ? undefined : this.#header(stored).checkpoint.channel_versions;
  }

  /** @throws CheckpointCorruptError of the parent of the checkpoint at this place, if that has one; it was looked for in vain */
  refuseMissingParent(n: number): void {
    const { a, b, c, d } = this.#stored[n]?.row ?? {};
    if (!d) return;
    const [threadId = "", namespace = "", child = "", checkpointId = ""] = [a, b, c, d].map((id) =>
      fromStorableText(id ?? ""),
    );
    throw new CheckpointCorruptError(
      { threadId, namespace, checkpointId, part: theCheckpoint },
      `its row is missing, and checkpoint ${child} stands on it`,
    );
  }

  #header(stored: Stored): Header {
    stored.header ??= this.#readHeader(stored.row);
    return stored.header;
  }

  #readHeader(row: ReadRow): Header {
    const [metadata = ""] = splitLast(row.g ?? "", "\n");
    try {
      return readHeader(row.e ?? "", {
        threadId: row.a ?? "",
        namespace: row.b ?? "",
        checkpointId: row.c ?? "",
        parentId: row.d ?? undefined,
        metadata: JSON.parse(metadata),
      });
    } catch (error) {
      throw corrupt(row, theCheckpoint, error);
    }
  }

  async #checkpoint(stored: Stored, channels: ReadonlySet<string> | undefined) {
    const { row } = stored;
    const [metadataText = ""] = splitLast(row.g ?? "", "\n");
    const isWanted = (channel: string) => channels === undefined || channels.has(channel);
    if (row.e === null) return this.#stockCheckpoint(stored, metadataText, isWanted);
    const { checkpoint, inline, objects } = this.#header(stored);
    const values = await Promise.all(
      [...Object.keys(inline), ...Object.keys(objects)].filter(isWanted).map(async (channel) => {
        return [channel, await this.#load(typedValue(this.#contents.text(row, channel, { inline, objects })))] as const;
      }),
    );
    return {
      checkpoint: {
        ...checkpoint,
        id: fromStorableText(row.c ?? ""),
        channel_values: Object.fromEntries(values),
      } as Checkpoint,
      metadata: await this.#metadata(metadataText),
      state: { inline, objects, versions: checkpoint.channel_versions, elsewhere: new Set<string>() },
    };
  }

  async #stockCheckpoint({ row, stockValues }: Stored, metadataText: string, isWanted: (channel: string) => boolean) {
    const checkpoint: Omit<Checkpoint, "channel_values"> = fromStorableJson(JSON.parse(row.f ?? "{}"));
    const values = await Promise.all(
      stockValues.map(async ({ a, b, c }) => {
        const channel = fromStorableText(a ?? "");
        return [channel, isWanted(channel) ? await this.#load(stockValue(b, c)) : undefined] as const;
      }),
    );
    const versions = checkpoint.channel_versions ?? {};
    if (typeof versions !== "object") throw corrupt(row, theCheckpoint, new Error("its header is missing"));
    return {
      checkpoint: {
        ...checkpoint,
        channel_versions: versions,
        versions_seen: checkpoint.versions_seen ?? {},
        channel_values: Object.fromEntries(values.filter(([channel]) => isWanted(channel))),
      } as Checkpoint,
      metadata: await this.#metadata(metadataText),
      state: {
        inline: {},
        objects: {},
        versions,
        elsewhere: new Set(values.map(([channel]) => channel)),
        isStock: true as const,
      },
    };
  }

  #load([type, value]: readonly [string, string | Uint8Array]): Promise<unknown> {
    return Promise.resolve(this.#serde.loadsTyped(type, value as string));
  }

  async #metadata(text: string): Promise<CheckpointMetadata> {
    const [type, bytes] = await this.#serde.dumpsTyped(fromStorableJson(JSON.parse(text)));
    return (await this.#serde.loadsTyped(type, bytes)) as CheckpointMetadata;
  }
}
