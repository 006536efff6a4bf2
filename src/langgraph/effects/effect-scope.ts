/** Which step an effect belongs to, whatever names a retry, a crash or a person has given that step since. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { EffectFrame, EffectScope } from "../../core/effect-ports.js";
import { attemptHome, ordinalInTask } from "../attempt-internals.js";
import { attemptAround, markerOf } from "../attempt-scope.js";
import { namespaceOf } from "../internals.js";

/**
 * The task's own frames, outermost graph first. Assumption: a namespace is `node:task|node:task`, with a number between
 * the two where the node had called graphs before, and `checkpoint_map` has the checkpoint of each graph around by its
 * namespace.
 *
 * @param namespace of the task; default that of the config
 */
export function ownFrames(config: LangGraphRunnableConfig, namespace = namespaceOf(config)): EffectScope {
  const checkpoints = (config.configurable?.checkpoint_map ?? {}) as Record<string, string>;
  const frames: EffectFrame[] = [];
  const around: string[] = [];
  for (const segment of namespace === "" ? [] : namespace.split("|")) {
    if (!isNumber(segment)) {
      const graph = around.join("|");
      const before = around.at(-1) ?? "";
      const call = isNumber(before) ? Number(before) : 0;
      const [node, taskId] = splitLast(segment);
      const frame = { namespace: graph, checkpointId: checkpoints[graph] ?? "", node, taskId };
      frames.push(call === 0 ? frame : { ...frame, call });
    }
    around.push(segment);
  }
  return frames;
}

/**
 * The scope at the step's first execution: a step that a person sent back is the one they were asked about, and a graph
 * that an attempt calls is the one that the attempt before called.
 *
 * @param namespace of the task; default that of the config
 */
export function scopeOf(config: LangGraphRunnableConfig, namespace = namespaceOf(config)): EffectScope {
  const frames = ownFrames(config, namespace);
  const marker = markerOf(config);
  if (marker === undefined) return frames;
  const around = marker.scope();
  return [
    ...around,
    ...frames.slice(around.length).map((frame, depth): EffectFrame => {
      const { call = 0, ...rest } = frame;
      const own = depth === 0 ? Math.max(0, marker.graphs.indexOf(call)) : call;
      const part = depth === 0 && marker.part !== "" ? { part: marker.part } : {};
      return own === 0 ? { ...rest, ...part } : { ...rest, call: own, ...part };
    }),
  ];
}

/** The nodes around, the node, and the decorated call within it: the same in each run of the graph. */
export function placeOf(config: LangGraphRunnableConfig, frames: EffectScope): string {
  const part = attemptAround(config)?.part ?? "";
  const nodes = frames.map(({ node }) => node).join("/");
  return part === "" ? nodes : `${nodes}>${part}`;
}

/**
 * Which of the calls of this effect in the task it is. An attempt begins where the decorated call before it left off.
 *
 * @returns with what is to be called when the call failed
 */
export function ordinalOf(
  config: LangGraphRunnableConfig,
  effect: string,
  place: string,
  inputHash: string,
): { readonly ordinal: number; failed(): void } {
  // LangGraph's own retry has the same task enter the node again, whose calls are then the same ones.
  const { nodeAttempt = 1 } = config.executionInfo ?? {};
  const name = `effect ${nodeAttempt} ${place} ${effect}`;
  const failed = failedCalls(config, `${name} ${inputHash}`);
  const ordinal = failed.shift() ?? ordinalInTask(config, name);
  return { ordinal, failed: () => void failed.push(ordinal) };
}

const failedOrdinals = new WeakMap<object, Map<string, number[]>>();

/** Ordinals of calls that failed in this attempt: one that is made again is the same call, whoever makes it again. */
function failedCalls(config: LangGraphRunnableConfig, name: string): number[] {
  const home = attemptHome(config);
  if (home === undefined) return [];
  const known = failedOrdinals.get(home) ?? new Map<string, number[]>();
  failedOrdinals.set(home, known);
  const failed = known.get(name) ?? [];
  known.set(name, failed);
  return failed;
}

/** Between the nodes of a namespace stands the number of the graph that the node has called, but for the first. */
function isNumber(segment: string): boolean {
  return /^\d+$/.test(segment);
}

function splitLast(segment: string): [string, string] {
  const at = segment.lastIndexOf(":");
  return at === -1 ? [segment, ""] : [segment.slice(0, at), segment.slice(at + 1)];
}
