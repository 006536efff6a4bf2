/** Graphs whose nodes pay, and the ways that tests come to them again. */
import { setImmediate as turn } from "node:timers/promises";
import { type StructuredToolInterface, tool } from "@langchain/core/tools";
import {
  Annotation,
  END,
  type LangGraphRunnableConfig,
  type RetryPolicy,
  START,
  StateGraph,
} from "@langchain/langgraph";
import { z } from "zod";
import type { Persistence } from "../../../src/core/ports.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import type { effectOn } from "./world.js";

export const State = Annotation.Root({
  cents: Annotation<number>(),
  done: Annotation<string[]>({ reducer: (before, added) => before.concat(added), default: () => [] }),
});
export type S = typeof State.State;
export type Node = (state: S, config: LangGraphRunnableConfig) => Promise<Partial<S>>;
type Charge = ReturnType<typeof effectOn>;

export const quick = { retry: { initialDelayMs: 1 } } as const;
export const again: RetryPolicy = { initialInterval: 1, maxAttempts: 3, jitter: false, logWarning: false };
export const thread = { configurable: { thread_id: "t" } };

export const fault = (status: number) => Object.assign(new Error(`status ${status}`), { status });

/** A graph of one node that climbs the ladder, a person at its end. */
export function recovering(
  persistence: Persistence,
  node: (state: S, config: never) => Promise<Partial<S>>,
  options: object = {},
) {
  const builder = new StateGraph(State)
    .addNode("pay", resilient(node as never, { ...quick, ...options }) as never)
    .addEdge(START, "pay" as never)
    .addEdge("pay" as never, END);
  installRecovery(builder);
  return builder.compile({ checkpointer: persistence.checkpointer });
}

/** Fails so many times. */
export function failing(times: number, status = 503): () => void {
  let left = times;
  return () => {
    if (left-- > 0) throw fault(status);
  };
}

/** Something to wait for. */
export function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** All that can go on without the outside has gone on then: a second call would have been made. */
export async function quiet(): Promise<void> {
  for (let turns = 0; turns < 50; turns += 1) await turn();
}

/** Pays what the state says. */
export const paying =
  (charge: Charge): Node =>
  async ({ cents }, config) => ({ done: [(await charge({ cents }, config)).id] });

export const untilDone =
  (receipts: number) =>
  ({ done }: S) =>
    done.length < receipts ? "pay" : END;

/** A graph of one node, and of what leads on from it. */
export function graphOf(
  { checkpointer }: Pick<Persistence, "checkpointer">,
  node: Node,
  options: {
    readonly retryPolicy?: RetryPolicy;
    readonly route?: (state: S, config: LangGraphRunnableConfig) => string | Promise<string>;
  } = {},
) {
  const { route = () => END, ...others } = options;
  return new StateGraph(State)
    .addNode("pay", node as never, others)
    .addEdge(START, "pay" as never)
    .addConditionalEdges("pay" as never, route as never)
    .compile({ checkpointer });
}

/** A graph to be called by a node or to be one, which pays until there are so many receipts. */
export function innerGraph(node: Node, receipts = 1, checkpointer?: true) {
  return new StateGraph(State)
    .addNode("pay", node)
    .addEdge(START, "pay")
    .addConditionalEdges("pay", untilDone(receipts), ["pay", END])
    .compile(checkpointer === undefined ? {} : { checkpointer });
}

/** A tool of the name "pay". */
export function payTool(work: (cents: number, config: LangGraphRunnableConfig) => Promise<string>) {
  return tool(async ({ cents }: { cents: number }, config) => work(cents, config as never), {
    name: "pay",
    description: "pays",
    schema: z.object({ cents: z.number() }),
  });
}

/** What the tool says when a node calls it. */
export async function told(of: StructuredToolInterface, cents: number, config: LangGraphRunnableConfig) {
  return String(await of.invoke({ cents }, config as never));
}

interface Past {
  readonly next: readonly string[];
  readonly config: { readonly configurable?: { readonly checkpoint_id?: string } };
}

/** Goes on from before the first run of "pay". */
export async function fork(graph: object): Promise<S> {
  let from = "";
  const { getStateHistory } = graph as { getStateHistory(config: object): AsyncIterable<Past> };
  for await (const { next, config } of getStateHistory.call(graph, thread))
    if (next.includes("pay")) from = config.configurable?.checkpoint_id ?? "";
  return (await resumeThread(graph as never, "t", undefined, { from })).values as S;
}
