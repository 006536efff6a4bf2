/** What of a thread a rollback takes back: the checkpoint it goes to, and which effects of the steps since. */
import type { EffectScope } from "../../core/effect-ports.js";
import { InvalidInputError } from "../../errors/own-errors.js";
import type { AffectedOnly } from "../../recovery/rollback-plan.js";
import type { ParsedRange } from "../../recovery/rollback-target.js";
import { root, type UsableState } from "../threads/damage.js";
import type { RunnableGraph } from "../threads/graph.js";
import { inspectResolved } from "../threads/inspect-thread.js";
import type { ThreadRef } from "../threads/resolve-thread.js";
import { type GraphMarks, type GraphTransaction, graphMarks } from "./graph-marks.js";
import { atBarrier, type FoundTarget, findTarget, type Search, searchFor } from "./target.js";

export interface Range extends FoundTarget {
  /** Effects of these alone; absent: of all steps since the target. */
  readonly only?: AffectedOnly;
  /** The thread stays where it is. */
  readonly stays?: true;
}

export interface RangeRequest extends ParsedRange {
  /** What a sound checkpoint fits, where the last one is sought. */
  readonly usableState?: UsableState | undefined;
  /** With scope "step": the steps themselves, by their first executions. */
  readonly steps?: readonly EffectScope[];
  /** Not further back than the run's input: nobody has asked for more. */
  readonly withinRun?: boolean;
}

/** @throws InvalidInputError where there is nothing of the kind, or it is not clear which is meant */
export async function rangeOf(graph: RunnableGraph, ref: ThreadRef, request: RangeRequest): Promise<Range> {
  const { scope, to } = request;
  const { threadId } = ref;
  switch (scope) {
    case "session": {
      const marks = graphMarks(graph);
      return findTarget(graph, threadId, to === undefined ? lastGood(request, marks) : searchFor(to, marks));
    }
    case "process":
      return findTarget(graph, threadId, {
        wanted: "beginning of a run",
        judge: ({ source }) => (source === "input" ? "this" : undefined),
      });
    case "transaction": {
      const { name, nodes, begins } = transactionOf(graphMarks(graph), request.transaction);
      const found = await findTarget(graph, threadId, sinceBegin(name, { nodes, begins }));
      return { ...found, only: { nodes: [...nodes] } };
    }
    case "step":
      return stepsAtHead(graph, ref, request.steps ?? (await failedSteps(graph, ref, request.step)));
  }
}

/** The last sound checkpoint where the newest is damaged, else the last barrier. */
function lastGood({ usableState, withinRun = false }: RangeRequest, marks: GraphMarks): Search {
  return {
    wanted: "damage at its head, nor any barrier (say where to go back to with { to }),",
    firstIsWhole: true,
    usableState,
    passes: () => true,
    judge: async (place) => {
      if (place.isFirstSound) return "this";
      const barrier = await atBarrier(place, true, marks);
      return barrier === undefined && withinRun && place.source === "input" ? "this" : barrier;
    },
  };
}

/** Back to the first of its nodes that was run since the run's input, or to the newest that a transaction begins with. */
function sinceBegin(name: string, { nodes, begins }: GraphTransaction): Search {
  return {
    wanted: `node of transaction "${name}" in this run`,
    judge: async (place) => {
      const run = await place.nodes();
      if (run.some((node) => begins.has(node))) return "this";
      const isMember = begins.size === 0 && run.some((node) => nodes.has(node));
      if (place.source === "input") return isMember ? "perhaps, end" : "end";
      return isMember ? "perhaps" : undefined;
    },
  };
}

function transactionOf({ transactions }: GraphMarks, given: string | undefined): GraphTransaction & { name: string } {
  const names = [...transactions.keys()];
  const name = given ?? (names.length === 1 ? names[0] : undefined);
  const found = name === undefined ? undefined : transactions.get(name);
  if (name !== undefined && found !== undefined) return { name, ...found };
  const known = names.length === 0 ? "none; give resilient(node, { transaction }) to its nodes" : names.join(", ");
  throw new InvalidInputError(
    `${given === undefined ? "Say which transaction is to be rolled back, with { transaction }" : `There is no transaction "${given}"`}; the graph has: ${known}`,
  );
}

async function stepsAtHead(graph: RunnableGraph, ref: ThreadRef, steps: readonly EffectScope[]): Promise<Range> {
  const target = await graph.getState(root(ref), { subgraphs: true });
  const head = String(target.config.configurable?.checkpoint_id);
  return { target, head, from: new Set([head]), only: { steps }, stays: true };
}

/** What failed at the head: a step that waits for a person is known by its own first execution. */
async function failedSteps(
  graph: RunnableGraph,
  ref: ThreadRef,
  wanted: string | undefined,
): Promise<readonly EffectScope[]> {
  const { waitingFor } = await inspectResolved(graph, ref);
  const { tasks, config } = await graph.getState(root(ref));
  const checkpointId = String(config.configurable?.checkpoint_id);
  const asked = waitingFor.flatMap(({ request }) =>
    request?.scope === undefined ? [] : [{ node: request.node, scope: request.scope }],
  );
  const askedFor = new Set(waitingFor.map(({ node }) => node));
  const others = tasks.filter(({ name }) => !askedFor.has(name));
  const failed = others.filter(({ error }) => error !== undefined);
  const standing = asked.length + failed.length > 0 ? failed : others;
  const steps = [
    ...asked,
    ...standing.map(({ name: node, id: taskId }) => ({
      node,
      scope: [{ namespace: "", checkpointId, node, taskId }] as EffectScope,
    })),
  ];
  const meant = wanted === undefined ? steps : steps.filter(({ node }) => node === wanted);
  const nodes = [...new Set(meant.map(({ node }) => node))];
  if (nodes.length === 1) return meant.map(({ scope }) => scope);
  const label = ref.name ?? ref.threadId;
  if (steps.length === 0)
    throw new InvalidInputError(`No step of thread "${label}" has failed; say where to go back to with { to }`);
  const known = [...new Set(steps.map(({ node }) => node))].join(", ");
  throw new InvalidInputError(
    `${nodes.length === 0 ? `No step "${wanted}" stands` : "Several steps stand"} at the head of thread "${label}"; say which is meant with { step }: ${known}`,
  );
}
