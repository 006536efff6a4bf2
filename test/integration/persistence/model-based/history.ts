/** Random histories of a graph's threads: what is done, as data, and the doing of it. */
import { Command } from "@langchain/langgraph";
import type { BaseCheckpointSaver, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import fc from "fast-check";
import { expectSame, historyParts, Mismatch, snapshotParts, tupleParts } from "./exact.js";
import { buildGraph, DELTA_CHANNELS, SINGLE_STEPS, STEPS, type Step } from "./graph.js";
import { type Subject, TeeSaver } from "./tee-saver.js";
import { anyChange, anyText, anyValue, make, messageOf, plainText, type ValueSpec } from "./values.js";

const DURABILITIES = ["sync", "async", "exit"] as const;

interface OnThread {
  readonly thread: number;
  /** Which of its checkpoints, counted from the newest; the head where it is absent. */
  readonly back?: number | undefined;
}
interface Run extends OnThread {
  readonly durability: (typeof DURABILITIES)[number];
  /** How many times something fails before it succeeds. */
  readonly failures: number;
}

export type HistoryCommand =
  | (Run & { readonly do: "invoke"; readonly plan: readonly Step[]; readonly note: string })
  | (Run & { readonly do: "resume"; readonly answer: ValueSpec })
  | (Run & { readonly do: "go on" })
  | (Run & { readonly do: "go to"; readonly node: string; readonly text: string })
  | (OnThread & { readonly do: "update"; readonly asNode: string; readonly value: ValueSpec; readonly n: number })
  | (OnThread & { readonly do: "look"; readonly limit: number; readonly note: string })
  | (OnThread & { readonly do: "delete" });

/** What the histories are made of. */
export interface HistoryKind {
  /** Go back to older checkpoints, which makes branches. */
  readonly forks: boolean;
  /** Let several tasks write in one superstep. */
  readonly parallel: boolean;
  /** Let texts that the stock saver cannot store stand in identifiers and metadata. */
  readonly oddTexts: boolean;
}
export const EVERYTHING: HistoryKind = { forks: true, parallel: true, oddTexts: true };

const THREADS = 2;
const AS_NODES = [
  "",
  "next",
  "say",
  "left",
  "ask",
  "inner",
  "overwrite",
  "__end__",
  "__copy__",
  "__input__",
  "nothing",
];

export function anyHistory({ forks, parallel, oddTexts }: HistoryKind): fc.Arbitrary<HistoryCommand[]> {
  const step: fc.Arbitrary<Step> = fc.record({
    kind: fc.constantFrom(...(parallel ? STEPS : SINGLE_STEPS)),
    change: anyChange,
    n: fc.nat(9),
  });
  const on = {
    thread: fc.nat(THREADS - 1),
    back: forks ? fc.option(fc.nat(40), { nil: undefined, freq: 3 }) : fc.constant(undefined),
  };
  const run = { ...on, durability: fc.constantFrom(...DURABILITIES), failures: fc.constantFrom(0, 0, 1, 2) };
  const note = oddTexts ? anyText : plainText;
  const plan = fc.array(step, { minLength: 1, maxLength: 3 });
  const asNode = fc.constantFrom(...AS_NODES.filter((name) => forks || name !== "__copy__"));
  const command: fc.Arbitrary<HistoryCommand> = fc.oneof(
    { weight: 8, arbitrary: fc.record({ ...run, do: fc.constant("invoke" as const), plan, note }) },
    { weight: 3, arbitrary: fc.record({ ...run, do: fc.constant("resume" as const), answer: anyValue }) },
    { weight: 3, arbitrary: fc.record({ ...run, do: fc.constant("go on" as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        ...run,
        do: fc.constant("go to" as const),
        node: fc.constantFrom("say", "next", "flaky"),
        text: anyText,
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ ...on, do: fc.constant("update" as const), asNode, value: anyValue, n: fc.nat(9) }),
    },
    { weight: 2, arbitrary: fc.record({ ...on, do: fc.constant("look" as const), limit: fc.nat(6), note }) },
    { weight: 1, arbitrary: fc.record({ ...on, do: fc.constant("delete" as const) }) },
  );
  return fc.array(command, { minLength: 2, maxLength: 9, size: "max" });
}

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
    await this.#tee.listed({ configurable: { thread_id: config.configurable.thread_id } });
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

  /** Every checkpoint of every namespace by itself, and every state that the graph makes of them. */
  async compareAll(): Promise<Passed> {
    let [checkpoints, forks] = [0, 0];
    const namespaces = new Set<string>();
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
      await this.#compareStates(thread_id, all);
    }
    if (this.#tee.mismatch !== undefined) throw this.#tee.mismatch;
    return { checkpoints, forks, namespaces: namespaces.size, features: this.#features };
  }

  async #compareStates(thread_id: string, tuples: readonly CheckpointTuple[]): Promise<void> {
    for (const subject of this.#subjects) {
      const expected = await this.#states(this.#tee.reference, thread_id, tuples, subject.valuesByVersion);
      for (const saver of subject.readers()) {
        const actual = await this.#states(saver, thread_id, tuples, subject.valuesByVersion);
        for (const [n, [where, parts]] of expected.entries())
          expectSame(subject.name, where, actual[n]?.[1] ?? {}, parts);
      }
    }
  }

  async #states(saver: BaseCheckpointSaver, thread_id: string, tuples: readonly CheckpointTuple[], byVersion: boolean) {
    const graph = this.#builder.compile({ checkpointer: saver });
    const head = { configurable: { thread_id } };
    const history = [];
    for await (const state of graph.getStateHistory(head)) history.push(snapshotParts(state));
    const single = await Promise.all(
      tuples.map(async ({ config: { configurable } }) => {
        const { checkpoint_ns = "", checkpoint_id } = configurable ?? {};
        const config = { configurable: { thread_id, checkpoint_ns, checkpoint_id } };
        const parts = {
          ...tupleParts(await saver.getTuple(config), byVersion),
          ...historyParts(await saver.getDeltaChannelHistory({ config, channels: DELTA_CHANNELS }), byVersion),
          ...(checkpoint_ns === "" ? snapshotParts(await graph.getState(config, { subgraphs: true })) : {}),
        };
        return [`checkpoint ${checkpoint_id} of "${checkpoint_ns}"`, parts] as const;
      }),
    );
    return [
      ["state", snapshotParts(await graph.getState(head, { subgraphs: true }))] as const,
      ...history.map((parts, n) => [`state ${n} of the history`, parts] as const),
      ...single,
    ];
  }
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
