import type { Cache, Found } from "../policies/cache.js";
import { holdsCommand } from "./provenance.js";
import type { RunContext } from "./run-context.js";

/** The cache of a node for one input. */
export interface Cached {
  fresh(): Found | undefined | Promise<Found | undefined>;
  stale(): Found | undefined | Promise<Found | undefined>;
  put(result: unknown): void | Promise<void>;
}

/** Its methods throw a ConfigError for an input that no key can be made of. */
export function cachedFor(cache: Cache, input: unknown, { persistence, place }: RunContext): Cached {
  const shared = persistence?.cache;
  let known: string | undefined;
  const key = (): string => {
    known ??= cache.keyOf(input, place);
    return known;
  };
  return {
    fresh: () => cache.fresh(key(), shared),
    stale: () => cache.stale(key(), shared),
    // A command steers the run it was made in; it is no answer to the input.
    put: (result) => (holdsCommand(result) ? undefined : cache.put(key(), result, shared)),
  };
}
