import type { Cache, Found } from "../policies/cache.js";
import { holdsCommand } from "./provenance.js";
import type { RunContext } from "./run-context.js";

/** The cache of a node for one input. */
export interface Cached {
  /** Makes the key, of the input as it is before the node has had it. */
  prepare(): void;
  fresh(): Found | undefined | Promise<Found | undefined>;
  stale(): Found | undefined | Promise<Found | undefined>;
  put(result: unknown): void | Promise<void>;
}

/** Its methods throw a ConfigError for an input that no key can be made of. */
export function cachedFor(
  cache: Cache,
  input: unknown,
  { persistence, place, node }: RunContext,
  isShared: boolean,
): Cached {
  // Two graphs that do not say which they are must not be given each other's answers.
  const shared = place === undefined ? undefined : persistence?.cache;
  if (isShared && place === undefined) warnOfNamelessGraph(cache, node);
  let known: string | undefined;
  const key = (): string => {
    known ??= cache.keyOf(input, place);
    return known;
  };
  return {
    prepare: () => void key(),
    fresh: () => cache.fresh(key(), shared),
    stale: () => cache.stale(key(), shared),
    // A command steers the run it was made in; it is no answer to the input.
    put: (result) => (holdsCommand(result) ? undefined : cache.put(key(), result, shared)),
  };
}

const warnedOf = new WeakSet<Cache>();

function warnOfNamelessGraph(cache: Cache, node: string): void {
  if (warnedOf.has(cache)) return;
  warnedOf.add(cache);
  process.emitWarning(
    `Node "${node}" keeps its answers in this process instead of sharing them: its graph has no name to tell it from others; run it with runThread and compile({ name }), or set configurable.graph_id`,
    "ResilienceWarning",
  );
}
