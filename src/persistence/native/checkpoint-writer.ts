/** The writing half of the format: what `put` and `putWrites` are given becomes a parcel for the queue. */
import type { RunnableConfig } from "@langchain/core/runnables";
import type {
  ChannelVersions,
  Checkpoint,
  CheckpointMetadata,
  PendingWrite,
  SerializerProtocol,
} from "@langchain/langgraph-checkpoint";
import { type HeldLease, runHoldOf } from "../../core/run-hold.js";
import { LeaseLostError } from "../../errors/persistence-errors.js";
import { graphOf } from "../graph-of.js";
import { toStorableJson } from "../storable-text.js";
import type { Database } from "./database.js";
import { type Header, type Inline, REFUSAL, writeHeader } from "./header.js";
import type { CheckpointState, StateCache } from "./state-cache.js";
import { storable } from "./storable.js";
import { checkpointKey, type StoredObject, threadKey } from "./stored-object.js";
import { isInline, type StandingValue, storeValue } from "./stored-value.js";
import { checksumOfWrites, rowsOfWrites } from "./task-writes.js";
import { valueText } from "./value-text.js";
import { type Outcome, WriteQueue } from "./write-queue.js";
import { leasesOf, type Parcel, type WriteAnswer, writeSql, writeStatement } from "./write-statement.js";

/** Characters from which a value is kept at hand, for storing the next one as a change. */
const keptFrom = 512;

export interface WriterOptions {
  readonly schema: string;
  readonly serde: SerializerProtocol;
  readonly cache: StateCache;
  readonly database: Database;
  /** Whether the row of the thread is kept as well. */
  readonly keepThreads: boolean;
  /** The state of a checkpoint that this process does not know; undefined when it is not stored. */
  loadState(threadId: string, namespace: string, checkpointId: string): Promise<CheckpointState | undefined>;
  /** The state of some checkpoint of the thread that has a value of the channel at this version. */
  findVersion(threadId: string, namespace: string, channel: string, version: unknown): Promise<CheckpointState | undefined>;
}

/** Where a checkpoint goes, in storable texts. */
interface Place {
  readonly threadId: string;
  readonly threadKey: string;
  readonly namespace: string;
  readonly checkpointId: string;
  readonly parentId: string | undefined;
}

interface Values {
  readonly header: Pick<Header, "inline" | "objects">;
  readonly contents: readonly StoredObject[];
  /** Kept at hand, for storing the next ones as changes. */
  readonly kept: readonly StandingValue[];
  readonly needsParent: boolean;
}

export class CheckpointWriter {
  readonly #options: WriterOptions;
  readonly #queue: WriteQueue;
  readonly #sql: string;
  readonly #name: string;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#sql = writeSql(options.schema);
    this.#name = `lgr1_write_${options.schema}`.slice(0, 63);
    this.#queue = new WriteQueue((parcels) => this.#store(parcels));
  }

  async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<void> {
    const { thread_id, checkpoint_ns = "", checkpoint_id } = config.configurable ?? {};
    const { cache } = this.#options;
    const threadId = storable(thread_id, "thread_id");
    const key = threadKey(threadId);
    const place: Place = {
      threadId,
      threadKey: key,
      namespace: storable(checkpoint_ns, "checkpoint_ns"),
      checkpointId: storable(checkpoint.id, "checkpoint ID"),
      parentId: checkpoint_id ? storable(checkpoint_id, "checkpoint_id") : undefined,
    };
    if (place.parentId === undefined && place.namespace === "") cache.forget(key);
    const parent = place.parentId === undefined ? undefined : cache.state(key, place.namespace, place.parentId);
    // Serialized now, before anything is waited for: the run goes on with these very objects.
    const metadataText = this.#options.serde.dumpsTyped(metadata);
    const texts = await this.#texts(checkpoint, (channel) => {
      if (Object.hasOwn(newVersions, channel) || !inherits(parent, channel, checkpoint)) return true;
      return parent?.elsewhere.has(channel) === true;
    });
    const [, metadataBytes] = await metadataText;
    const metadataJson = toStorableJson(Buffer.from(metadataBytes).toString());
    let values = await this.#values(place, checkpoint, newVersions, texts, parent);
    const send = () => this.#queue.add(this.#parcel(config, place, checkpoint, metadata, metadataJson, values));
    let outcome = await send();
    if (outcome === "orphan") {
      // The parent was deleted meanwhile, and what it stood on may be gone: this one has to stand on its own.
      cache.forget(key);
      const all = await this.#texts(checkpoint, () => true);
      values = await this.#values(place, checkpoint, checkpoint.channel_versions, all, undefined);
      outcome = await send();
    }
    check(outcome, config);
    cache.remember(key, place.namespace, place.checkpointId, {
      ...values.header,
      versions: checkpoint.channel_versions,
      elsewhere: new Set(),
    });
    for (const value of values.kept) cache.keep(key, value);
  }

  async putWrites(config: RunnableConfig, writes: readonly PendingWrite[], taskId: string, taskPath: string): Promise<void> {
    if (writes.length === 0) return;
    const { thread_id, checkpoint_ns = "", checkpoint_id } = config.configurable ?? {};
    const texts = await Promise.all(writes.map(([, value]) => this.#text(value)));
    const rows = rowsOfWrites(storable(taskId, "task ID"), storable(taskPath, "task path"), storableChannels(writes), texts);
    const key = checkpointKey(storable(checkpoint_ns, "checkpoint_ns"), storable(checkpoint_id, "checkpoint_id"));
    const outcome = await this.#queue.add({
      threadKey: threadKey(storable(thread_id, "thread_id")),
      lease: leaseOf(config),
      writes: rows.map((row) => ({ ...row, checkpointKey: key, checksum: checksumOfWrites(key, row) })),
      objects: rows.flatMap((row) => row.objects),
    });
    check(outcome, config);
  }

  async #text(value: unknown): Promise<string> {
    const [type, bytes] = await this.#options.serde.dumpsTyped(value);
    return valueText(type, bytes);
  }

  async #texts(checkpoint: Checkpoint, isWanted: (channel: string) => boolean): Promise<Map<string, string>> {
    const wanted = Object.entries(checkpoint.channel_values).filter(([channel]) => isWanted(channel));
    return new Map(
      await Promise.all(wanted.map(async ([channel, value]) => [channel, await this.#text(value)] as const)),
    );
  }

  async #values(
    place: Place,
    checkpoint: Checkpoint,
    newVersions: ChannelVersions,
    texts: ReadonlyMap<string, string>,
    known: CheckpointState | undefined,
  ): Promise<Values> {
    const { cache } = this.#options;
    const inline: [string, Inline][] = [];
    const objects: [string, string][] = [];
    const contents: StoredObject[] = [];
    const kept: StandingValue[] = [];
    let needsParent = false;
    const store = (channel: string, text: string) => {
      const value = storeValue(text, this.#earlier(place.threadKey, channel, known));
      contents.push(...value.objects);
      if (isInline(value)) {
        inline.push([channel, { skeleton: value.skeleton, links: hashesOf(value.objects) }]);
        if (text.length >= keptFrom) kept.push({ hash: inlineKey(channel, hashesOf(value.objects)), text, weight: 0 });
        return;
      }
      needsParent ||= value.standsOn;
      objects.push([channel, value.hash]);
      if (text.length >= keptFrom) kept.push(value);
    };
    for (const channel of Object.keys(checkpoint.channel_values)) {
      const text = texts.get(channel);
      if (Object.hasOwn(newVersions, channel)) {
        store(channel, text ?? "");
        continue;
      }
      const from = await this.#inherited(place, channel, checkpoint, known);
      if (from === undefined) continue;
      const hash = from.objects[channel];
      const short = from.inline[channel];
      if (hash !== undefined) {
        objects.push([channel, hash]);
        needsParent = true;
      } else if (short !== undefined) {
        inline.push([channel, short]);
        needsParent ||= short.links.length > 0;
      }
      else if (from.elsewhere.has(channel)) store(channel, text ?? "");
    }
    return {
      header: { inline: Object.fromEntries(inline), objects: Object.fromEntries(objects) },
      contents,
      kept,
      needsParent: needsParent && place.parentId !== undefined,
    };
  }

  #earlier(key: string, channel: string, known: CheckpointState | undefined) {
    const hash = known?.objects[channel];
    if (hash !== undefined) return this.#options.cache.value(key, hash);
    const links = known?.inline[channel]?.links ?? [];
    if (links.length === 0) return undefined;
    const text = this.#options.cache.value(key, inlineKey(channel, links))?.text;
    return text === undefined ? undefined : { text };
  }

  /** Which state has a value that is not new: the parent's as a rule, any of the thread's with that version at need. */
  async #inherited(
    { threadId, namespace, parentId }: Place,
    channel: string,
    checkpoint: Checkpoint,
    known: CheckpointState | undefined,
  ): Promise<CheckpointState | undefined> {
    if (inherits(known, channel, checkpoint)) return known;
    if (known === undefined && parentId !== undefined) {
      const parent = await this.#options.loadState(threadId, namespace, parentId);
      if (inherits(parent, channel, checkpoint)) return parent;
    }
    const version = checkpoint.channel_versions[channel];
    return version === undefined ? undefined : this.#options.findVersion(threadId, namespace, channel, version);
  }

  #parcel(
    config: RunnableConfig,
    place: Place,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    metadataJson: string,
    { header, contents, needsParent }: Values,
  ): Parcel {
    const { channel_values: _, id: __, ...rest } = checkpoint;
    const { threadId, namespace, checkpointId, parentId } = place;
    const graph = this.#options.keepThreads && namespace === "" ? graphOf(config, metadata) : undefined;
    return {
      threadKey: place.threadKey,
      lease: leaseOf(config),
      checkpoint: {
        threadId,
        namespace,
        checkpointId,
        parentId,
        header: writeHeader({ checkpoint: rest, ...header }, { ...place, metadata: JSON.parse(metadataJson) }),
        checkpoint: toStorableJson(JSON.stringify({ ts: rest.ts, channel_versions: REFUSAL })),
        metadata: metadataJson,
        needsParent,
      },
      writes: [],
      objects: contents,
      ...(this.#options.keepThreads && namespace === ""
        ? { thread: { threadId, graph: graph === undefined ? undefined : storable(graph, "graph") } }
        : {}),
    };
  }

  async #store(parcels: readonly Parcel[]): Promise<Outcome[]> {
    const { cache, database } = this.#options;
    const lean = withoutStored(parcels, cache);
    const [answer] = await database.rows<WriteAnswer>(writeStatement(this.#sql, this.#name, lean));
    const leases = leasesOf(parcels);
    const held = new Set(answer?.held?.map((place) => leases[place - 1]));
    const withCheckpoint = parcels.filter(({ checkpoint }) => checkpoint !== undefined);
    const orphans = new Set(answer?.orphans?.map((place) => withCheckpoint[place - 1]));
    return parcels.map((parcel) => {
      if (parcel.lease !== undefined && !held.has(parcel.lease)) return "lease lost";
      for (const { hash } of parcel.objects) cache.stored(parcel.threadKey, hash);
      return orphans.has(parcel) ? "orphan" : "stored";
    });
  }
}

/** Contents that are stored already need not be sent, nor twice in this batch, unless the first may be refused for its lease. */
function withoutStored(parcels: readonly Parcel[], cache: StateCache): Parcel[] {
  const sent = new Set<string>();
  return parcels.map((parcel) => {
    const isNew = ({ hash }: StoredObject) => {
      const key = `${parcel.threadKey}${hash}${parcel.lease?.token}`;
      if (sent.has(key) || cache.isStored(parcel.threadKey, hash)) return false;
      sent.add(key);
      return true;
    };
    return { ...parcel, objects: parcel.objects.filter(isNew) };
  });
}

/** By which an inline value is kept at hand: nothing is stored under it. */
function inlineKey(channel: string, links: readonly string[]): string {
  return `${channel}\x01${links.join()}`;
}

function hashesOf(objects: readonly StoredObject[]): string[] {
  return objects.map((object) => object.hash);
}

function inherits(state: CheckpointState | undefined, channel: string, checkpoint: Checkpoint): boolean {
  return state !== undefined && state.versions[channel] === checkpoint.channel_versions[channel];
}

function leaseOf(config: RunnableConfig): HeldLease | undefined {
  return runHoldOf(config)?.lease;
}

function check(outcome: Outcome, config: RunnableConfig): void {
  switch (outcome) {
    case "stored":
      return;
    case "lease lost":
      throw new LeaseLostError(leaseOf(config)?.name ?? "");
    case "orphan":
      throw new Error("A checkpoint that stands on no other was refused for want of its parent");
  }
}

function storableChannels(writes: readonly PendingWrite[]): PendingWrite[] {
  return writes.map(([channel, value]) => [storable(channel, "channel"), value]);
}
