import { z } from "zod";
import type { Clock } from "../core/clock.js";
import type { ResultCache } from "../core/store-ports.js";
import { rethrowControlFlow } from "../errors/control-flow.js";
import { asError, ConfigError } from "../errors/own-errors.js";
import { lostInCopy } from "./cache-copy.js";
import { digestOf } from "./cache-key.js";

/** The longest time that HTTP caches tell from "for ever": 2^31 s (RFC 9111, section 1.2.2). */
const MAX_MS = 2 ** 31 * 1000;

export const cacheSchema = z.strictObject({
  /** How long an answer is fresh, in milliseconds. */
  ttlMs: z.number().positive().max(MAX_MS),
  /** How long after that it may still answer for a failure, in milliseconds: `stale-if-error` of RFC 5861. */
  staleIfErrorMs: z.number().min(0).max(MAX_MS).default(0),
  /** What tells one input from another; default all of it, as JSON. */
  key: z.custom<(input: unknown) => string>((value) => typeof value === "function", "must be a function").optional(),
  /** Of a process's own cache; the answers used last are kept. */
  maxEntries: z.int().min(1).max(1_000_000).default(1000),
  /** Whether each process keeps its own answers or all on the same persistence share them. */
  store: z.enum(["process", "shared"]).default("process"),
});

export type CacheOptions<I = unknown> = Omit<z.input<typeof cacheSchema>, "key"> & {
  readonly key?: (input: I) => string;
};
export type CachePolicy = z.output<typeof cacheSchema>;

export interface Found {
  readonly value: unknown;
  /** Milliseconds since it was put. */
  readonly ageMs: number;
}

/**
 * Makes plain data of what a copy would not leave as it is (instances of classes), and the same again of that data.
 * `unpack` gets a copy that is its own to change.
 */
export interface CacheCodec {
  readonly pack: (value: unknown) => unknown;
  readonly unpack: (packed: unknown) => unknown;
}

export interface CacheEnvironment {
  readonly clock: Clock;
  /** Default: values are kept as they are. */
  readonly codec?: CacheCodec;
}

/** A promise is only ever given where a shared store is asked. */
export interface Cache {
  /**
   * `<place>:<SHA-256>`.
   *
   * @param place tells the answers of this cache from those of all others in a shared store; default its name
   * @throws ConfigError for an input that JSON does not tell from others, and for a `key` that gives no text
   */
  keyOf(input: unknown, place?: string): string;
  fresh(key: string, shared?: ResultCache): Found | undefined | Promise<Found | undefined>;
  /** An answer that may stand in for a failure, fresh or not; none unless `staleIfErrorMs` is set. */
  stale(key: string, shared?: ResultCache): Found | undefined | Promise<Found | undefined>;
  /** Never throws or rejects: what cannot be kept is warned of once and not kept. */
  put(key: string, value: unknown, shared?: ResultCache): void | Promise<void>;
}

/** What is stored where other versions of this package may read it. Without `value` it was undefined. */
const sharedAnswer = z.object({ v: z.literal(1), value: z.unknown().optional() });

const asItIs: CacheCodec = { pack: (value) => value, unpack: (packed) => packed };

/**
 * Answers by input. Each put and each hit copies the value, with `structuredClone` in a process and as JSON in a shared
 * store, so that nobody's change to an answer reaches another caller: the cost is proportional to the answer's size.
 * A value that a copy would change is not kept, with one warning.
 *
 * With `store: "shared"` and no shared store at hand (the persistence has none) the process keeps its own. A shared
 * store that fails is warned of once and is a miss. Nothing is asked twice, but callers who miss at the same time each
 * do the work.
 *
 * @param name whose answers these are, for messages
 */
export function createCache(name: string, policy: CachePolicy, environment: CacheEnvironment): Cache {
  const { ttlMs, staleIfErrorMs } = policy;
  const keepMs = ttlMs + staleIfErrorMs;
  const { clock, codec = asItIs } = environment;
  const answers = createProcessAnswers(policy.maxEntries, keepMs, clock);
  const warnOnce = onceEach(name);
  const storeOf = (shared: ResultCache | undefined) => (policy.store === "shared" ? shared : undefined);

  const inProcess = (key: string, withinMs: number): Found | undefined => {
    const found = answers.get(key);
    if (found === undefined || found.ageMs >= withinMs) return undefined;
    return { value: codec.unpack(structuredClone(found.value)), ageMs: found.ageMs };
  };
  const inStore = async (store: ResultCache, key: string, withinMs: number): Promise<Found | undefined> => {
    try {
      const found = await store.get(key);
      const answer = sharedAnswer.safeParse(found?.value);
      if (found === undefined || !answer.success || found.ageMs >= withinMs) return undefined;
      return { value: codec.unpack(answer.data.value), ageMs: found.ageMs };
    } catch (error) {
      rethrowControlFlow(error);
      warnOnce("read", `the shared cache could not be read and counts as empty: ${asError(error).message}`);
      return undefined;
    }
  };
  const lookUp = (key: string, withinMs: number, shared: ResultCache | undefined) => {
    const store = storeOf(shared);
    return store === undefined ? inProcess(key, withinMs) : inStore(store, key, withinMs);
  };
  /** The value as it is kept, or undefined when it cannot be. */
  const packed = (value: unknown, by: "clone" | "json"): { readonly value: unknown } | undefined => {
    try {
      const plain = codec.pack(value);
      const lost = lostInCopy(plain, by);
      if (lost === undefined) return { value: by === "clone" ? structuredClone(plain) : plain };
      warnOnce("copy", `an answer holds ${lost}, which a copy would not keep, and was not cached`);
    } catch (error) {
      rethrowControlFlow(error);
      warnOnce("copy", `an answer could not be copied and was not cached: ${asError(error).message}`);
    }
    return undefined;
  };

  return {
    keyOf: (input, place = name) => `${place}:${digestFor(name, policy, input)}`,
    fresh: (key, shared) => lookUp(key, ttlMs, shared),
    stale: (key, shared) => (staleIfErrorMs === 0 ? undefined : lookUp(key, keepMs, shared)),
    put(key, value, shared) {
      const store = storeOf(shared);
      const kept = packed(value, store === undefined ? "clone" : "json");
      if (kept === undefined) return undefined;
      if (store === undefined) return answers.put(key, kept.value);
      return putInto(store, key, kept.value);
    },
  };

  async function putInto(store: ResultCache, key: string, value: unknown): Promise<void> {
    try {
      await store.put(key, { v: 1, value } satisfies z.input<typeof sharedAnswer>, keepMs);
    } catch (error) {
      rethrowControlFlow(error);
      warnOnce(
        "write",
        `the shared cache could not be written, and an answer was not cached: ${asError(error).message}`,
      );
    }
  }
}

/** The answers used last, by key. A Map keeps the order in which its keys were put, so what is used is put anew. */
function createProcessAnswers(maxEntries: number, keepMs: number, clock: Clock) {
  const entries = new Map<string, { readonly value: unknown; readonly storedAtMs: number }>();
  return {
    get(key: string): Found | undefined {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      // A clock may be set back.
      const ageMs = Math.max(0, clock.now() - entry.storedAtMs);
      if (ageMs >= keepMs) return undefined;
      entries.set(key, entry);
      return { value: entry.value, ageMs };
    },
    put(key: string, value: unknown): void {
      entries.delete(key);
      entries.set(key, { value, storedAtMs: clock.now() });
      const [usedLongestAgo] = entries.keys();
      if (entries.size > maxEntries && usedLongestAgo !== undefined) entries.delete(usedLongestAgo);
    },
  };
}

function digestFor(name: string, policy: CachePolicy, input: unknown): string {
  const told = policy.key === undefined ? input : policy.key(input);
  if (policy.key !== undefined && typeof told !== "string")
    throw new ConfigError(`${name}: the cache option "key" gave a value of type ${typeof told}; it must give a text`);
  try {
    return digestOf(told);
  } catch (error) {
    rethrowControlFlow(error);
    throw new ConfigError(
      `${name}: the cache cannot tell this input from others: ${asError(error).message}; set the cache option "key" to a function that gives a text for it`,
      { cause: error },
    );
  }
}

/** One warning of each kind, so that a node that runs a thousand times does not say it a thousand times. */
function onceEach(name: string): (kind: "read" | "write" | "copy", message: string) => void {
  const warned = new Set<string>();
  return (kind, message) => {
    if (warned.has(kind)) return;
    warned.add(kind);
    process.emitWarning(`${name}: ${message}. This is said once`, "ResilienceWarning");
  };
}
