import type { LangGraphRunnableConfig, StateSnapshot } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { ConfigError } from "../../errors/own-errors.js";

/** What of a compiled graph the thread functions use. Every compiled StateGraph fits. */
export interface GraphLike {
  checkpointer?: unknown;
  invoke(input: never, config?: never): Promise<unknown>;
  getState(config: never, options?: never): Promise<unknown>;
  updateState(config: never, values: never): Promise<unknown>;
}

/** The same, with the parameters that are passed. */
export interface RunnableGraph {
  readonly name?: string;
  readonly checkpointer: BaseCheckpointSaver;
  readonly nodes: Readonly<Record<string, unknown>>;
  readonly channels: Readonly<Record<string, { readonly lc_graph_name?: string }>>;
  readonly builder?: object;
  getSubgraphs?(namespace: undefined, recurse: boolean): Iterable<[string, Pick<RunnableGraph, "builder">]>;
  invoke(input: unknown, config: LangGraphRunnableConfig & { readonly durability?: Durability }): Promise<unknown>;
  getState(config: LangGraphRunnableConfig, options?: { readonly subgraphs?: boolean }): Promise<StateSnapshot>;
  updateState(config: LangGraphRunnableConfig, values: null): Promise<LangGraphRunnableConfig>;
}

export type Durability = "sync" | "async" | "exit";

/** @throws ConfigError for a graph without a checkpointer: nothing of it could be resumed */
export function runnableGraph(graph: GraphLike, caller: string): RunnableGraph {
  const saver = graph.checkpointer as { getTuple?: unknown } | undefined;
  if (typeof saver?.getTuple !== "function") {
    throw new ConfigError(
      `${caller}: the graph has no checkpointer, so nothing could be resumed; compile it with { checkpointer: openPersistence(…).checkpointer }`,
    );
  }
  return graph as unknown as RunnableGraph;
}

/** The name a graph goes by: its key in langgraph.json where one was given, else the name it was compiled with. */
export function graphNameOf(graph: RunnableGraph, given: string | undefined): string | undefined {
  return given ?? (graph.name === undefined || graph.name === "LangGraph" ? undefined : graph.name);
}
