/**
 * What a closed breaker remembers of its calls, for one way of tripping: plain JSON that never grows, and is replaced,
 * not changed, in a time that does not depend on how many calls there were.
 */
import type { Trip } from "./breaker-options.js";

/** A sliding window of time moves on in so many steps. */
export const BUCKETS = 10;
const BITS = 32;

export type TripStatistics =
  | {
      readonly kind: "consecutive";
      /** Since the last success. */
      readonly failures: number;
    }
  | {
      readonly kind: "calls";
      readonly size: number;
      /** Calls seen, up to `size`. */
      readonly calls: number;
      /** Where the next call goes. */
      readonly next: number;
      /** A ring of `size` bits in signed words of 32: 1 for a call that counts against the service. */
      readonly bits: readonly number[];
    }
  | {
      readonly kind: "time";
      readonly bucketMs: number;
      /** Number of the newest bucket since the epoch; number n is at n modulo 10. */
      readonly newest: number;
      readonly calls: readonly number[];
      /** How many of them count against the service. */
      readonly marked: readonly number[];
    };

type CallWindow = Extract<TripStatistics, { kind: "calls" }>;
type TimeWindow = Extract<TripStatistics, { kind: "time" }>;

const NO_FAILURES: TripStatistics = { kind: "consecutive", failures: 0 };

/** The statistics where they are of this trip's kind and window, else empty ones: another policy has made them. */
export function fitting(statistics: TripStatistics | undefined, trip: Trip): TripStatistics {
  if (trip.kind === "consecutive") return statistics?.kind === "consecutive" ? statistics : NO_FAILURES;
  if ("calls" in trip.window) {
    const size = trip.window.calls;
    if (statistics?.kind === "calls" && statistics.size === size) return statistics;
    return { kind: "calls", size, calls: 0, next: 0, bits: new Array<number>(Math.ceil(size / BITS)).fill(0) };
  }
  const bucketMs = trip.window.ms / BUCKETS;
  if (statistics?.kind === "time" && statistics.bucketMs === bucketMs) return statistics;
  const none = new Array<number>(BUCKETS).fill(0);
  return { kind: "time", bucketMs, newest: 0, calls: none, marked: none };
}

/**
 * With `times` more calls, all of which count against the service or none.
 * @returns the very same object where they change nothing
 */
export function recorded(statistics: TripStatistics, marked: boolean, times: number, nowMs: number): TripStatistics {
  switch (statistics.kind) {
    case "consecutive":
      if (marked) return { kind: "consecutive", failures: statistics.failures + times };
      return statistics.failures === 0 ? statistics : NO_FAILURES;
    case "calls":
      return pushed(statistics, marked, times);
    case "time":
      return bucketed(statistics, marked, times, nowMs);
  }
}

/** The calls in the window, and how many of them count against the service. */
export function totals(window: CallWindow | TimeWindow): { readonly calls: number; readonly marked: number } {
  return window.kind === "calls"
    ? { calls: window.calls, marked: window.bits.reduce((sum, word) => sum + ones(word), 0) }
    : { calls: sum(window.calls), marked: sum(window.marked) };
}

function pushed(window: CallWindow, marked: boolean, times: number): TripStatistics {
  const { size } = window;
  const bits = window.bits.slice();
  let next = window.next;
  for (let left = Math.min(times, size); left > 0; left -= 1) {
    const word = Math.floor(next / BITS);
    const bit = 1 << (next % BITS);
    bits[word] = marked ? (bits[word] ?? 0) | bit : (bits[word] ?? 0) & ~bit;
    next = (next + 1) % size;
  }
  return { kind: "calls", size, calls: Math.min(size, window.calls + times), next, bits };
}

/** A call that the window has left behind changes nothing; one that is late is put where it belongs. */
function bucketed(window: TimeWindow, marked: boolean, times: number, nowMs: number): TripStatistics {
  const { bucketMs } = window;
  const bucket = Math.max(0, Math.floor(nowMs / bucketMs));
  if (bucket <= window.newest - BUCKETS) return window;
  const calls = window.calls.slice();
  const against = window.marked.slice();
  for (let passed = Math.max(window.newest, bucket - BUCKETS) + 1; passed <= bucket; passed += 1) {
    calls[passed % BUCKETS] = 0;
    against[passed % BUCKETS] = 0;
  }
  const at = bucket % BUCKETS;
  calls[at] = (calls[at] ?? 0) + times;
  if (marked) against[at] = (against[at] ?? 0) + times;
  return { kind: "time", bucketMs, newest: Math.max(window.newest, bucket), calls, marked: against };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Bits that are set in a word of 32, added up in parallel: Henry Warren, "Hacker's Delight", section 5-1. */
function ones(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
