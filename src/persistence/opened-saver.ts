import type { RunnableConfig } from "@langchain/core/runnables";
import {
  BaseCheckpointSaver,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointTuple,
  type DeltaChannelHistory,
  type PendingWrite,
} from "@langchain/langgraph-checkpoint";
import { type CheckpointPlace, type ThreadNotes, threadNotesOf, USAGE_NOTE } from "../core/checkpoint-notes.js";
import { crashPoint } from "../core/crash-points.js";
import type { EventBus } from "../core/events.js";
import { CheckpointCorruptError } from "../errors/persistence-errors.js";
import { nextChannelVersion } from "./channel-version.js";
import { DurableCheckpoints, type DurableWait } from "./durable-checkpoints.js";
import { endingRun } from "./failed-write.js";
import { graphOf } from "./graph-of.js";
import { listSound } from "./list-sound.js";

/**
 * The checkpointer that `openPersistence` hands out at once: the plugin's own saver is opened on first use. It also
 * holds what is the same for every plugin: crash points around the durable writes, the event after them, and what the
 * thread has used so far in the metadata of its checkpoints.
 */
export class OpenedSaver extends BaseCheckpointSaver {
  readonly #open: () => Promise<BaseCheckpointSaver>;
  readonly #events: EventBus;
  readonly #notes: ThreadNotes;
  readonly #durable = new DurableCheckpoints(async (config) => (await this.getTuple(config)) !== undefined);

  constructor(open: () => Promise<BaseCheckpointSaver>, events: EventBus) {
    super();
    this.#open = open;
    this.#events = events;
    this.#notes = threadNotesOf(this);
  }

  override getNextVersion(current: number | undefined): number {
    return nextChannelVersion(current);
  }

  async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const tuple = await (await this.#open()).getTuple(config);
    if (config.configurable?.checkpoint_id) this.#notes.readOlder(placeOf(config));
    else this.#notes.read(placeOf(config), tuple);
    return tuple;
  }

  async *list(config: RunnableConfig, options?: CheckpointListOptions): AsyncGenerator<CheckpointTuple> {
    yield* (await this.#open()).list(config, options);
  }

  /** Like {@link list}, with the error of a damaged checkpoint in its place where the plugin's saver can tell. */
  async *listSound(
    config: RunnableConfig,
    options?: CheckpointListOptions,
  ): AsyncGenerator<CheckpointTuple | CheckpointCorruptError> {
    yield* listSound(await this.#open(), config, options);
  }

  put(...parameters: Parameters<BaseCheckpointSaver["put"]>): Promise<RunnableConfig> {
    const [config, { id }] = parameters;
    const put = this.#put(...parameters).then(
      (next) => {
        this.#durable.stored(config, id);
        return next;
      },
      (error: unknown) => {
        this.#durable.failed(config, id, error);
        throw error;
      },
    );
    return this.#counted(config, endingRun(config, put));
  }

  /**
   * Resolves when the checkpoint of this config is stored, and with it all that it stands on: its ancestors, and inside a
   * node the checkpoints of the graphs around it.
   *
   * @throws the error of the put that failed; NOT_DURABLE when it is not stored within `timeoutMs` (default 30,000)
   */
  async whenDurable(config: RunnableConfig, options?: DurableWait): Promise<void> {
    await this.#durable.when(config, options);
  }

  putWrites(...parameters: Parameters<BaseCheckpointSaver["putWrites"]>): Promise<void> {
    const [config] = parameters;
    return this.#counted(config, endingRun(config, this.#putWrites(...parameters)));
  }

  async #counted<T>(config: RunnableConfig, write: Promise<T>): Promise<T> {
    const ended = this.#durable.begun(config);
    try {
      return await write;
    } finally {
      ended();
    }
  }

  /** Emits "checkpoint.written" for the root graph's checkpoints; those of subgraphs cannot be resumed by themselves. */
  async #put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<RunnableConfig> {
    const saver = await this.#open();
    const place = placeOf(config);
    if (this.#notes.mustRead(place, config.configurable?.checkpoint_id)) {
      await this.#readNewest(config);
    }
    const note = this.#notes.next(place);
    const noted = note === undefined ? metadata : { ...metadata, [USAGE_NOTE]: note };
    crashPoint("checkpoint.put.before");
    const next = await saver.put(config, checkpoint, noted, newVersions);
    crashPoint("checkpoint.put.after");
    this.#notes.wrote(place, checkpoint.id, note);
    if ((config.configurable?.checkpoint_ns ?? "") === "") {
      const graph = graphOf(config, metadata);
      this.#events.emit(
        "checkpoint.written",
        { threadId: config.configurable?.thread_id, ...(graph === undefined ? {} : { graph }) },
        { checkpointId: checkpoint.id, step: metadata.step, source: metadata.source },
      );
    }
    return next;
  }

  /** Of a damaged one there is no note to carry on; the checkpoint that is gone on from stands in for it. */
  async #readNewest({ configurable = {} }: RunnableConfig): Promise<void> {
    const { thread_id, checkpoint_id } = configurable;
    const newest = { configurable: { thread_id, checkpoint_ns: "" } };
    try {
      await this.getTuple(newest);
    } catch (error) {
      if (!(error instanceof CheckpointCorruptError)) throw error;
      const parent = { configurable: { ...newest.configurable, checkpoint_id } };
      const saver = await this.#open();
      this.#notes.read(placeOf(newest), checkpoint_id === undefined ? undefined : await saver.getTuple(parent));
    }
  }

  async #putWrites(config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath?: string): Promise<void> {
    const saver = await this.#open();
    crashPoint("checkpoint.writes.before");
    await saver.putWrites(config, writes, taskId, taskPath);
    crashPoint("checkpoint.writes.after");
  }

  async deleteThread(threadId: string): Promise<void> {
    await (await this.#open()).deleteThread(threadId);
    this.#notes.forget(threadId);
    this.#durable.forget(threadId);
  }

  override async getDeltaChannelHistory(options: {
    config: RunnableConfig;
    channels: string[];
  }): Promise<Record<string, DeltaChannelHistory>> {
    return (await this.#open()).getDeltaChannelHistory(options);
  }
}

function placeOf({ configurable }: RunnableConfig): CheckpointPlace {
  return { threadId: configurable?.thread_id, namespace: configurable?.checkpoint_ns ?? "" };
}
