/**
 * What an effect is to the branch that comes to one like it: done on the way here, beside this in the same step, by this
 * very step under other names, or on a branch that was left.
 */
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import type { EffectFrame, EffectLedger, EffectScope, StoredEffect, WayPoint } from "../../core/effect-ports.js";
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

/** @param alike all entries of the same effect at the same place, in the order of intent */
export async function leftBehind(branch: Branch, alike: readonly StoredEffect[]): Promise<LeftBehind> {
  const relations = new Relations(branch);
  const done: StoredEffect[] = [];
  const elsewhere: { readonly entry: StoredEffect; readonly relation: Relation }[] = [];
  for (const entry of alike) {
    const relation = await relations.of(entry);
    if (relation === "past" || relation === "beside") done.push(entry);
    else if (branch.name === undefined || entry.name === branch.name) elsewhere.push({ entry, relation });
  }
  const hadTheirTurn = new Set(done.map((entry) => idOf(entry.origin ?? entry)));
  const known = new Set(alike.map(idOf));
  const roots = elsewhere.filter(
    ({ entry }) =>
      !hadTheirTurn.has(idOf(entry.origin ?? entry)) && (entry.origin === undefined || !known.has(idOf(entry.origin))),
  );
  const candidates = newestEpochs(roots);
  const next = candidates.find(({ entry }) => entry.inputHash === branch.inputHash) ?? candidates[0];
  return {
    ...(next === undefined ? {} : { candidate: next.entry }),
    isInherited: next?.relation === "same step",
    isForked: candidates.length > 1,
  };
}

/** Of each effect the newest epoch, in the order of intent. */
function newestEpochs<T extends { readonly entry: StoredEffect }>(found: readonly T[]): T[] {
  const newest = new Map<string, T>();
  for (const one of found) {
    const known = newest.get(one.entry.key);
    if (known === undefined || known.entry.epoch < one.entry.epoch) newest.set(one.entry.key, one);
  }
  return [...newest.values()];
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
      // Of another graph that the same attempt called.
      if (known.call !== frame.call) return "beside";
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
    const after = await this.#way(running).after(frame.checkpointId, isWithin);
    return after !== undefined && !ASIDE.includes(after);
  }

  #way(running: EffectFrame): Way {
    const known = this.#ways.get(running.namespace) ?? new Way(this.#branch, running);
    this.#ways.set(running.namespace, known);
    return known;
  }
}

/** The checkpoints from one back to the first, read as far as they are asked for. */
class Way {
  readonly #read: Pick<EffectLedger, "way">["way"];
  readonly #from: { readonly threadId: string; readonly namespace: string };
  /** Nearest first. */
  readonly #points: WayPoint[] = [];
  #next: string | undefined;
  #isCut = false;

  constructor({ saver, ledger, threadId }: Branch, { namespace, checkpointId }: EffectFrame) {
    this.#read = ledger.way?.bind(ledger) ?? ((from) => wholeCheckpoint(saver, from));
    this.#from = { threadId, namespace };
    this.#next = checkpointId;
  }

  /**
   * The source of the checkpoint that comes after this one on the way; undefined when it is not on it.
   *
   * @param sameRun whether it only counts as on it within one run of the graph, from its input on
   */
  async after(checkpointId: string, sameRun: boolean): Promise<string | undefined> {
    let later: string | undefined;
    for (let n = 0; ; n += 1) {
      if (sameRun && later === "input") return undefined;
      if (n === this.#points.length) await this.#readOn(checkpointId);
      const point = this.#points[n];
      // Older ones were pruned: of what is left behind nothing is, so this was on the way.
      if (point === undefined) return this.#isCut ? "loop" : undefined;
      if (point.checkpointId === checkpointId) return later;
      // IDs grow with time.
      if (point.checkpointId < checkpointId) return undefined;
      later = point.source;
    }
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

async function wholeCheckpoint(
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
