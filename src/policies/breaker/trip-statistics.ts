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
      /** The word that `next` is in, which is out of date in `bits`: so not all of them are copied at each call. */
      readonly word: number;
    }
  | {
      readonly kind: "time";
      readonly bucketMs: number;
      /** Number of the newest bucket since the epoch. */
      readonly newest: number;
      /** In the newest bucket. */
      readonly calls: number;
      /** How many of them count against the service. */
      readonly marked: number;
      /** The same for the buckets before, number n at n modulo 10. Copied only when the window moves on. */
      readonly past: { readonly calls: readonly number[]; readonly marked: readonly number[] };
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
    return { kind: "calls", size, calls: 0, next: 0, bits: zeros(Math.ceil(size / BITS)), word: 0 };
  }
  const bucketMs = trip.window.ms / BUCKETS;
  if (statistics?.kind === "time" && statistics.bucketMs === bucketMs) return statistics;
  const past = { calls: zeros(BUCKETS), marked: zeros(BUCKETS) };
  return { kind: "time", bucketMs, newest: 0, calls: 0, marked: 0, past };
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
  if (window.kind === "time") {
    const { calls, marked, past } = window;
    return { calls: calls + sum(past.calls), marked: marked + sum(past.marked) };
  }
  const current = wordOf(window.next);
  const marked = sum(window.bits.map((word, index) => ones(index === current ? window.word : word)));
  return { calls: window.calls, marked };
}

function pushed(window: CallWindow, marked: boolean, times: number): TripStatistics {
  const { size } = window;
  let { bits, next, word } = window;
  for (let left = Math.min(times, size); left > 0; left -= 1) {
    const bit = 1 << (next % BITS);
    word = marked ? word | bit : word & ~bit;
    const current = wordOf(next);
    next = next + 1 === size ? 0 : next + 1;
    if (wordOf(next) === current) continue;
    bits = bits.with(current, word);
    word = bits[wordOf(next)] ?? 0;
  }
  return { kind: "calls", size, calls: Math.min(size, window.calls + times), next, bits, word };
}

function wordOf(call: number): number {
  return Math.floor(call / BITS);
}

/** A call that the window has left behind changes nothing; one that is late is put where it belongs. */
function bucketed(window: TimeWindow, marked: boolean, times: number, nowMs: number): TripStatistics {
  const { bucketMs, newest } = window;
  const bucket = Math.max(0, Math.floor(nowMs / bucketMs));
  const against = marked ? times : 0;
  if (bucket === newest) {
    const { calls, past } = window;
    return { kind: "time", bucketMs, newest, calls: calls + times, marked: window.marked + against, past };
  }
  if (bucket <= newest - BUCKETS) return window;
  const calls = window.past.calls.slice();
  const counted = window.past.marked.slice();
  const add = (to: number[], at: number, more: number) => {
    to[at % BUCKETS] = (to[at % BUCKETS] ?? 0) + more;
  };
  if (bucket < newest) {
    add(calls, bucket, times);
    add(counted, bucket, against);
    return { ...window, past: { calls, marked: counted } };
  }
  add(calls, newest, window.calls);
  add(counted, newest, window.marked);
  for (let passed = Math.max(newest, bucket - BUCKETS) + 1; passed <= bucket; passed += 1) {
    calls[passed % BUCKETS] = 0;
    counted[passed % BUCKETS] = 0;
  }
  return { kind: "time", bucketMs, newest: bucket, calls: times, marked: against, past: { calls, marked: counted } };
}

function zeros(length: number): readonly number[] {
  return Array.from({ length }, () => 0);
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
