import { describe, expect, it } from "vitest";
import { breakerSchema, type TripOptions } from "../../../src/policies/breaker/breaker-options.js";
import { fitting, recorded, type TripStatistics, totals } from "../../../src/policies/breaker/trip-statistics.js";

const trip = (options: TripOptions) => breakerSchema.parse({ trip: options }).trip[0]!;
const empty = (options: TripOptions) => fitting(undefined, trip(options));
const seen = (statistics: TripStatistics) => {
  if (statistics.kind === "consecutive") throw new Error("has no window");
  return totals(statistics);
};

describe("a window of calls", () => {
  const options: TripOptions = { kind: "ratio", minimumCalls: 1, window: { calls: 70 } };

  it("forgets the oldest call for each new one, across the words of its ring", () => {
    let window = empty(options);
    const calls: boolean[] = [];
    for (let call = 0; call < 500; call += 1) {
      const marked = call % 3 === 0 || call % 7 === 0;
      calls.push(marked);
      window = recorded(window, marked, 1, 0);
      const last = calls.slice(-70);
      expect(seen(window)).toEqual({ calls: last.length, marked: last.filter(Boolean).length });
    }
  });

  it("takes many alike calls in one go, and no more than it holds", () => {
    const window = recorded(recorded(empty(options), true, 1_000_000, 0), false, 30, 0);
    expect(seen(window)).toEqual({ calls: 70, marked: 40 });
  });

  it("is made of as many words as it needs, however many calls it saw", () => {
    for (const [calls, words] of [
      [1, 1],
      [32, 1],
      [33, 2],
      [1000, 32],
    ] as const) {
      const window = recorded(empty({ kind: "ratio", minimumCalls: 1, window: { calls } }), true, 1_000_000, 0);
      expect(window).toMatchObject({ bits: { length: words } });
      expect(seen(window)).toEqual({ calls, marked: calls });
    }
  });
});

describe("a window of time", () => {
  const options: TripOptions = { kind: "ratio", minimumCalls: 1, window: { ms: 1000 } };
  const at = (window: TripStatistics, nowMs: number, marked = true) => recorded(window, marked, 1, nowMs);

  it("forgets a call when its tenth of the window has passed", () => {
    const first = at(empty(options), 50_000);
    expect(seen(at(first, 50_999))).toEqual({ calls: 2, marked: 2 });
    expect(seen(at(first, 51_000))).toEqual({ calls: 1, marked: 1 });
  });

  it("forgets everything after a long pause", () => {
    const first = at(at(empty(options), 50_000), 50_500);
    expect(seen(at(first, 9_000_000, false))).toEqual({ calls: 1, marked: 0 });
  });

  it("counts a late call where it belongs, and not at all when the window has left it behind", () => {
    const newest = at(empty(options), 50_900);
    const late = at(newest, 50_100);
    expect(seen(late)).toEqual({ calls: 2, marked: 2 });
    expect(seen(at(late, 51_150))).toEqual({ calls: 2, marked: 2 });
    expect(at(newest, 49_999)).toBe(newest);
  });

  it("is of one size, however long it runs", () => {
    let window = empty(options);
    for (let nowMs = 0; nowMs < 100_000; nowMs += 37) window = at(window, nowMs);
    expect(window).toMatchObject({ past: { calls: { length: 10 }, marked: { length: 10 } } });
  });
});

describe("a row of failures", () => {
  it("is ended by a success, and a success without one changes nothing", () => {
    const none = empty({ kind: "consecutive" });
    expect(recorded(none, false, 1, 0)).toBe(none);
    const three = recorded(none, true, 3, 0);
    expect(three).toEqual({ kind: "consecutive", failures: 3 });
    expect(recorded(three, false, 1, 0)).toEqual(none);
  });
});

describe("statistics that another policy has made", () => {
  it("are begun anew when they are of another kind or window, and kept otherwise", () => {
    const calls = recorded(empty({ kind: "ratio", window: { calls: 50 } }), true, 9, 0);
    expect(fitting(calls, trip({ kind: "slow", slowCallMs: 1, window: { calls: 50 } }))).toBe(calls);
    for (const other of [
      { kind: "ratio", window: { calls: 51 } },
      { kind: "ratio", window: { ms: 50 } },
      { kind: "consecutive" },
    ] satisfies TripOptions[])
      expect(fitting(calls, trip(other))).toEqual(empty(other));
    const time = recorded(empty({ kind: "ratio", window: { ms: 500 } }), true, 9, 0);
    expect(fitting(time, trip({ kind: "ratio", window: { ms: 600 } }))).toEqual(
      empty({ kind: "ratio", window: { ms: 600 } }),
    );
  });
});
