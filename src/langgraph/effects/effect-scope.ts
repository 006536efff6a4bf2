/** Which step an effect belongs to, whatever names a retry, a crash or a person has given that step since. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { EffectFrame, EffectScope } from "../../core/effect-ports.js";
import { ordinalInTask } from "../attempt-internals.js";
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
    if (isTask(segment)) {
      const graph = around.join("|");
      const call = isTask(around.at(-1) ?? ":") ? 0 : Number(around.at(-1));
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
      const own = depth === 0 ? call - marker.graphsBefore : call;
      return own === 0 ? rest : { ...rest, call: own };
    }),
  ];
}

/** The nodes around, the node, and the decorated call within it: the same in each run of the graph. */
export function placeOf(config: LangGraphRunnableConfig, frames: EffectScope): string {
  const part = attemptAround(config)?.part ?? "";
  const nodes = frames.map(({ node }) => node).join("/");
  return part === "" ? nodes : `${nodes}>${part}`;
}

/** Which of the calls of this effect in this attempt it is; those of an attempt begin with 0. */
export function ordinalOf(config: LangGraphRunnableConfig, effect: string, place: string): number {
  // LangGraph's own retry has the same task enter the node again, whose calls are then the same ones.
  const { nodeAttempt = 1 } = config.executionInfo ?? {};
  return ordinalInTask(config, `effect ${nodeAttempt} ${place} ${effect}`);
}

function isTask(segment: string): boolean {
  return segment.includes(":");
}

function splitLast(segment: string): [string, string] {
  const at = segment.lastIndexOf(":");
  return at === -1 ? [segment, ""] : [segment.slice(0, at), segment.slice(at + 1)];
}
