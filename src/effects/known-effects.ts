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

/** `ambiguous` where two effects that are not the same have the name: whose undoing it was would be a guess. */
export function knownEffect(name: string): KnownEffect | "ambiguous" | undefined {
  return known.get(name);
}
