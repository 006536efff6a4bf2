import type { RunnableConfig } from "@langchain/core/runnables";
import type { CheckpointMetadata } from "@langchain/langgraph-checkpoint";

/** The graph a checkpoint belongs to, where the run says so, as the dev server and this package's runner do. */
export function graphOf(config: RunnableConfig, metadata: CheckpointMetadata): string | undefined {
  const graph: unknown = config.configurable?.graph_id ?? (metadata as { graph_id?: unknown }).graph_id;
  return typeof graph === "string" ? graph : undefined;
}
