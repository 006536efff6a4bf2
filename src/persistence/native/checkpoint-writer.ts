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
import {
  ChannelValues,
  type ChannelValuesOptions,
  type StoredValues,
  snapshotsOf,
  type ValuesPlace,
} from "./channel-values.js";
import type { Database } from "./database.js";
import { REFUSAL, writeHeader } from "./header.js";
import type { StateCache } from "./state-cache.js";
import { storable } from "./storable.js";
import { checkpointKey, threadKey } from "./stored-object.js";
import { checksumOfWrites, rowsOfWrites } from "./task-writes.js";
import { ValueTexts } from "./value-texts.js";
import { type Outcome, WriteQueue } from "./write-queue.js";
import { leasesOf, type Parcel, type WriteAnswer, writeSql, writeStatement } from "./write-statement.js";

export interface WriterOptions extends Omit<ChannelValuesOptions, "texts"> {
  readonly schema: string;
  readonly serde: SerializerProtocol;
  readonly database: Database;
  /** Whether the row of the thread is kept as well. */
  readonly keepThreads: boolean;
  /** Stores the writes of tasks that go on from a checkpoint in stock's format beside it; default as all others. */
  readonly stockWrites?: CheckpointWriter["putWrites"];
}

export class CheckpointWriter {
  readonly #options: WriterOptions;
  readonly #queue: WriteQueue;
  readonly #sql: string;
  readonly #name: string;
  readonly #texts: ValueTexts;
  readonly #values: ChannelValues;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#texts = new ValueTexts(options.serde);
    this.#values = new ChannelValues({ ...options, texts: this.#texts });
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
    const place: ValuesPlace = {
      threadId,
      threadKey: key,
      namespace: storable(checkpoint_ns, "checkpoint_ns"),
      checkpointId: storable(checkpoint.id, "checkpoint ID"),
      parentId: checkpoint_id ? storable(checkpoint_id, "checkpoint_id") : undefined,
    };
    if (place.parentId === undefined && place.namespace === "") cache.forget(key);
    const parent = place.parentId === undefined ? undefined : cache.state(key, place.namespace, place.parentId);
    // Serialized now, before anything is waited for: the run goes on with these very objects.
    const dumpedMetadata = this.#texts.json(metadata);
    let values = await this.#values.of(place, checkpoint, newVersions);
    const metadataJson = toStorableJson(await dumpedMetadata);
    const send = () => this.#queue.add(this.#parcel(config, place, checkpoint, metadata, metadataJson, values));
    let outcome = await send();
    if (outcome === "orphan") {
      // The parent was deleted meanwhile, and what it stood on may be gone: this one has to stand on its own.
      cache.forget(key);
      values = await this.#values.standingAlone(place, checkpoint);
      outcome = await send();
    }
    check(outcome, config);
    cache.remember(key, place.namespace, place.checkpointId, {
      ...values.header,
      versions: checkpoint.channel_versions,
      elsewhere: new Set(),
      snapshots: snapshotsOf(checkpoint, values.header.objects, parent),
    });
    for (const value of values.kept) cache.keep(key, value);
  }

  async putWrites(
    config: RunnableConfig,
    writes: readonly PendingWrite[],
    taskId: string,
    taskPath: string,
  ): Promise<void> {
    if (writes.length === 0) return;
    const { thread_id, checkpoint_ns = "", checkpoint_id } = config.configurable ?? {};
    const key = threadKey(storable(thread_id, "thread_id"));
    const namespace = storable(checkpoint_ns, "checkpoint_ns");
    const checkpointId = storable(checkpoint_id, "checkpoint_id");
    const { cache, stockWrites } = this.#options;
    // Stock still reads this checkpoint, and is to find with it all that its tasks have written.
    if (stockWrites !== undefined && cache.state(key, namespace, checkpointId)?.isStock)
      return stockWrites(config, writes, taskId, taskPath);
    const dumped = writes.map(([, value]) => this.#texts.of(value));
    const texts = dumped.every((text) => typeof text === "string") ? dumped : await Promise.all(dumped);
    const rows = rowsOfWrites(
      storable(taskId, "task ID"),
      storable(taskPath, "task path"),
      storableChannels(writes),
      texts,
    );
    const place = checkpointKey(namespace, checkpointId);
    const outcome = await this.#queue.add({
      threadKey: key,
      lease: leaseOf(config),
      writes: rows.map((row) => ({ ...row, checkpointKey: place, checksum: checksumOfWrites(place, row) })),
      objects: rows.flatMap((row) => row.objects),
    });
    check(outcome, config);
  }

  #parcel(
    config: RunnableConfig,
    place: ValuesPlace,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    metadataJson: string,
    { header, contents, needsParent }: StoredValues,
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

/**
 * Contents that are stored already need not be sent, nor twice in this batch, in which a thread has one lease. A
 * checkpoint that so counts on what was stored counts on its parent: whoever tidied up took that first.
 */
function withoutStored(parcels: readonly Parcel[], cache: StateCache): Parcel[] {
  const sent = new Set<string>();
  return parcels.map((parcel) => {
    const { threadKey, checkpoint } = parcel;
    let leftOut = false;
    const objects = parcel.objects.filter(({ hash }) => {
      if (cache.isStored(threadKey, hash)) {
        leftOut = true;
        return false;
      }
      const key = threadKey + hash;
      if (sent.has(key)) return false;
      sent.add(key);
      return true;
    });
    if (!leftOut || checkpoint?.parentId === undefined) return { ...parcel, objects };
    return { ...parcel, objects, checkpoint: { ...checkpoint, needsParent: true } };
  });
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
