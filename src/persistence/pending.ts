import type { CheckpointPendingWrite } from "@langchain/langgraph-checkpoint";
import type { ThreadRecord } from "../core/ports.js";

/** Writes that report on a task instead of finishing it (`isTaskOutput` in LangGraph). */
export const reportChannels = ["__error__", "__error_source_node__", "__interrupt__", "__resume__"] as const;

/** What the newest checkpoint waits for: a task that reported an interrupt or an error and has not finished since. */
export function pendingOf(writes: readonly CheckpointPendingWrite[]): ThreadRecord["pending"] {
  const reports: readonly string[] = reportChannels;
  const finished = new Set(writes.filter(([, channel]) => !reports.includes(channel)).map(([taskId]) => taskId));
  const open = writes.filter(([taskId]) => !finished.has(taskId)).map(([, channel]) => channel);
  if (open.includes("__interrupt__")) return "interrupt";
  return open.includes("__error__") ? "error" : undefined;
}
