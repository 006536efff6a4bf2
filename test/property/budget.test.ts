import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { threadNotesOf, USAGE_NOTE } from "../../src/core/checkpoint-notes.js";
import { meterOf } from "../../src/langgraph/thread-usage.js";
import { createMeter, type MeteredAttempt } from "../../src/policies/budget.js";
import {
  addUsage,
  NO_USAGE,
  type Spending,
  spendingOf,
  spendingRecord,
  totalUsage,
  type Usage,
  usageBeyond,
} from "../../src/policies/usage.js";
import { call, settableClock, usage } from "../support/spending.js";

const outcome = fc.constantFrom("useful" as const, "wasted" as const);
const which = fc.nat({ max: 9 });
const tokens = fc.nat({ max: 1_000_000 });
const step = fc.oneof(
  fc.record({ kind: fc.constant("begin" as const) }),
  fc.record({ kind: fc.constant("add" as const), which, input: tokens, output: tokens }),
  fc.record({ kind: fc.constant("end" as const), which, outcome }),
  fc.record({ kind: fc.constant("pass" as const), ms: fc.nat({ max: 50 }) }),
  fc.record({ kind: fc.constant("look" as const) }),
);

interface Tracked {
  readonly attempt: MeteredAttempt;
  readonly from: number;
  to?: number;
  outcome?: "useful" | "wasted";
}

/** The measure of the union of intervals, by sorting them. */
function unionMs(intervals: readonly { from: number; to: number }[]): number {
  let covered = 0;
  let reached = Number.NEGATIVE_INFINITY;
  for (const { from, to } of [...intervals].sort((a, b) => a.from - b.from)) {
    covered += Math.max(0, to - Math.max(from, reached));
    reached = Math.max(reached, to);
  }
  return covered;
}

describe("a meter", () => {
  it("loses and invents nothing, in whatever order attempts begin, use, end and are told of late", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        const clock = settableClock();
        const meter = createMeter({ clock });
        const tracked: Tracked[] = [];
        const expected = { useful: NO_USAGE, wasted: NO_USAGE };
        const perAttempt = new Map<Tracked, Usage>();
        let before = meter.spent;
        for (const one of steps) {
          const target = "which" in one ? tracked[one.which] : undefined;
          if (one.kind === "begin") {
            const begun: Tracked = { attempt: meter.begin(), from: clock.nowMs };
            tracked.push(begun);
            perAttempt.set(begun, usage({ attempts: 1 }));
          } else if (one.kind === "pass") {
            clock.nowMs += one.ms;
          } else if (one.kind === "add" && target !== undefined) {
            target.attempt.add(call(one.input, one.output));
            const added = usage({
              inputTokens: one.input,
              outputTokens: one.output,
              totalTokens: one.input + one.output,
              usd: Math.round((one.input * 2 + one.output * 8) * 1e6) / 1e12,
            });
            perAttempt.set(target, addUsage(perAttempt.get(target) ?? NO_USAGE, added));
          } else if (one.kind === "end" && target !== undefined) {
            target.attempt.end(one.outcome);
            target.to ??= clock.nowMs;
            target.outcome ??= one.outcome;
          }
          const now = meter.spent;
          for (const part of ["useful", "wasted"] as const) {
            expect(usageBeyond(before[part], now[part])).toEqual(NO_USAGE);
          }
          before = now;
        }
        const sum = (from: readonly Tracked[]) =>
          from.reduce((all, one) => addUsage(all, perAttempt.get(one) ?? NO_USAGE), NO_USAGE);
        expected.useful = sum(tracked.filter((one) => one.outcome === "useful"));
        expected.wasted = sum(tracked.filter((one) => one.outcome === "wasted"));
        const { useful, wasted, inFlight } = meter.spent;
        expect({ ...useful, activeMs: 0 }).toEqual(expected.useful);
        expect({ ...wasted, activeMs: 0 }).toEqual(expected.wasted);
        expect({ ...inFlight, activeMs: 0 }).toEqual(sum(tracked.filter((one) => one.outcome === undefined)));
        const covered = unionMs(tracked.map(({ from, to }) => ({ from, to: to ?? clock.nowMs })));
        expect(totalUsage(meter.spent).activeMs).toBe(covered);
        for (const part of [useful, wasted, inFlight]) expect(part.activeMs).toBeGreaterThanOrEqual(0);
        for (const { attempt } of tracked) attempt.end("wasted");
        expect(meter.spent.useful.activeMs + meter.spent.wasted.activeMs).toBe(covered);
        expect(meter.spent.inFlight).toEqual(NO_USAGE);
      }),
      { numRuns: 500 },
    );
  });

  it("gives an attempt at most the time it ran, and all of it when it ran alone", () => {
    const run = fc.record({ from: fc.nat({ max: 100 }), ms: fc.nat({ max: 100 }), outcome });
    fc.assert(
      fc.property(fc.array(run, { minLength: 1, maxLength: 8 }), (runs) => {
        const clock = settableClock();
        const start = clock.nowMs;
        const meter = createMeter({ clock });
        const events = runs.flatMap((one, index) => [
          { at: one.from, index, kind: "begin" as const },
          { at: one.from + one.ms, index, kind: "end" as const },
        ]);
        const attempts: MeteredAttempt[] = [];
        // An attempt of no length begins before it ends; the sort is stable.
        for (const event of events.sort((a, b) => a.at - b.at)) {
          clock.nowMs = start + event.at;
          if (event.kind === "begin") attempts[event.index] = meter.begin();
          else attempts[event.index]?.end(runs[event.index]?.outcome ?? "useful");
        }
        for (const part of ["useful", "wasted"] as const) {
          const mine = runs.filter((one) => one.outcome === part);
          const others = runs.filter((one) => one.outcome !== part);
          const intervals = (of: typeof runs) => of.map(({ from, ms }) => ({ from, to: from + ms }));
          const alone = unionMs(intervals(runs)) - unionMs(intervals(others));
          // what is left of a millisecond goes to whoever ends next
          expect(meter.spent[part].activeMs).toBeLessThanOrEqual(unionMs(intervals(mine)) + 1);
          expect(meter.spent[part].activeMs).toBeGreaterThanOrEqual(alone - 1);
        }
      }),
      { numRuns: 500 },
    );
  });
});

const amount = fc.oneof(fc.nat(), fc.double({ min: 0, max: 1e9, noNaN: true }));
const anyUsage: fc.Arbitrary<Usage> = fc.record({
  inputTokens: amount,
  outputTokens: amount,
  cachedInputTokens: amount,
  totalTokens: amount,
  usd: amount,
  unpricedTokens: amount,
  unmeasuredCalls: amount,
  attempts: amount,
  activeMs: amount,
});
const anySpending: fc.Arbitrary<Spending> = fc.record({
  useful: anyUsage,
  wasted: anyUsage,
  inFlight: fc.oneof(anyUsage, fc.constant(NO_USAGE)),
});

describe("what was spent", () => {
  it("comes back from JSON as it was", () => {
    fc.assert(
      fc.property(anySpending, (spending) => {
        expect(spendingOf(JSON.parse(JSON.stringify(spendingRecord(spending))))).toEqual(spending);
      }),
    );
  });

  it("is not read out of anything else", () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withMap: true, withDate: true }), (junk) => {
        expect(spendingOf(junk)).toBeUndefined();
      }),
    );
  });
});

describe("a thread that wanders between processes", () => {
  const visit = fc.record({
    process: fc.nat({ max: 2 }),
    /** What it spends, and whether a checkpoint is written after it: a run that fails writes none. */
    spends: fc.array(fc.record({ tokens: fc.nat({ max: 1000 }), outcome, written: fc.boolean() }), { maxLength: 4 }),
  });

  it("has spent, in the end, all that was spent, each once", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(visit, { maxLength: 8, size: "max" }), async (visits) => {
        let newest: { id: string; metadata: Record<string, unknown> } | undefined;
        let written = 0;
        const savers = [0, 1, 2].map(() => ({
          getTuple: async () => newest && { checkpoint: { id: newest.id }, metadata: newest.metadata },
        }));
        const clock = settableClock();
        const place = { threadId: "t", namespace: "" };
        const expected = { useful: 0, wasted: 0 };
        const everybody = [0, 1, 2].map((process) => ({
          process,
          spends: [{ tokens: 0, outcome: "useful" as const, written: true }],
        }));
        for (const { process, spends } of [...visits, ...everybody]) {
          const saver = savers[process] as (typeof savers)[number];
          const notes = threadNotesOf(saver);
          // LangGraph reads the newest checkpoint when a run begins.
          notes.read(place, (await saver.getTuple()) as never);
          for (const one of spends) {
            const attempt = (await meterOf(saver, "t", clock)).begin();
            attempt.add(call(one.tokens, 0));
            attempt.end(one.outcome);
            expected[one.outcome] += one.tokens;
            if (!one.written) continue;
            const note = JSON.parse(JSON.stringify(notes.next(place)));
            written += 1;
            newest = { id: String(written).padStart(6, "0"), metadata: { [USAGE_NOTE]: note } };
            notes.wrote(place, newest.id, note);
          }
        }
        const stored = spendingOf(newest?.metadata[USAGE_NOTE]);
        expect(stored?.useful.totalTokens).toBe(expected.useful);
        expect(stored?.wasted.totalTokens).toBe(expected.wasted);
      }),
      { numRuns: 300 },
    );
  });
});
