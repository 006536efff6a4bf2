/**
 * What an effect is to the branch that comes to one like it: done on the way here, beside this in the same step, by this
 * very step under other names, or on a branch that was left.
 */
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import type { EffectFrame, EffectScope, StoredEffect } from "../../core/effect-ports.js";
import type { LeftBehind } from "../../effects/effect-request.js";

type Relation = "past" | "beside" | "same step" | "left branch";

/** Sources of checkpoints that are made beside what the tasks of the one before were doing, which is dropped. */
const ASIDE: readonly string[] = ["update", "fork"];

export interface Branch {
  readonly saver: Pick<BaseCheckpointSaver, "getTuple">;
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
    const { saver, threadId } = this.#branch;
    const known = this.#ways.get(running.namespace) ?? new Way(saver, threadId, running);
    this.#ways.set(running.namespace, known);
    return known;
  }
}

/** The checkpoints from one back to the first, read as far as they are asked for. */
class Way {
  readonly #saver: Branch["saver"];
  readonly #thread: { readonly thread_id: string; readonly checkpoint_ns: string };
  /** Nearest first. */
  readonly #read: { readonly id: string; readonly source: string }[] = [];
  #next: string | undefined;
  #isCut = false;

  constructor(saver: Branch["saver"], threadId: string, from: EffectFrame) {
    this.#saver = saver;
    this.#thread = { thread_id: threadId, checkpoint_ns: from.namespace };
    this.#next = from.checkpointId;
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
      const one = this.#read[n] ?? (await this.#step());
      // Older ones were pruned: of what is left behind nothing is, so this was on the way.
      if (one === undefined) return this.#isCut ? "loop" : undefined;
      if (one.id === checkpointId) return later;
      // IDs grow with time.
      if (one.id < checkpointId) return undefined;
      later = one.source;
    }
  }

  async #step(): Promise<{ readonly id: string; readonly source: string } | undefined> {
    if (this.#next === undefined) return undefined;
    this.#isCut = true;
    const tuple = await this.#saver.getTuple({ configurable: { ...this.#thread, checkpoint_id: this.#next } });
    this.#next = tuple?.parentConfig?.configurable?.checkpoint_id;
    if (tuple === undefined) return undefined;
    const one = { id: tuple.checkpoint.id, source: String(tuple.metadata?.source) };
    // A thread begins with step -1.
    this.#isCut = this.#next !== undefined || (tuple.metadata?.step ?? -1) > 0;
    this.#read.push(one);
    return one;
  }
}
