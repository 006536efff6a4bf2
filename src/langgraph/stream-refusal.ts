import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { Category } from "../errors/categories.js";
import { PROCESS_DIED } from "../errors/policy-errors.js";
import { attempt } from "./attempt-scope.js";

/** What no text of the attempt can have brought about. */
const FROM_OUTSIDE: ReadonlySet<Category> = new Set<Category>([
  "network",
  "timeout",
  "rate_limit",
  "server_error",
  "model_unavailable",
  "tool_execution",
  "conflict",
  "environment",
  "context_length",
  "quota",
  "auth",
  "permission",
  "cancelled",
]);

/** Failures of a model's call that gave no answer: the texts that are complete are others. */
const NO_ANSWER: ReadonlySet<string> = new Set([
  PROCESS_DIED,
  "ANSWER_CUT",
  "ANSWER_DAMAGED",
  "INVALID_TOOL_CALL",
  "MODELS_FAILED",
]);

/**
 * Whether a complete text that the attempt before has left may be what that attempt failed of: the node refused it, or
 * it cannot be told. Handed out again, it would fail every attempt there is.
 */
export function mayBeAtFault(config: LangGraphRunnableConfig): boolean {
  const { previous } = attempt(config);
  // LangGraph's own retry does not say what failed.
  if (previous === undefined) return (config.executionInfo?.nodeAttempt ?? 1) > 1;
  return !FROM_OUTSIDE.has(previous.category) && !NO_ANSWER.has(previous.code ?? "");
}
