/** The effects that the modules of this process have defined, for whoever has to undo or look up what others have done. */
import type { Effect } from "./effect.js";
import type { Undoing } from "./undo-effect.js";

export interface KnownEffect {
  readonly effect: Effect;
  readonly undoing: Undoing | undefined;
  /** Of one call, in milliseconds. */
  readonly limitMs: number;
  /** Makes a call within its time, and again as the effect's `retry` allows. */
  tried<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
  /** What tells it from another effect of the same name, but not from itself in a module that was loaded anew. */
  readonly source: string;
}

const known = new Map<string, KnownEffect | "ambiguous">();

/** The newest of those with the same source counts: a module may be loaded anew. */
export function noteEffect(definition: KnownEffect): void {
  const { name } = definition.effect;
  const other = known.get(name);
  const isOther = other !== undefined && (other === "ambiguous" || other.source !== definition.source);
  known.set(name, isOther ? "ambiguous" : definition);
}

/** Effects that this process remembers to have done, or tried to do. */
const maxUsed = 50_000;
const used = new Map<string, KnownEffect>();

/** @param key of the effect in the ledger */
export function noteUse(key: string, definition: KnownEffect): void {
  used.set(key, definition);
  if (used.size > maxUsed) used.delete(used.keys().next().value ?? "");
}

/**
 * The definition of an effect in the ledger: the one that it was done by, if that was in this process, else the one with
 * its name. `ambiguous` where two that are not the same have the name: whose undoing it was would be a guess.
 */
export function knownEffect({
  key,
  effect,
}: {
  readonly key: string;
  readonly effect: string;
}): KnownEffect | "ambiguous" | undefined {
  return used.get(key) ?? known.get(effect);
}
