import type { BreakerPolicy } from "./breaker-options.js";
import type { BreakerState } from "./breaker-state.js";
import { type CallEnded, type ProbeEnded, transition } from "./breaker-transitions.js";
import { BUCKETS } from "./trip-statistics.js";

/** Generation of a call that was admitted before anything was known of the store. */
export const UNKNOWN_GENERATION = -1;

/** Alike ones count as one, so that more than this come together only where the store is away: then the oldest go. */
const MAX_ENTRIES = 1000;

interface Entry {
  readonly number: number;
  readonly slot: number;
  /** For how many trips it was slow, and so, with the same policy, for which. */
  readonly slowFor: number;
  event: CallEnded | ProbeEnded;
  /** Of the call that ended last. */
  atMs: number;
  /** Of the call that began first. */
  startedAtMs: number;
}

/** What calls of this process came to that the store has not been told yet, in order. */
export interface PendingOutcomes {
  /** @param atMs when it ended, by the clock of this process */
  add(event: CallEnded | ProbeEnded, atMs: number): void;
  /** The state after all of them. */
  applyTo(state: BreakerState, policy: BreakerPolicy, storeTime: (localMs: number) => number): BreakerState;
  /** @returns the number of the newest; nothing is counted together with it from now on */
  seal(): number;
  /** Those up to this number have arrived. */
  forget(upTo: number): void;
  /** Those of closed periods are out of date. */
  forgetCalls(): void;
}

export function createPendingOutcomes(policy: BreakerPolicy): PendingOutcomes {
  const slotMs = Math.min(
    ...policy.trip.map((trip) =>
      trip.kind !== "consecutive" && "ms" in trip.window ? trip.window.ms / BUCKETS : Number.MAX_SAFE_INTEGER,
    ),
  );
  const countSlow = (durationMs: number) => {
    let slow = 0;
    for (const trip of policy.trip) if (trip.kind === "slow" && durationMs > trip.slowCallMs) slow += 1;
    return slow;
  };
  let entries: Entry[] = [];
  let newest = 0;
  let sealed = 0;
  return {
    add(event, atMs) {
      const startedAtMs = atMs - event.durationMs;
      const slot = Math.floor(atMs / slotMs);
      const slowFor = countSlow(event.durationMs);
      const before = entries.at(-1);
      if (
        before !== undefined &&
        before.number > sealed &&
        before.slot === slot &&
        before.slowFor === slowFor &&
        before.event.kind === "call_ended" &&
        event.kind === "call_ended" &&
        before.event.outcome === event.outcome &&
        before.event.generation === event.generation
      ) {
        before.event = { ...event, times: before.event.times + event.times };
        before.atMs = atMs;
        before.startedAtMs = Math.min(before.startedAtMs, startedAtMs);
        return;
      }
      newest += 1;
      entries.push({ number: newest, atMs, slot, slowFor, event, startedAtMs });
      if (entries.length > 2 * MAX_ENTRIES) entries = entries.slice(-MAX_ENTRIES);
    },
    applyTo: (state, appliedPolicy, storeTime) =>
      entries.reduce(
        (at, { event, atMs, startedAtMs }) =>
          transition(at, ofPeriod(event, at, storeTime(startedAtMs)), appliedPolicy, storeTime(atMs)),
        state,
      ),
    seal() {
      sealed = newest;
      return sealed;
    },
    forget(upTo) {
      entries = entries.filter((entry) => entry.number > upTo);
    },
    forgetCalls() {
      entries = entries.filter((entry) => entry.event.kind !== "call_ended");
    },
  };
}

/** A call admitted before anything was known belongs to the closed period that it began in. */
export function ofPeriod<E extends CallEnded | ProbeEnded>(event: E, state: BreakerState, startedAtMs: number): E {
  return event.generation === UNKNOWN_GENERATION && state.kind === "closed" && startedAtMs >= state.closedAtMs
    ? { ...event, generation: state.generation }
    : event;
}
