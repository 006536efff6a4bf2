/**
 * The history of delta channels: their writes along the ancestors of a checkpoint, back to where each has a stored
 * value. A checkpoint's history is its parent's and one step more, so what was read last is kept, and a conversation
 * that goes on costs the steps since; the values themselves are made anew each time, as whoever gets them may change
 * them.
 */
import type { RunnableConfig } from "@langchain/core/runnables";
import type { DeltaChannelHistory, SerializerProtocol } from "@langchain/langgraph-checkpoint";
import type { Statement } from "../sql-pool.js";
import { uuidArray } from "./binary-array.js";
import type { CheckpointRows } from "./checkpoint-rows.js";
import type { TypedValue } from "./read-row.js";
import { storable } from "./storable.js";
import { threadKey } from "./stored-object.js";

/** Ancestors that a statement reads: most histories are short, and few statements reach the end of a long one. */
const ancestorsAtOnce = [256, 4096] as const;

/** Characters of histories that are kept; beyond, those of the least recently used threads go. */
const maxCharacters = 16 * 1024 * 1024;

export interface DeltaPlace {
  readonly threadId: string;
  readonly namespace: string;
  readonly checkpointId: string;
}

export interface DeltaHistoriesOptions {
  readonly serde: SerializerProtocol;
  /** See ancestorsSql. */
  readonly sql: string;
  readonly name: string;
  read(statement: Statement): Promise<CheckpointRows>;
  /** Reads what the values of these channels need and was not read with the rows. */
  addMissing(rows: CheckpointRows, n: number, channels: ReadonlySet<string>): Promise<void>;
}

interface DeltaWrite {
  readonly taskId: string;
  readonly value: TypedValue;
}

interface ChannelPast {
  /** Newest first. */
  readonly writes: readonly DeltaWrite[];
  readonly seed?: TypedValue;
}

interface Past {
  readonly checkpointId: string;
  readonly channels: ReadonlyMap<string, ChannelPast>;
  readonly characters: number;
}

export class DeltaHistories {
  readonly #options: DeltaHistoriesOptions;
  /** By thread, namespace and channels; least recently used first. */
  readonly #kept = new Map<string, Past>();
  #characters = 0;

  constructor(options: DeltaHistoriesOptions) {
    this.#options = options;
  }

  /** @returns undefined when there is no such checkpoint */
  async of(place: DeltaPlace, channels: readonly string[]): Promise<Record<string, DeltaChannelHistory> | undefined> {
    const key = keyOf(threadKey(place.threadId), place.namespace, channels);
    const known = this.#kept.get(key);
    const past = known?.checkpointId === place.checkpointId ? known.channels : await this.#walk(place, channels, known);
    if (past === undefined) return undefined;
    this.#keep(key, { checkpointId: place.checkpointId, channels: past, characters: charactersOf(past) });
    const entries = channels.map(async (channel) => {
      const { writes = [], seed } = past.get(channel) ?? {};
      const loaded = writes.map(
        async ({ taskId, value }) => [taskId, channel, await this.#load(value)] as [string, string, unknown],
      );
      const history: DeltaChannelHistory = { writes: (await Promise.all(loaded)).reverse() };
      if (seed !== undefined) history.seed = await this.#load(seed);
      return [channel, history] as const;
    });
    return Object.fromEntries(await Promise.all(entries));
  }

  /** A write to a checkpoint that others may stand on already makes what was kept of them outdated. */
  wroteAt({ configurable = {} }: RunnableConfig): void {
    if (this.#kept.size === 0) return;
    const { thread_id, checkpoint_ns = "", checkpoint_id } = configurable;
    const key = threadKey(storable(thread_id, "thread_id"));
    const prefix = keyOf(key, storable(checkpoint_ns, "checkpoint_ns"), undefined);
    for (const [name, { checkpointId }] of this.#kept)
      if (String(checkpoint_id) < checkpointId && name.startsWith(prefix)) this.#drop(name);
  }

  forget(threadKeyToForget: string): void {
    for (const key of this.#kept.keys()) if (key.startsWith(threadKeyToForget)) this.#drop(key);
  }

  async #walk(
    { threadId, namespace, checkpointId }: DeltaPlace,
    channels: readonly string[],
    known: Past | undefined,
  ): Promise<Map<string, ChannelPast> | undefined> {
    const found = new Map(
      channels.map((channel) => [channel, { writes: [] as DeltaWrite[], seed: undefined as TypedValue | undefined }]),
    );
    const open = new Set(channels);
    let from = checkpointId;
    for (let batch = 0; open.size > 0; batch += 1) {
      const limit = ancestorsAtOnce[batch] ?? ancestorsAtOnce[1];
      const rows = await this.#options.read({
        text: this.#options.sql,
        name: this.#options.name,
        values: [threadId, namespace, from, limit, known?.checkpointId ?? "", channels, uuidArray([])],
      });
      if (rows.length === 0) return undefined;
      // The first row is the one walked from, of which only the header counts.
      for (let n = 1; n < rows.length && open.size > 0; n += 1) {
        await this.#options.addMissing(rows, n, open);
        const { writes, values } = rows.delta(n, open);
        for (const { taskId, channel, value } of writes.reverse()) found.get(channel)?.writes.push({ taskId, value });
        for (const [channel, value] of values) {
          const past = found.get(channel);
          if (past !== undefined) past.seed = value;
          open.delete(channel);
        }
        from = rows.key(n)[0];
        if (from === known?.checkpointId) join(found, open, known);
      }
      if (rows.length > limit || open.size === 0) continue;
      refuseGap(rows, open);
      break;
    }
    return new Map(
      [...found].map(([channel, { writes, seed }]) => [channel, { writes, ...(seed === undefined ? {} : { seed }) }]),
    );
  }

  #keep(key: string, past: Past): void {
    this.#drop(key);
    this.#kept.set(key, past);
    this.#characters += past.characters;
    for (const oldest of this.#kept.keys()) {
      if (this.#characters <= maxCharacters) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#characters -= this.#kept.get(key)?.characters ?? 0;
    this.#kept.delete(key);
  }

  #load([type, value]: TypedValue): Promise<unknown> {
    return Promise.resolve(this.#options.serde.loadsTyped(type, value as string));
  }
}

/** What is known of an ancestor's history is the rest of this one. */
function join(
  found: ReadonlyMap<string, { writes: DeltaWrite[]; seed: TypedValue | undefined }>,
  open: Set<string>,
  known: Past,
): void {
  for (const channel of open) {
    const past = found.get(channel);
    const rest = known.channels.get(channel);
    if (past === undefined || rest === undefined) continue;
    for (const write of rest.writes) past.writes.push(write);
    past.seed = rest.seed;
    open.delete(channel);
  }
}

/** A channel without a version had no value yet: nothing of it is in an earlier checkpoint, which may be pruned. */
function refuseGap(rows: CheckpointRows, open: ReadonlySet<string>): void {
  const versions = rows.versions(rows.length - 1);
  if ([...open].some((channel) => versions?.[channel] !== undefined)) rows.refuseMissingParent(rows.length - 1);
}

function charactersOf(past: ReadonlyMap<string, ChannelPast>): number {
  let characters = 0;
  for (const { writes, seed } of past.values()) {
    for (const { value } of writes) characters += value[1].length;
    characters += seed?.[1].length ?? 0;
  }
  return characters;
}

function keyOf(key: string, namespace: string, channels: readonly string[] | undefined): string {
  return `${key}${namespace}\x01${channels === undefined ? "" : [...channels].sort().join("\x01")}`;
}
