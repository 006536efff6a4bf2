import { type Category, isCategory } from "../../errors/categories.js";
import { ConfigError } from "../../errors/own-errors.js";
import { builderOf, functionOfNode } from "../internals.js";
import { resilientMark } from "../resilient.js";
import type { RunnableGraph } from "./graph.js";

/** @throws ConfigError for a fault that no node would ever meet */
export function checkFaults(graph: RunnableGraph, faults: Readonly<Record<string, Category>> | undefined): void {
  if (faults === undefined) return;
  const nodes = decoratedNodes(graph);
  for (const [node, category] of Object.entries(faults)) {
    if (!nodes.includes(node))
      throw new ConfigError(
        `A fault is to be injected into node "${node}"; nodes wrapped in resilient() are: ${nodes.join(", ") || "none"}`,
      );
    if (!isCategory(category))
      throw new ConfigError(`A fault of category "${category}" is to be injected; there is no such category`);
  }
}

/** Of the graph and of its subgraphs. */
function decoratedNodes(graph: RunnableGraph): string[] {
  const graphs = [graph, ...[...(graph.getSubgraphs?.(undefined, true) ?? [])].map(([, subgraph]) => subgraph)];
  const decorated = graphs.flatMap(({ builder }) =>
    Object.entries(builderOf(builder ?? {})?.nodes ?? {}).flatMap(([name, spec]) =>
      resilientMark(functionOfNode(spec)) === undefined ? [] : [name],
    ),
  );
  return [...new Set(decorated)];
}
