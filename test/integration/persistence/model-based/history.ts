/** Histories of a graph's threads, done on several savers at once. */
import type { RunnableConfig } from "@langchain/core/runnables";
import { Command } from "@langchain/langgraph";
import type { BaseCheckpointSaver, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { full } from "../../../support/depth.js";
import { type HistoryCommand, type HistoryKind, type OnThread, THREADS } from "./commands.js";
import { expectSame, Mismatch, type Parts, snapshotParts } from "./exact.js";
import { buildGraph, DELTA_CHANNELS } from "./graph.js";
import { type Subject, TeeSaver } from "./tee-saver.js";
import { make, messageOf } from "./values.js";

export { anyHistory, EVERYTHING, type HistoryCommand, type HistoryKind } from "./commands.js";

/** What a history has come through, for a test to see that it was not for nothing. */
export interface Passed {
  readonly checkpoints: number;
  readonly forks: number;
  readonly namespaces: number;
  readonly features: ReadonlySet<string>;
}

let histories = 0;

/**
 * Runs the history on all subjects and MemorySaver at once.
 * @param after called with the number of commands done
 * @throws Mismatch
 */
export async function runHistory(
  commands: readonly HistoryCommand[],
  subjects: readonly Subject[],
  { oddTexts }: HistoryKind,
  after: (done: number) => void = () => {},
): Promise<Passed> {
  histories += 1;
  const odd = oddTexts ? " NUL \0 \ud83d \uFDD0" : "";
  const threads = Array.from({ length: THREADS }, (_, n) => `history ${histories}, thread ${n}${odd}`);
  const tee = new TeeSaver(subjects);
  const history = new History(tee, subjects, threads);
  after(0);
  for (const [n, command] of commands.entries()) {
    await history.step(command);
    after(n + 1);
  }
  return history.compareAll();
}

class History {
  readonly #tee: TeeSaver;
  readonly #subjects: readonly Subject[];
  readonly #threads: readonly string[];
  readonly #world = { failures: 0 };
  readonly #builder = buildGraph(this.#world);
  readonly #graph;
  readonly #features = new Set<string>();
  readonly #sampleSize = full ? 16 : 3;

  constructor(tee: TeeSaver, subjects: readonly Subject[], threads: readonly string[]) {
    this.#tee = tee;
    this.#subjects = subjects;
    this.#threads = threads;
    this.#graph = this.#builder.compile({ checkpointer: tee });
  }

  async step(command: HistoryCommand): Promise<void> {
    const config = await this.#configOf(command);
    try {
      await this.#do(command, config);
    } catch (error) {
      // Failures on purpose, and commands that make no sense here; all of it is stored, or is not, on all alike.
      if (error instanceof Mismatch) throw error;
      this.#features.add(error instanceof Error && error.message.includes("failures left") ? "failure" : "refused");
    }
    await this.#tee.settled();
    const { thread_id } = config.configurable;
    const place = { configurable: { thread_id, checkpoint_ns: "" } };
    const [head] = await this.#tee.listed(place, { limit: this.#sampleSize });
    if (head !== undefined) await this.#tee.getTuple({ configurable: { ...place.configurable, ...idOf(head) } });
    if (this.#tee.mismatch !== undefined) throw this.#tee.mismatch;
  }

  async #do(command: HistoryCommand, config: Config): Promise<void> {
    if ("failures" in command) this.#world.failures = command.failures;
    switch (command.do) {
      case "invoke": {
        const { plan, note, durability } = command;
        return this.#run({ plan, at: -1, scratch: "of the input" }, { ...config, metadata: { note }, durability });
      }
      case "resume":
        return this.#run(new Command({ resume: make(command.answer) ?? "nothing" }), {
          ...config,
          durability: command.durability,
        });
      case "go on":
        return this.#run(null, { ...config, durability: command.durability });
      case "go to": {
        const { node, text, durability } = command;
        return this.#run(new Command({ goto: node, update: { log: [text], value: text } }), { ...config, durability });
      }
      case "update": {
        const { asNode, value, n } = command;
        const text = value.text;
        const values =
          n === 0
            ? null
            : {
                value: make(value),
                log: [text],
                names: [text],
                messages: [messageOf(n, text)],
                chat: messageOf(n, text),
              };
        await this.#graph.updateState(config, values as never, asNode === "" ? undefined : asNode);
        this.#features.add("update");
        return;
      }
      case "look":
        return this.#look(command, config);
      case "delete":
        this.#features.add("delete");
        return this.#tee.deleteThread(config.configurable.thread_id);
    }
  }

  async #run(input: unknown, config: Config & { durability: string; metadata?: { note: string } }): Promise<void> {
    const result = await this.#graph.invoke(input as never, config as never);
    this.#features.add("__interrupt__" in (result ?? {}) ? "interrupt" : "run to its end");
  }

  async #look({ limit, note }: { limit: number; note: string }, config: Config): Promise<void> {
    const { thread_id, checkpoint_id } = config.configurable;
    const whole = { configurable: { thread_id, checkpoint_ns: "" } };
    const before = checkpoint_id === undefined ? {} : { before: { configurable: { checkpoint_id } } };
    for (const filter of [undefined, { note }, { source: "loop" }, { step: 1, source: "loop" }, { step: null }])
      await this.#tee.listed(whole, { limit, ...before, ...(filter === undefined ? {} : { filter }) });
    await this.#graph.getState(config, { subgraphs: true });
    for await (const _ of this.#graph.getStateHistory(whole, { limit, ...before }));
    await this.#tee.getDeltaChannelHistory({ config, channels: DELTA_CHANNELS });
  }

  async #configOf({ thread, back }: OnThread): Promise<Config> {
    const thread_id = this.#threads[thread] ?? "";
    if (back === undefined) return { configurable: { thread_id } };
    const known = await tuplesOf(this.#tee.reference, thread_id, "");
    const chosen = known[back % Math.max(known.length, 1)];
    return { configurable: { thread_id, checkpoint_ns: "", ...idOf(chosen) } };
  }

  /** Every checkpoint of every namespace, and some of them by themselves. */
  async compareAll(): Promise<Passed> {
    let [checkpoints, forks] = [0, 0];
    const namespaces = new Set<string>();
    for (const subject of this.#subjects) subject.renew();
    for (const thread_id of this.#threads) {
      const parents = new Set<string>();
      const all = await tuplesOf(this.#tee.reference, thread_id);
      for (const { config, parentConfig } of all) {
        const { checkpoint_ns = "" } = config.configurable ?? {};
        checkpoints += 1;
        namespaces.add(checkpoint_ns);
        const parent = `${checkpoint_ns} ${parentConfig?.configurable?.checkpoint_id}`;
        if (parents.has(parent)) forks += 1;
        parents.add(parent);
      }
      for (const checkpoint_ns of namespaces) await this.#tee.listed({ configurable: { thread_id, checkpoint_ns } });
      const sample = sampleOf(all, this.#sampleSize);
      for (const { config } of sample) {
        await this.#tee.getTuple(config);
        await this.#tee.getDeltaChannelHistory({ config, channels: DELTA_CHANNELS });
      }
      await this.#compareStates(thread_id, sample);
    }
    if (this.#tee.mismatch !== undefined) throw this.#tee.mismatch;
    return { checkpoints, forks, namespaces: namespaces.size, features: this.#features };
  }

  /** What a graph makes of them, with a saver that has seen nothing before. */
  async #compareStates(thread_id: string, tuples: readonly CheckpointTuple[]): Promise<void> {
    const expected = await this.#states(this.#tee.reference, thread_id, tuples);
    for (const subject of this.#subjects) {
      subject.renew();
      const reader = subject.readers().at(-1);
      const actual = reader === undefined ? [] : await this.#states(reader, thread_id, tuples);
      for (const [n, parts] of expected.entries()) expectSame(subject, `state ${n}`, actual[n] ?? {}, parts);
    }
  }

  async #states(saver: BaseCheckpointSaver, thread_id: string, tuples: readonly CheckpointTuple[]) {
    const graph = this.#builder.compile({ checkpointer: saver });
    const head = { configurable: { thread_id } };
    // LangGraph itself has no state for a checkpoint between steps whose updates contradict each other, on any saver.
    const stateAt = async (config: RunnableConfig) =>
      graph
        .getState(config, { subgraphs: true })
        .then(snapshotParts, (error: Error): Parts => ({ error: error.message }));
    const states: Parts[] = [await stateAt(head)];
    try {
      for await (const state of graph.getStateHistory(head, { limit: this.#sampleSize }))
        states.push(snapshotParts(state));
    } catch (error) {
      states.push({ error: (error as Error).message });
    }
    for (const { config } of tuples) {
      if (config.configurable?.checkpoint_ns === "") states.push(await stateAt(config));
    }
    return states;
  }
}

/** Spread over all of them. */
function sampleOf<T>(all: readonly T[], size: number): T[] {
  const stride = Math.max(1, Math.ceil(all.length / size));
  return all.filter((_, n) => n % stride === 0);
}

interface Config {
  readonly configurable: {
    readonly thread_id: string;
    readonly checkpoint_ns?: string;
    readonly checkpoint_id?: string;
  };
}

function idOf(tuple: CheckpointTuple | undefined): { checkpoint_id?: string } {
  const checkpoint_id = tuple?.config.configurable?.checkpoint_id;
  return checkpoint_id === undefined ? {} : { checkpoint_id };
}

async function tuplesOf(saver: BaseCheckpointSaver, thread_id: string, checkpoint_ns?: string) {
  const tuples: CheckpointTuple[] = [];
  const configurable = { thread_id, ...(checkpoint_ns === undefined ? {} : { checkpoint_ns }) };
  for await (const tuple of saver.list({ configurable })) tuples.push(tuple);
  return tuples;
}
