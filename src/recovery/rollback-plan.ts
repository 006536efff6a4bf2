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

/**
 * Effects of the steps from the target on, on this branch; those whose receipt was taken over from another branch are
 * that one's.
 *
 * @param entries of the thread, in the order of intent
 * @param from IDs of the checkpoints of the root graph from the target to the head
 */
export function affectedBy(entries: readonly StoredEffect[], from: ReadonlySet<string>, only?: AffectedOnly): Affected {
  const undo: StoredEffect[] = [];
  const doubtful: StoredEffect[] = [];
  const stays: [StoredEffect, string][] = [];
  for (const entry of entries.toReversed()) {
    if (!isMeant(entry, from, only) || entry.origin !== undefined || !mayStand(entry)) continue;
    const why = whyItStays(entry);
    if (entry.state === "dispatched" || entry.state === "unknown") doubtful.push(entry);
    else if (why === undefined) undo.push(entry);
    else stays.push([entry, why]);
  }
  return { undo, doubtful, stays };
}

/** A step is known by its first execution, which may be further back than the head it failed at. */
function isMeant({ scope }: StoredEffect, from: ReadonlySet<string>, only: AffectedOnly | undefined): boolean {
  if (only !== undefined && "steps" in only) return only.steps.some((step) => isWithin(scope, step));
  const [outermost] = scope;
  if (outermost === undefined || !from.has(outermost.checkpointId)) return false;
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
