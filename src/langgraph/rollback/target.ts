/** Which checkpoint a rollback goes back to. */
import type { StateSnapshot } from "@langchain/langgraph";
import type { EffectScope } from "../../core/effect-ports.js";
import { InvalidInputError } from "../../errors/own-errors.js";
import type { CheckpointCorruptError } from "../../errors/persistence-errors.js";
import type { ParsedTarget } from "../../recovery/rollback-target.js";
import { stepBarrier } from "../checkpoint-barrier.js";
import { reenteredSteps } from "../envelope.js";
import { root, type UsableState } from "../threads/damage.js";
import type { RunnableGraph } from "../threads/graph.js";
import type { GraphMarks } from "./graph-marks.js";
import { type DamagedPlace, type SoundPlace, wayBackFromHead } from "./way.js";

export interface FoundTarget {
  readonly target: StateSnapshot;
  readonly head: string;
  /** Present where the head is damaged. */
  readonly damage?: CheckpointCorruptError;
  /** IDs from the target to the head, both included. */
  readonly from: ReadonlySet<string>;
  /** Steps that were entered again on that way, by their first executions. */
  readonly reentered?: readonly EffectScope[];
}

/** A checkpoint on the way back. */
export interface WayPlace extends SoundPlace {
  /** How many checkpoints back from the head. */
  readonly steps: number;
  /** Whether all that came after it on the way is damaged. */
  readonly isFirstSound: boolean;
}

/**
 * What a place on the way is to the search: `this` or the one `later` is the target; `perhaps`: it is, unless an earlier
 * one is; `end`: there is none further back.
 */
export type Verdict = "this" | "later" | "perhaps" | "perhaps, end" | "end" | undefined;

export interface Search {
  /** For messages: "checkpoint before node …". */
  readonly wanted: string;
  judge(place: WayPlace): Verdict | Promise<Verdict>;
  /**
   * What a damaged checkpoint behind the head is: passed over, or the end of the search, since what is asked for may
   * be that one. Default: the end.
   */
  passes?(damaged: DamagedPlace, steps: number): boolean;
  /** Whether it is for the first sound one: then all that it stands on is read. */
  readonly firstIsWhole?: boolean;
  readonly usableState?: UsableState | undefined;
  /** Where to begin; default: at the head. */
  readonly start?: string | undefined;
}

/**
 * Goes back from the head, checkpoint by checkpoint, on this branch alone, past those that are damaged. The target is
 * read with all it stands on.
 *
 * @throws InvalidInputError where there is no such checkpoint on the way back, naming those there are;
 * CheckpointCorruptError where it is damaged
 */
export async function findTarget(graph: RunnableGraph, threadId: string, search: Search): Promise<FoundTarget> {
  const from: string[] = [];
  const steps: (readonly EffectScope[])[] = [];
  const nodes = new Set<string>();
  let damage: CheckpointCorruptError | undefined;
  let perhaps: { readonly id: string; readonly at: number } | undefined;
  let onlyDamaged = true;
  const found = async (id: string, count: number): Promise<FoundTarget> => {
    const target = await graph.getState(root({ threadId }, id), { subgraphs: true });
    const ways = { head: from[0] ?? id, from: new Set(from.slice(0, count)) };
    return { target, ...ways, reentered: steps.slice(0, count).flat(), ...(damage === undefined ? {} : { damage }) };
  };
  for await (const place of wayBackFromHead(graph, threadId, search)) {
    from.push(place.id);
    steps.push("damage" in place ? [] : reenteredSteps(place.tuple.checkpoint));
    if ("damage" in place) {
      if (from.length === 1) damage = place.damage;
      else if (search.passes?.(place, from.length - 1) !== true) throw place.damage;
      continue;
    }
    const isFirstSound = onlyDamaged && damage !== undefined;
    const asked = async () => {
      const run = await place.nodes();
      for (const node of run) nodes.add(node);
      return run;
    };
    const verdict = await search.judge({ ...place, nodes: asked, steps: from.length - 1, isFirstSound });
    if (verdict === "this") return found(place.id, from.length);
    if (verdict === "later" && place.later !== undefined) return found(place.later.id, from.length - 1);
    if (verdict === "perhaps" || verdict === "perhaps, end") perhaps = { id: place.id, at: from.length };
    if (verdict === "end" || verdict === "perhaps, end") break;
    onlyDamaged = false;
  }
  if (perhaps !== undefined) return found(perhaps.id, perhaps.at);
  if (from.length === 0) throw new InvalidInputError(`Thread "${threadId}" has no checkpoint to go back to`);
  const run = nodes.size === 0 ? "" : `, from which ${[...nodes].join(", ")} were run`;
  throw new InvalidInputError(
    `There is no ${search.wanted} on the way back from checkpoint ${from[0]} of thread "${threadId}": it has ${from.length} checkpoints${run}`,
  );
}

export function searchFor(wanted: ParsedTarget, marks: GraphMarks): Search {
  if ("checkpoint" in wanted)
    return {
      wanted: `checkpoint ${wanted.checkpoint}`,
      judge: ({ id }) => (id === wanted.checkpoint ? "this" : undefined),
      passes: ({ id }) => id !== wanted.checkpoint,
    };
  if ("steps" in wanted)
    return {
      wanted: `checkpoint ${wanted.steps} steps back`,
      judge: ({ steps }) => (steps === wanted.steps ? "this" : undefined),
      passes: (_, steps) => steps !== wanted.steps,
    };
  if ("before" in wanted)
    return {
      wanted: `checkpoint before node "${wanted.before}"`,
      judge: async (place) => ((await place.nodes()).includes(wanted.before) ? "this" : undefined),
    };
  const { barrier } = wanted;
  return {
    wanted: barrier === true ? "barrier" : `barrier "${barrier}"`,
    judge: (place) => atBarrier(place, barrier, marks),
  };
}

/** The state after a barrier is the checkpoint that its superstep has led to. */
export async function atBarrier(
  place: WayPlace,
  wanted: string | true,
  { barriers, barrierEvery }: GraphMarks,
): Promise<Verdict> {
  const { source, step, later } = place;
  const isNamed = (name: string | undefined) => name !== undefined && (wanted === true || wanted === name);
  if (
    barriers.size > 0 &&
    later?.source === "loop" &&
    (await place.nodes()).some((node) => isNamed(barriers.get(node)))
  )
    return "later";
  const isPeriodic = barrierEvery !== undefined && source === "loop" && step > 0 && step % barrierEvery === 0;
  return isPeriodic && isNamed(stepBarrier(step)) ? "this" : undefined;
}
