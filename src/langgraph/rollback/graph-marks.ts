/** What a graph's author has said of its nodes that a rollback goes by. */
import { barrierEvery, barrierName } from "../checkpoint-barrier.js";
import { builderOf, functionOfNode } from "../internals.js";
import { resilientMark } from "../resilient.js";
import type { RunnableGraph } from "../threads/graph.js";

export interface GraphTransaction {
  readonly nodes: ReadonlySet<string>;
  /** Those that a new one begins with. */
  readonly begins: ReadonlySet<string>;
}

export interface GraphMarks {
  /** By name. */
  readonly transactions: ReadonlyMap<string, GraphTransaction>;
  /** Names of barriers by node. */
  readonly barriers: ReadonlyMap<string, string>;
  /** So many supersteps make a barrier. */
  readonly barrierEvery: number | undefined;
}

export function graphMarks({ builder }: Pick<RunnableGraph, "builder">): GraphMarks {
  const transactions = new Map<string, { nodes: Set<string>; begins: Set<string> }>();
  const barriers = new Map<string, string>();
  for (const [node, spec] of Object.entries(builderOf(builder ?? {})?.nodes ?? {})) {
    const work = functionOfNode(spec);
    const barrier = barrierName(work);
    if (barrier !== undefined) barriers.set(node, barrier);
    const part = resilientMark(work)?.policy.transaction;
    if (part === undefined) continue;
    const known = transactions.get(part.name) ?? { nodes: new Set(), begins: new Set() };
    known.nodes.add(node);
    if (part.begins) known.begins.add(node);
    transactions.set(part.name, known);
  }
  return { transactions, barriers, barrierEvery: barrierEvery(builder) };
}
