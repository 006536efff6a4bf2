/**
 * What an effect is to the branch that comes to one like it: done on the way here, beside this in the same step, by this
 * very step under other names, or on a branch that was left.
 */
import { isDeepStrictEqual } from "node:util";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import type { EffectFrame, EffectLedger, EffectScope, StoredEffect, WayPoint } from "../../core/effect-ports.js";
import { mayStand } from "../../effects/effect.js";
import type { LeftBehind } from "../../effects/effect-request.js";

type Relation = "past" | "beside" | "same step" | "left branch";

/** Sources of checkpoints that are made beside what the tasks of the one before were doing, which is dropped. */
const ASIDE: readonly string[] = ["update", "fork"];

export interface Branch {
  readonly saver: Pick<BaseCheckpointSaver, "getTuple">;
  readonly ledger: Pick<EffectLedger, "way">;
  readonly threadId: string;
  /** Of the step, as it is to be known. */
  readonly scope: EffectScope;
  /** Of the task that runs. */
  readonly frames: EffectScope;
  /** The caller's key, where it gives one: only effects with the same count. */
  readonly name: string | undefined;
  /** Of several, the first with the same input has its turn. */
  readonly inputHash: string;
}

/**
 * A thread that was never forked is told by its newest entry of this kind alone: it is past, and every earlier one was
 * looked at when that was made.
 */
export async function wentStraightOn(branch: Branch, newest: StoredEffect): Promise<boolean> {
  return newest.forked !== true && (await new Relations(branch).of(newest)) === "past";
}

/**
 * @param alike all entries of the same effect at the same place, in the order of intent
 * @param leftByRollbacks IDs of the checkpoints that rollbacks have left: what stands there was to stay, and this branch
 * goes on from it
 */
export async function leftBehind(
  branch: Branch,
  alike: readonly StoredEffect[],
  leftByRollbacks: ReadonlySet<string>,
): Promise<LeftBehind> {
  const relations = new Relations(branch);
  const done: StoredEffect[] = [];
  const elsewhere: { readonly entry: StoredEffect; readonly relation: Relation }[] = [];
  for (const entry of alike) {
    const relation = await relations.of(entry);
    if (relation === "past" || relation === "beside") done.push(entry);
    else elsewhere.push({ entry, relation });
  }
  const slotOf = slots(alike);
  const hadTheirTurn = new Set(done.map(slotOf));
  const isHollow = hollow(alike);
  const left = elsewhere.filter(({ entry }) => !hadTheirTurn.has(slotOf(entry)) && !isHollow(entry));
  const candidates = oneOfEachSlot(left, slotOf);
  const named = candidates.filter(({ entry }) => branch.name === undefined || entry.name === branch.name);
  const next = named.find(({ entry }) => entry.inputHash === branch.inputHash) ?? named[0];
  return {
    ...(next === undefined ? {} : { candidate: next.entry }),
    isInherited:
      next !== undefined &&
      (next.relation === "same step" || leftByRollbacks.has(next.entry.scope[0]?.checkpointId ?? "")),
    isForked: candidates.some((one) => one !== next),
  };
}

/** The first effect that an entry stands in for: whose receipt it is, or in whose place it was done anew. */
function slots(alike: readonly StoredEffect[]): (entry: StoredEffect) => string {
  const known = new Map(alike.map((entry) => [idOf(entry), entry]));
  return function slotOf(entry): string {
    const before = entry.origin ?? entry.instead;
    const found = before === undefined ? undefined : known.get(idOf(before));
    return found === undefined ? entry.key : slotOf(found);
  };
}

/** Whether it is the receipt of a deed that was undone since. */
function hollow(alike: readonly StoredEffect[]): (entry: StoredEffect) => boolean {
  const known = new Map(alike.map((entry) => [idOf(entry), entry]));
  return function isHollow({ origin }): boolean {
    const deed = origin === undefined ? undefined : known.get(idOf(origin));
    return deed !== undefined && (deed.state === "compensated" || isHollow(deed));
  };
}

/** Of each slot what stands, and of that the first key, and of that the newest epoch, in the order of intent. */
function oneOfEachSlot<T extends { readonly entry: StoredEffect }>(
  found: readonly T[],
  slotOf: (entry: StoredEffect) => string,
): T[] {
  const best = new Map<string, T>();
  for (const one of found) {
    const slot = slotOf(one.entry);
    const known = best.get(slot)?.entry;
    const isNewer = known?.key === one.entry.key && known.epoch < one.entry.epoch;
    if (known === undefined || isNewer || (!mayStand(known) && mayStand(one.entry))) best.set(slot, one);
  }
  return [...best.values()];
}

function idOf({ key, epoch }: { readonly key: string; readonly epoch: number }): string {
  return `${key}/${epoch}`;
}

class Relations {
  readonly #branch: Branch;
  readonly #ways = new Map<string, Way>();

  constructor(branch: Branch) {
    this.#branch = branch;
  }

  async of({ scope }: StoredEffect): Promise<Relation> {
    const { scope: own, frames } = this.#branch;
    for (const [depth, frame] of scope.entries()) {
      const [known, running] = [own[depth], frames[depth]];
      if (known === undefined || running === undefined) return "past";
      // Of another graph that the same attempt called, or another part of the node.
      if (known.call !== frame.call || known.part !== frame.part) return "beside";
      if (known.checkpointId === frame.checkpointId && known.taskId === frame.taskId) continue;
      if (await this.#isPast(frame, running, depth > 0)) return "past";
      return depth === 0 ? "left branch" : "same step";
    }
    // Another call of the same step.
    return "past";
  }

  /** Whether the step of this frame was done, or is being done beside, on the way to the one that runs. */
  async #isPast(frame: EffectFrame, running: EffectFrame, isWithin: boolean): Promise<boolean> {
    if (frame.namespace !== running.namespace) return false;
    if (frame.checkpointId === running.checkpointId) return true;
    return this.#way(running).passed(frame.checkpointId, frame.node, isWithin);
  }

  #way(running: EffectFrame): Way {
    const known = this.#ways.get(running.namespace) ?? new Way(this.#branch, running);
    this.#ways.set(running.namespace, known);
    return known;
  }
}

/** The checkpoints from one back to the first, read as far as they are asked for. */
class Way {
  readonly #saver: Branch["saver"];
  readonly #read: Pick<EffectLedger, "way">["way"];
  readonly #from: { readonly threadId: string; readonly namespace: string };
  /** Nearest first. */
  readonly #points: WayPoint[] = [];
  #next: string | undefined;
  #isCut = false;

  constructor({ saver, ledger, threadId }: Branch, { namespace, checkpointId }: EffectFrame) {
    this.#read = ledger.way?.bind(ledger) ?? ((from) => wholeCheckpoint(saver, from));
    this.#saver = saver;
    this.#from = { threadId, namespace };
    this.#next = checkpointId;
  }

  /**
   * Whether the tasks of this node at the checkpoint were done on the way. Told by parents alone: clocks of several hosts
   * may have made the IDs.
   *
   * @param sameRun whether it only counts as on it within one run of the graph, from its input on
   */
  async passed(checkpointId: string, node: string, sameRun: boolean): Promise<boolean> {
    let later: WayPoint | undefined;
    for (let n = 0; ; n += 1) {
      if (sameRun && later?.source === "input") return false;
      if (n === this.#points.length) await this.#readOn(checkpointId);
      const point = this.#points[n];
      // Older ones were pruned: of what is left behind nothing is, so this was on the way.
      if (point === undefined) return this.#isCut;
      if (point.checkpointId === checkpointId) {
        if (later === undefined) return false;
        return !ASIDE.includes(later.source) || this.#tookAlong(point, later, node);
      }
      later = point;
    }
  }

  /** An update takes along what the tasks that had ended have written. */
  async #tookAlong(before: WayPoint, after: WayPoint, node: string): Promise<boolean> {
    const [seenBefore, seenAfter] = await Promise.all(
      [before, after].map(async ({ checkpointId }) => {
        const { threadId, namespace } = this.#from;
        const place = { thread_id: threadId, checkpoint_ns: namespace, checkpoint_id: checkpointId };
        return (await this.#saver.getTuple({ configurable: place }))?.checkpoint.versions_seen[node];
      }),
    );
    return !isDeepStrictEqual(seenBefore, seenAfter);
  }

  async #readOn(until: string): Promise<void> {
    if (this.#next === undefined) return;
    const points = (await this.#read?.({ ...this.#from, checkpointId: this.#next }, until)) ?? [];
    const last = points.at(-1);
    this.#points.push(...points);
    this.#next = last?.parentId;
    // One that is named as a parent is missing, or the first that is there is not one that a thread begins with.
    this.#isCut = last === undefined || (last.parentId === undefined && last.step > 0);
  }
}

export async function wholeCheckpoint(
  saver: Branch["saver"],
  { threadId, namespace, checkpointId }: Parameters<NonNullable<EffectLedger["way"]>>[0],
): Promise<WayPoint[]> {
  const place = { thread_id: threadId, checkpoint_ns: namespace, checkpoint_id: checkpointId };
  const tuple = await saver.getTuple({ configurable: place });
  if (tuple === undefined) return [];
  const { metadata, parentConfig } = tuple;
  const parentId = parentConfig?.configurable?.checkpoint_id as string | undefined;
  return [{ checkpointId, parentId, source: String(metadata?.source), step: metadata?.step ?? -1 }];
}
