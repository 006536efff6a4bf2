import type { RunnableConfig } from "@langchain/core/runnables";
import {
  BaseCheckpointSaver,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointTuple,
  type DeltaChannelHistory,
  JsonPlusSerializer,
  MemorySaver,
  type PendingWrite,
} from "@langchain/langgraph-checkpoint";
import { expectSame, historyParts, Mismatch, type Parts, tupleParts } from "./exact.js";

/** A way to store checkpoints that is to do what MemorySaver does. */
export interface Subject {
  readonly name: string;
  /** Takes all that is written. */
  writer(): BaseCheckpointSaver;
  /** Each is asked whatever is read: the writer itself, and last another, which only reads. */
  readers(): BaseCheckpointSaver[];
  /** Makes the last of the readers one that has read nothing, either. */
  renew(): void;
  /**
   * True for a format that finds the value of a channel by its version alone. The snapshot of a delta channel is then
   * found in all checkpoints up to the channel's next write, with the same value in the end.
   */
  readonly valuesByVersion: boolean;
  /** Aspects in which it may differ. */
  readonly ignored?: readonly string[];
}

/**
 * MemorySaver takes everything for JSON and so fails to read a top-level Uint8Array, which the serializer dumps as
 * bytes. In a wrapper nothing is at the top.
 */
class WrappingSerializer extends JsonPlusSerializer {
  override async dumpsTyped(value: unknown): Promise<[string, Uint8Array]> {
    return super.dumpsTyped([value]);
  }
  override async loadsTyped(type: string, data: Uint8Array | string): Promise<unknown> {
    return (await super.loadsTyped(type, data))[0];
  }
}

type PartsOf<T> = (value: T, byVersion: boolean) => Parts;
type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** Called at once, so that all savers see the same values even where the caller changes them afterwards. */
function outcomeOf<T>(call: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return call().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
  } catch (error) {
    return Promise.resolve({ error });
  }
}

/**
 * Writes to MemorySaver and to the subjects alike, and reads from all of them, comparing what they return: so a graph
 * runs once, and identifiers, times and versions are the same everywhere. Each reader in turn gives the answer that
 * the graph goes on with; the other answers are spoilt, which must not show in the next read.
 */
export class TeeSaver extends BaseCheckpointSaver {
  readonly reference = new MemorySaver(new WrappingSerializer());
  readonly #subjects: readonly Subject[];
  readonly #inFlight = new Set<Promise<unknown>>();
  #written = 0;
  #reads = 0;
  /** The first that was found; LangGraph may have swallowed it. */
  mismatch: Mismatch | undefined;

  constructor(subjects: readonly Subject[]) {
    super();
    this.#subjects = subjects;
  }

  override getNextVersion(current: number | undefined): number {
    return this.#subjects[0]?.writer().getNextVersion(current) ?? 0;
  }

  async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    return this.#read("getTuple", (saver) => saver.getTuple(config), tupleParts);
  }

  async *list(config: RunnableConfig, options?: CheckpointListOptions): AsyncGenerator<CheckpointTuple> {
    yield* await this.listed(config, options);
  }

  /** In order where thread and namespace are given; else MemorySaver has an order of its own, and no limit is meant. */
  async listed(config: RunnableConfig, options?: CheckpointListOptions): Promise<CheckpointTuple[]> {
    const inOrder = config.configurable?.thread_id !== undefined && config.configurable.checkpoint_ns !== undefined;
    const gather = async (saver: BaseCheckpointSaver) => {
      const tuples: CheckpointTuple[] = [];
      for await (const tuple of saver.list(config, options)) tuples.push(tuple);
      return inOrder ? tuples : tuples.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    };
    return this.#read("list", gather, (tuples, byVersion) => ({
      listed: tuples.map(keyOf).join("\n"),
      ...Object.fromEntries(tuples.flatMap((tuple, n) => partsUnder(`${n} `, tupleParts(tuple, byVersion)))),
    }));
  }

  async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<RunnableConfig> {
    return this.#write("put", (saver) => saver.put(config, checkpoint, metadata, newVersions));
  }

  async putWrites(config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath?: string): Promise<void> {
    return this.#write("putWrites", (saver) => saver.putWrites(config, writes, taskId, taskPath));
  }

  async deleteThread(threadId: string): Promise<void> {
    return this.#write("deleteThread", (saver) => saver.deleteThread(threadId));
  }

  override async getDeltaChannelHistory(options: {
    config: RunnableConfig;
    channels: string[];
  }): Promise<Record<string, DeltaChannelHistory>> {
    return this.#read("getDeltaChannelHistory", (saver) => saver.getDeltaChannelHistory(options), historyParts);
  }

  /** Resolves when everything that was written is stored. */
  async settled(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight);
  }

  #write<T>(what: string, write: (saver: BaseCheckpointSaver) => Promise<T>): Promise<T> {
    this.#written += 1;
    const expected = outcomeOf(() => write(this.reference));
    const actual = this.#subjects.map((subject) => outcomeOf(() => write(subject.writer())));
    const all = this.#compareWritten(what, expected, actual);
    this.#inFlight.add(all);
    const done = () => this.#inFlight.delete(all);
    all.then(done, done);
    return all;
  }

  async #compareWritten<T>(what: string, expected: Promise<Outcome<T>>, actual: Promise<Outcome<T>>[]): Promise<T> {
    const outcome = await expected;
    for (const [n, other] of (await Promise.all(actual)).entries())
      this.#compareErrors(this.#subjects[n]?.name ?? "", what, other, outcome);
    return valueIn(outcome);
  }

  async #read<T>(what: string, read: (saver: BaseCheckpointSaver) => Promise<T>, partsOf: PartsOf<T>) {
    for (;;) {
      await this.settled();
      const written = this.#written;
      const expected = await outcomeOf(() => read(this.reference));
      const readers = this.#subjects.flatMap((subject) => subject.readers().map((saver) => ({ subject, saver })));
      const found = await Promise.all(
        readers.map(async ({ subject, saver }) => ({ subject, outcome: await outcomeOf(() => read(saver)) })),
      );
      // What was written in the meantime may be seen by some and not by others.
      if (written !== this.#written) continue;
      for (const { subject, outcome } of found) {
        this.#compareErrors(subject.name, what, outcome, expected);
        if ("value" in outcome && "value" in expected)
          this.#compare(subject, what, outcome.value, expected.value, partsOf);
      }
      const outcomes = [expected, ...found.map(({ outcome }) => outcome)];
      this.#reads += 1;
      const [chosen = expected] = outcomes.splice(this.#reads % outcomes.length, 1);
      for (const outcome of outcomes) if ("value" in outcome) spoil(outcome.value);
      return valueIn(chosen);
    }
  }

  #compare<T>(subject: Subject, what: string, actual: T, expected: T, partsOf: PartsOf<T>): void {
    const parts = (value: T) => partsOf(value, subject.valuesByVersion);
    this.#noting(() => expectSame(subject, what, parts(actual), parts(expected)));
  }

  #compareErrors(subject: string, what: string, actual: Outcome<unknown>, expected: Outcome<unknown>): void {
    if ("error" in actual === "error" in expected) return;
    const detail = "error" in actual ? `fails with ${String(actual.error)}` : "does not fail";
    this.#noting(() => {
      throw new Mismatch(subject, "refusal", `${what} ${detail}, other than on MemorySaver`);
    });
  }

  #noting(check: () => void): void {
    try {
      check();
    } catch (error) {
      if (error instanceof Mismatch) this.mismatch ??= error;
      throw error;
    }
  }
}

function valueIn<T>(outcome: Outcome<T>): T {
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}

/** What was read belongs to the reader: whatever it does to it, the next read gives what is stored. */
function spoil(read: unknown): void {
  if (typeof read !== "object" || read === null || Object.isFrozen(read)) return;
  // MemorySaver hands back the very config it was given.
  for (const [key, inner] of Object.entries(read)) if (!/config$/i.test(key)) spoil(inner);
  if (read instanceof Uint8Array) read.fill(7);
  else if (Array.isArray(read)) read.push("added by a reader");
  else Object.assign(read, { addedByReader: true });
}

function keyOf({ config }: CheckpointTuple): string {
  const { thread_id, checkpoint_ns = "", checkpoint_id } = config.configurable ?? {};
  return JSON.stringify([thread_id, checkpoint_ns, checkpoint_id]);
}

function partsUnder(prefix: string, parts: Parts): [string, string][] {
  return Object.entries(parts).map(([name, part]) => [prefix + name, part]);
}
