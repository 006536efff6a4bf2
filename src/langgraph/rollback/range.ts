/** What of a thread a rollback takes back: the checkpoint it goes to, and which effects of the steps since. */

import type { StateSnapshot } from "@langchain/langgraph";
import type { EffectScope } from "../../core/effect-ports.js";
import { InvalidInputError } from "../../errors/own-errors.js";
import type { AffectedOnly } from "../../recovery/rollback-plan.js";
import type { ParsedRange } from "../../recovery/rollback-target.js";
import { finishedTasks } from "../checkpoint-internals.js";
import { root, type UsableState } from "../threads/damage.js";
import type { RunnableGraph } from "../threads/graph.js";
import { inspectResolved } from "../threads/inspect-thread.js";
import type { ThreadRef } from "../threads/resolve-thread.js";
import { type GraphMarks, type GraphTransaction, graphMarks } from "./graph-marks.js";
import {
  atBarrier,
  type FoundTarget,
  findTarget,
  type Search,
  searchFor,
  type Verdict,
  type WayPlace,
} from "./target.js";

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
  /** With scope "process": the thread stays where it is, for it is to end there. */
  readonly stays?: true;
  /** Checkpoints that the way has to have passed: the last one before them is sought. */
  readonly notAfter?: readonly string[];
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
      if (to !== undefined) return findTarget(graph, threadId, searchFor(to, marks));
      const notAfter = request.notAfter ?? (await failedAt(graph, ref));
      return findTarget(graph, threadId, lastGood({ ...request, notAfter }, marks));
    }
    case "process": {
      const found = await findTarget(graph, threadId, {
        wanted: "beginning of a run",
        judge: ({ source }) => (source === "input" ? "this" : undefined),
      });
      return request.stays === true ? { ...found, stays: true } : found;
    }
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
function lastGood({ usableState, withinRun = false, notAfter = [] }: RangeRequest, marks: GraphMarks): Search {
  const toPass = new Set(notAfter);
  return {
    wanted: "damage at its head, nor any barrier (say where to go back to with { to }),",
    firstIsWhole: true,
    usableState,
    passes: () => true,
    judge: async (place) => {
      if (place.isFirstSound) return "this";
      const barrier = await beforeFailure(toPass, place, marks);
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

/** A barrier that was passed while a step failed, or was asked about, is none to go back to for it. */
async function beforeFailure(toPass: Set<string>, place: WayPlace, marks: GraphMarks): Promise<Verdict> {
  const isAfter = toPass.size > 0;
  toPass.delete(place.id);
  const barrier = await atBarrier(place, true, marks);
  if (barrier === "later" && isAfter) return undefined;
  return toPass.size > 0 ? undefined : barrier;
}

/** Where the steps that people are asked about failed first. */
async function failedAt(graph: RunnableGraph, ref: ThreadRef): Promise<readonly string[]> {
  const { waitingFor } = await inspectResolved(graph, ref);
  return waitingFor.flatMap(({ request }) => {
    const checkpointId = request?.scope?.[0]?.checkpointId;
    return checkpointId === undefined ? [] : [checkpointId];
  });
}

interface FailedStep {
  readonly node: string;
  readonly scope: EffectScope;
}

/** What failed at the head: a step that waits for a person is known by its own first execution. */
async function failedSteps(
  graph: RunnableGraph,
  ref: ThreadRef,
  wanted: string | undefined,
): Promise<readonly EffectScope[]> {
  const { waitingFor } = await inspectResolved(graph, ref);
  const asked = waitingFor.flatMap(({ request }) =>
    request?.scope === undefined ? [] : [{ node: request.node, scope: request.scope }],
  );
  const askedFor = new Set(waitingFor.map(({ node }) => node));
  const head = await graph.getState(root(ref), { subgraphs: true });
  const standing = await unfinished(graph, head, []);
  const others = standing.steps.filter(({ scope }) => !askedFor.has(scope[0]?.node ?? ""));
  const steps = [...asked, ...(asked.length > 0 && !standing.haveFailed ? [] : others)];
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

/** Steps at the head that have not ended, in the graphs within too: those that failed, or else those that were begun. */
async function unfinished(
  graph: RunnableGraph,
  { config, tasks }: StateSnapshot,
  around: EffectScope,
): Promise<{ readonly steps: readonly FailedStep[]; readonly haveFailed: boolean }> {
  const { checkpoint_ns: namespace = "", checkpoint_id: checkpointId } = config.configurable ?? {};
  const stored = await graph.checkpointer.getTuple(config);
  const finished = finishedTasks(stored?.pendingWrites ?? []);
  const open = tasks.filter(({ id }) => !finished.has(id));
  const haveFailed = open.some(({ error }) => error !== undefined);
  const steps: FailedStep[] = [];
  for (const { id: taskId, name: node, state, error } of open) {
    if (haveFailed && error === undefined) continue;
    const scope = [...around, { namespace, checkpointId, node, taskId }];
    const inner = state !== undefined && "tasks" in state ? state : await innerState(graph, config, node, taskId);
    const within = inner === undefined ? undefined : await unfinished(graph, inner, scope);
    if (within === undefined || within.steps.length === 0) steps.push({ node, scope });
    else steps.push(...within.steps);
  }
  return { steps, haveFailed };
}

/** Of a graph within that has failed LangGraph tells no state beside the task. */
async function innerState(
  graph: RunnableGraph,
  { configurable = {} }: StateSnapshot["config"],
  node: string,
  taskId: string,
): Promise<StateSnapshot | undefined> {
  const { thread_id, checkpoint_ns: around = "" } = configurable;
  const checkpoint_ns = `${around === "" ? "" : `${around}|`}${node}:${taskId}`;
  const config = { configurable: { thread_id, checkpoint_ns } };
  const stored = await graph.checkpointer.getTuple(config);
  return stored === undefined ? undefined : graph.getState(config, { subgraphs: true });
}
