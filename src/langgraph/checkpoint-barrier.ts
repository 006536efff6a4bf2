import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { ConfigError } from "../errors/own-errors.js";
import { checkpointerOf } from "./internals.js";

interface DurableSaver {
  whenDurable(config: LangGraphRunnableConfig, options: object): Promise<void>;
}

const barriers = new WeakMap<object, string>();

/** The name of the barrier that a node is, or undefined for any other function. */
export function barrierName(node: unknown): string | undefined {
  return typeof node === "function" ? barriers.get(node) : undefined;
}

/**
 * A node that is a place to go back to: `rollback(graph, thread, { to: { barrier: name } })` returns to the state right
 * after it, and a rollback of scope "session" without a target to the last one passed. What comes before it stays as it
 * is. The node changes nothing; it waits until all that it stands on is stored.
 *
 * @param name unique in its graph
 * @throws ConfigError for an empty name
 */
export function checkpointBarrier(
  name: string,
): (state: unknown, config: LangGraphRunnableConfig) => Promise<Record<string, never>> {
  if (typeof name !== "string" || name === "") throw new ConfigError("checkpointBarrier(): give it a name");
  const barrier = async (_state: unknown, config: LangGraphRunnableConfig) => {
    const saver = checkpointerOf(config) as Partial<DurableSaver> | undefined;
    const { signal } = config;
    await saver?.whenDurable?.(config, { runsHere: true, ...(signal === undefined ? {} : { signal }) });
    return {};
  };
  Object.defineProperty(barrier, "name", { value: name });
  barriers.set(barrier, name);
  return barrier;
}

const periods = new WeakMap<object, number>();

/** @param every so many supersteps, after each of which the graph of this builder has a barrier */
export function setBarrierEvery(builder: object, every: number): void {
  periods.set(builder, every);
}

export function barrierEvery(builder: object | undefined): number | undefined {
  return builder === undefined ? undefined : periods.get(builder);
}

/** The name of the barrier that every n-th superstep is: "step 10". */
export function stepBarrier(step: number): string {
  return `step ${step}`;
}
