/** What a rollback is going to do, and what it did. Plain data. */
import type { EffectScope, StoredEffect } from "../core/effect-ports.js";
import { mayStand } from "../effects/effect.js";
import { knownEffect } from "../effects/known-effects.js";
import { isWithin } from "./effects-so-far.js";
import type { RollbackScope } from "./rollback-target.js";

/** An effect, for people and machines: nothing of its input or receipt. */
export interface PlannedEffect {
  readonly key: string;
  readonly effect: string;
  readonly node: string;
  readonly state: StoredEffect["state"];
  /** Why it stays, or why undoing it failed; absent where it is undone. */
  readonly why?: string;
}

export interface RollbackPlan {
  readonly threadId: string;
  /** The alias, where the thread has one. */
  readonly name?: string;
  readonly scope: RollbackScope;
  /** Where the thread stands after it; with scope "step" where it stands now. */
  readonly target: {
    readonly checkpointId: string;
    readonly step: number;
    /** Nodes that run next from there. */
    readonly next: readonly string[];
  };
  /** The newest checkpoint, from which it goes back. */
  readonly head: string;
  /** How many checkpoints are left behind; they stay in the history. */
  readonly leaves: number;
  /** What is undone, in that order: the newest first. */
  readonly undo: readonly PlannedEffect[];
  /** What may have happened: it is looked up first, and what did happen is undone as well. */
  readonly doubtful: readonly PlannedEffect[];
  /** What cannot be undone and stays in the world, with the reason. */
  readonly stays: readonly PlannedEffect[];
}

export interface RollbackReport extends RollbackPlan {
  /** `incomplete`: something could not be undone for good; the thread stays where it was, and a rollback goes on from there. */
  readonly outcome: "done" | "incomplete";
  readonly undone: readonly PlannedEffect[];
  readonly failed: readonly PlannedEffect[];
  /** The new head, made from the target; absent when incomplete. */
  readonly checkpointId?: string;
}

/** What of a thread's ledger a rollback is about. */
export interface Affected {
  readonly undo: readonly StoredEffect[];
  readonly doubtful: readonly StoredEffect[];
  readonly stays: readonly (readonly [entry: StoredEffect, why: string])[];
}

/** Of all the steps since the target, those of these nodes of the root graph, or these steps. Plain data. */
export type AffectedOnly = { readonly nodes: readonly string[] } | { readonly steps: readonly EffectScope[] };

/** Which steps a rollback is about. */
export interface Reach {
  /** IDs of the checkpoints of the root graph from the target to the head. */
  readonly from: ReadonlySet<string>;
  /** Steps that are entered again there, by their first executions, which may be further back. */
  readonly reentered?: readonly EffectScope[];
  /** Effects of these alone. */
  readonly only?: AffectedOnly;
}

/**
 * Effects of the steps from the target on, on this branch, the last one done first. One whose receipt was taken over from
 * another branch is that one's, unless it was a rollback that left it: then the branch goes on where that one stood.
 *
 * @param entries of the thread
 * @param left IDs of the checkpoints that rollbacks have left behind
 */
export function affectedBy(
  entries: readonly StoredEffect[],
  reach: Reach,
  left: ReadonlySet<string> = new Set(),
): Affected {
  const undo: StoredEffect[] = [];
  const doubtful: StoredEffect[] = [];
  const stays: [StoredEffect, string][] = [];
  const known = new Map(entries.map((entry) => [idOf(entry), entry]));
  const meant = entries
    .filter((entry) => isMeant(entry, reach))
    .map((entry) => originalOf(entry, known, left))
    .filter((entry): entry is StoredEffect => entry !== undefined && mayStand(entry));
  for (const entry of [...new Set(meant)].toSorted(lastDoneFirst)) {
    const why = whyItStays(entry);
    if (entry.state === "dispatched" || entry.state === "unknown") doubtful.push(entry);
    else if (why === undefined) undo.push(entry);
    else stays.push([entry, why]);
  }
  return { undo, doubtful, stays };
}

/** Whether any of them stands on the receipt of another branch. */
export function isLinked(entries: readonly StoredEffect[], reach: Reach): boolean {
  return entries.some((entry) => entry.origin !== undefined && isMeant(entry, reach));
}

/** Whose deed it was; undefined where that is another branch's to undo. */
function originalOf(
  entry: StoredEffect,
  known: ReadonlyMap<string, StoredEffect>,
  left: ReadonlySet<string>,
): StoredEffect | undefined {
  if (entry.origin === undefined) return entry;
  const origin = known.get(idOf(entry.origin));
  if (origin === undefined || !left.has(origin.scope[0]?.checkpointId ?? "")) return undefined;
  return originalOf(origin, known, left);
}

function idOf({ key, epoch }: { readonly key: string; readonly epoch: number }): string {
  return `${key}/${epoch}`;
}

/** One that was refused at first and done later was done later, be it in the same millisecond. */
function lastDoneFirst(one: StoredEffect, other: StoredEffect): number {
  const doneAt = ({ dispatchedAt, intendedAt }: StoredEffect) => dispatchedAt ?? intendedAt;
  return doneAt(other) - doneAt(one) || other.calls - one.calls || other.seq - one.seq;
}

/** A step is known by its first execution, which may be further back than where it was entered again. */
function isMeant({ scope }: StoredEffect, { from, reentered = [], only }: Reach): boolean {
  if (only !== undefined && "steps" in only) return only.steps.some((step) => isWithin(scope, step));
  const [outermost] = scope;
  if (outermost === undefined) return false;
  if (!from.has(outermost.checkpointId) && !reentered.some((step) => isWithin(scope, step))) return false;
  return only === undefined || only.nodes.includes(outermost.node);
}

/** Undefined where it can be undone. */
export function whyItStays(entry: StoredEffect): string | undefined {
  const { effect, kind } = entry;
  const known = knownEffect(entry);
  if (known === "ambiguous")
    return `two different effects are called "${effect}", so it is not known how this one is undone; give them names of their own`;
  if (known === undefined)
    return `no effect "${effect}" is defined in this process; load the module that defines it, and try again`;
  return known.undoing === undefined ? `it is ${kind}: nothing undoes it` : undefined;
}

export function planned(entry: StoredEffect, why?: string): PlannedEffect {
  const { key, effect, state, scope } = entry;
  const node = scope.map((frame) => frame.node).join("/");
  return { key, effect, node, state, ...(why === undefined ? {} : { why }) };
}
