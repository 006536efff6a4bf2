/** A graph that does on demand whatever a graph can do to its checkpoints. */
import { RemoveMessage } from "@langchain/core/messages";
import {
  DeltaChannel,
  DeltaValue,
  END,
  interrupt,
  MessagesDeltaValue,
  MessagesValue,
  messagesDeltaReducer,
  Overwrite,
  ReducedValue,
  Send,
  START,
  StateGraph,
  StateSchema,
  UntrackedValue,
} from "@langchain/langgraph";
import { z } from "zod";
import { type ChangeSpec, changed, EMPTIED, messageOf } from "./values.js";

/** One superstep, or one for each level of a subgraph. */
export const STEPS = [
  "say",
  "ask",
  "flaky",
  "inner",
  "keeper",
  "parallel",
  "workers",
  "together",
  "overwrite",
  "forget",
] as const;
export type StepKind = (typeof STEPS)[number];
/** Those in which no two tasks write side by side. */
export const SINGLE_STEPS = ["say", "ask", "flaky", "inner", "keeper", "overwrite", "forget"] as const;

export interface Step {
  readonly kind: StepKind;
  readonly change: ChangeSpec;
  /** Which message is added or, if it is there already, replaced; how many workers are sent; and so on. */
  readonly n: number;
}

/** What is outside of the graph. */
export interface World {
  /** How many more times something fails. */
  failures: number;
}

const texts = () => z.array(z.string()).default(() => []);
const anything = () => z.custom<unknown>(() => true);
const appendAll = (current: readonly string[], writes: readonly string[][]) => [...current, ...writes.flat()];
const deltaOfTexts = (snapshotFrequency: number) =>
  new DeltaValue(texts(), { inputSchema: z.array(z.string()), reducer: appendAll, snapshotFrequency });
const names = new ReducedValue(texts(), {
  inputSchema: z.array(z.string()),
  reducer: (current, next) => [...current, ...next],
});

const planFields = {
  plan: z.custom<readonly Step[]>(() => true),
  /** The place in the plan. */
  at: z.number().default(-1),
};
const State = new StateSchema({
  ...planFields,
  value: anything(),
  messages: MessagesValue,
  names,
  log: deltaOfTexts(3),
  chat: MessagesDeltaValue,
  scratch: new UntrackedValue(anything()),
});
type State = typeof State.State;

const Inner = new StateSchema({ ...planFields, names, notes: deltaOfTexts(2), answer: anything() });
const InnerInput = new StateSchema(planFields);
const InnerOutput = new StateSchema({ names });

const stepOf = ({ plan, at }: Pick<State, "plan" | "at">): Step | undefined => plan?.[at];
const valueAfter = (value: unknown, change: ChangeSpec | undefined) => {
  const next = change === undefined ? value : changed(value, change);
  return next === EMPTIED ? null : next;
};

export function buildGraph(world: World) {
  const fail = (what: string) => {
    if (world.failures === 0) return;
    world.failures -= 1;
    throw new Error(`${what} failed, ${world.failures} failures left`);
  };
  const branch = (name: string) => (state: State) => {
    const { n = 0, change } = stepOf(state) ?? {};
    const text = `${name} ${change?.value.text ?? ""}`;
    return {
      names: [name],
      log: [name, text],
      messages: [messageOf(n, text)],
      chat: [messageOf(n, text), messageOf(n + 1, name)],
    };
  };

  const deep = new StateGraph(Inner)
    .addNode("deepest", ({ at }) => ({ notes: [`deepest ${at}`], names: ["deepest"] }))
    .addEdge(START, "deepest")
    .addEdge("deepest", END)
    .compile();
  const innerBuilder = () =>
    new StateGraph({ state: Inner, input: InnerInput, output: InnerOutput })
      .addNode("first", (state) => {
        const { change } = stepOf(state) ?? {};
        return { notes: [`first ${state.at}`, change?.value.text ?? ""] };
      })
      .addNode("second", (state) => {
        const { n = 0 } = stepOf(state) ?? {};
        if (n % 3 === 1) fail("second");
        const answer = n % 3 === 2 ? interrupt({ inner: n }) : n;
        return { answer, notes: ["second"], names: [`second ${JSON.stringify(answer)?.slice(0, 40)}`] };
      })
      .addNode("deep", deep)
      .addEdge(START, "first")
      .addEdge("first", "second")
      .addEdge("second", "deep")
      .addEdge("deep", END);

  return new StateGraph(State)
    .addNode("next", ({ at }) => ({ at: at + 1, scratch: { at } }))
    .addNode("say", (state) => ({ ...branch("say")(state), value: valueAfter(state.value, stepOf(state)?.change) }))
    .addNode("left", branch("left"))
    .addNode("middle", branch("middle"))
    .addNode("right", branch("right"))
    .addNode("worker", (state: State & { worker?: number }) => {
      if (state.worker === 1) fail("worker");
      return { names: [`worker ${state.worker}`], log: [`worker ${state.worker}`], chat: messageOf(0, "worker") };
    })
    .addNode("ask", (state) => {
      const answers = [interrupt({ ask: state.at, change: stepOf(state)?.change.value.text })];
      if ((stepOf(state)?.n ?? 0) % 4 === 3) answers.push(interrupt("and once more"));
      return { value: answers, log: ["asked"] };
    })
    .addNode("flaky", (state) => {
      fail("flaky");
      return branch("flaky")(state);
    })
    .addNode("overwrite", (state) => {
      const { n = 0 } = stepOf(state) ?? {};
      return { log: new Overwrite(n % 2 === 0 ? [] : [`overwritten ${n}`]), names: new Overwrite(["overwritten"]) };
    })
    .addNode("forget", ({ messages, chat }) => ({
      messages: messages.slice(0, 1).map(({ id = "" }) => new RemoveMessage({ id })),
      chat: chat.slice(-1).map(({ id = "" }) => new RemoveMessage({ id })),
    }))
    .addNode("inner", innerBuilder().compile())
    .addNode("keeper", innerBuilder().compile({ checkpointer: true }))
    .addEdge(START, "next")
    .addConditionalEdges("next", (state: State) => {
      const step = stepOf(state);
      if (step === undefined) return END;
      switch (step.kind) {
        case "parallel":
          return ["left", "middle", "right"];
        case "together":
          return ["left", "ask", "flaky", "inner"];
        case "workers":
          return Array.from({ length: (step.n % 4) + 1 }, (_, worker) => new Send("worker", { worker }));
        default:
          return step.kind;
      }
    })
    .addEdge("say", "next")
    .addEdge("left", "next")
    .addEdge("middle", "next")
    .addEdge("right", "next")
    .addEdge("worker", "next")
    .addEdge("ask", "next")
    .addEdge("flaky", "next")
    .addEdge("overwrite", "next")
    .addEdge("forget", "next")
    .addEdge("inner", "next")
    .addEdge("keeper", "next");
}

export const DELTA_CHANNELS = ["log", "chat", "notes", "no such channel"];

/** An empty one of that name, to rebuild a value of its history. */
export function deltaChannel(name: string): DeltaChannel<unknown[], unknown> {
  return new DeltaChannel<unknown[], unknown>((name === "chat" ? messagesDeltaReducer : appendAll) as never);
}
