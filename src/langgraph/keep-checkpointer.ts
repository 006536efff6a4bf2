import { ConfigError } from "../errors/own-errors.js";

/**
 * Keeps the checkpointer a graph was compiled with. The development server behind LangGraph Studio assigns its own
 * file-backed one on every request; after this call the assignment has no effect on this object. Compile a fresh graph
 * where another checkpointer is wanted: any later assignment is ignored without a word.
 *
 * @returns the graph
 * @throws ConfigError when the graph has no checkpointer to keep
 */
export function keepCheckpointer<G extends { checkpointer?: unknown }>(graph: G): G {
  const kept = graph.checkpointer;
  if (typeof kept !== "object" || kept === null)
    throw new ConfigError("keepCheckpointer(): the graph was compiled without a checkpointer");
  Object.defineProperty(graph, "checkpointer", {
    get: () => kept,
    set: () => undefined,
    enumerable: true,
    configurable: false,
  });
  return graph;
}
