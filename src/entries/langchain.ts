/** `langgraph-resilience/langchain`: for agents made by `createAgent`. Needs the package `langchain`. */
export type { ResilienceMiddlewareOptions } from "../langgraph/middleware/options.js";
export { resilienceMiddleware } from "../langgraph/middleware/resilience-middleware.js";
export type {
  ToolAnswer,
  ToolArguments,
  ToolFailureMode,
  ToolFallback,
  ToolPolicyOptions,
} from "../langgraph/middleware/tool-options.js";
