/** A shared breaker as its store keeps it, under the name of the service. */
import { z } from "zod";
import type { Versioned, VersionedStore } from "../../core/store-ports.js";
import { asError, ConfigError } from "../../errors/own-errors.js";
import { BreakerStoreError } from "../../errors/policy-errors.js";
import { type BreakerState, closedState, stateSchema } from "./breaker-state.js";
import { type Override, overridden } from "./breaker-transitions.js";

const VERSION = 1;

/** Processes whose last write is remembered: as many others may write between a write whose reply was lost and the next. */
const MAX_APPLIED = 16;

/** Whose outcomes have arrived, and up to which: a write that failed may have been done all the same. */
interface Applied {
  readonly holder: string;
  readonly upTo: number;
}

export interface StoredBreaker {
  readonly state: BreakerState;
  /** The last to write comes first. */
  readonly applied: readonly Applied[];
}

const storedSchema = z.strictObject({
  v: z.literal(VERSION),
  state: stateSchema,
  applied: z.array(z.strictObject({ holder: z.string(), upTo: z.int().min(0) })).max(MAX_APPLIED),
});

export type ReadBreaker =
  | { readonly kind: "absent" }
  | { readonly kind: "readable"; readonly stored: StoredBreaker }
  /** Of another version or shape; `problem` says what is wrong with it. */
  | { readonly kind: "unreadable"; readonly problem: string };

export function decodeBreaker(value: unknown): ReadBreaker {
  if (value === undefined) return { kind: "absent" };
  const parsed = storedSchema.safeParse(value);
  if (!parsed.success) {
    const problem = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
    return { kind: "unreadable", problem };
  }
  const { state, applied } = parsed.data;
  return { kind: "readable", stored: { state, applied } };
}

export function withApplied(applied: readonly Applied[], mine: Applied): readonly Applied[] {
  return [mine, ...applied.filter(({ holder }) => holder !== mine.holder)].slice(0, MAX_APPLIED);
}

export function warnUnreadable(service: string, problem: string): void {
  process.emitWarning(
    `What is stored of the circuit "${service}" cannot be read and is taken for absent, so closed (${problem}); the next failure overwrites it`,
    "ResilienceWarning",
  );
}

/** Each failed try means that another has written, so that all together get on. */
const MAX_ROUNDS = 50;

export interface Swapped {
  readonly stored: StoredBreaker;
  readonly version: number;
}

/**
 * Reads, changes and writes until nobody was faster.
 *
 * @param change called with what is stored at each try; `write: false` leaves it as it is
 * @param isOver asked after each wait: the caller has given up
 * @returns undefined when others were faster each time, or the caller has given up
 * @throws BreakerStoreError when the store fails
 */
export async function swapBreaker(
  store: VersionedStore,
  service: string,
  change: (read: ReadBreaker, at: Versioned) => { readonly write: boolean; readonly stored: StoredBreaker },
  isOver: () => boolean = () => false,
): Promise<Swapped | undefined> {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const at = await asked(service, () => store.read(service));
    if (isOver()) return undefined;
    const { write, stored } = change(decodeBreaker(at.value), at);
    if (!write) return { stored, version: at.version };
    const value = { v: VERSION, ...stored };
    const version = await asked(service, () => store.write(service, value, at.version));
    if (isOver()) return undefined;
    if (version !== undefined) return { stored, version };
  }
  return undefined;
}

async function asked<T>(service: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (thrown) {
    const cause = asError(thrown);
    throw new BreakerStoreError(service, cause.message, { cause });
  }
}

/** A shared breaker as an operator sees it. */
export type BreakerListing =
  | { readonly kind: "readable"; readonly service: string; readonly state: BreakerState; readonly nowMs: number }
  | { readonly kind: "unreadable"; readonly service: string; readonly problem: string; readonly nowMs: number };

/**
 * All shared breakers of a store (`openPersistence(…).breakers`), in the order of their services. `nowMs` is the time by
 * the store's clock, which the times of the states are by.
 */
export async function listBreakers(store: VersionedStore | undefined): Promise<readonly BreakerListing[]> {
  if (store === undefined) throw new ConfigError("This persistence keeps no shared breakers: each process has its own");
  const rows = await store.list();
  return rows.map(({ key: service, value, nowMs }): BreakerListing => {
    const read = decodeBreaker(value);
    return read.kind === "readable"
      ? { kind: "readable", service, state: read.stored.state, nowMs }
      : { kind: "unreadable", service, problem: read.kind === "absent" ? "it is empty" : read.problem, nowMs };
  });
}

/**
 * Opens, closes or isolates the shared breaker of a service from outside the processes that use it, which learn of it
 * within their `refreshMs`. Also before the first of them has used it.
 *
 * @returns the state before (undefined: none, or one that could not be read) and after
 * @throws BreakerStoreError when the store fails, or others were faster each time: nothing was changed
 */
export async function overrideBreaker(
  store: VersionedStore,
  service: string,
  to: Override,
): Promise<{ readonly from: BreakerState | undefined; readonly to: BreakerState }> {
  let from: BreakerState | undefined;
  const swapped = await swapBreaker(store, service, (read, { nowMs }) => {
    const known = read.kind === "readable" ? read.stored : undefined;
    from = known?.state;
    const state = overridden(from ?? closedState(0, nowMs), to, nowMs);
    return { write: state !== from, stored: { state, applied: known?.applied ?? [] } };
  });
  if (swapped === undefined) throw new BreakerStoreError(service, "others were faster each time");
  return { from, to: swapped.stored.state };
}
