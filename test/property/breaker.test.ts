import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Clock } from "../../src/core/clock.js";
import type { VersionedStore } from "../../src/core/store-ports.js";
import { type Admission, type CallOutcome, createBreaker } from "../../src/policies/breaker/breaker.js";
import { type BreakerOptions, breakerSchema, type TripOptions } from "../../src/policies/breaker/breaker-options.js";
import { stateSchema } from "../../src/policies/breaker/breaker-state.js";
import type { Override } from "../../src/policies/breaker/breaker-transitions.js";
import { createSharedBreaker } from "../../src/policies/breaker/shared-breaker.js";
import { decodeBreaker } from "../../src/policies/breaker/stored-breaker.js";
import { createTestStore, type StoreFault } from "../support/memory-versioned-store.js";

const SLOW_MS = 100;
const outcome = fc.constantFrom<CallOutcome>("failure", "failure", "success", "neutral");
const override = fc.constantFrom<Override>("open", "close", "isolate");
const durationMs = fc.constantFrom(1, SLOW_MS, SLOW_MS + 1);

const window = fc.oneof(
  fc.record({ calls: fc.integer({ min: 4, max: 70 }) }),
  fc.record({ ms: fc.constantFrom(100, 1000, 5000) }),
);
const overWindow = { ratio: fc.constantFrom(0.1, 0.5, 1), minimumCalls: fc.integer({ min: 1, max: 4 }), window };
const trip: fc.Arbitrary<TripOptions> = fc.oneof(
  fc.record({ kind: fc.constant("consecutive" as const), failures: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant("ratio" as const), ...overWindow }),
  fc.record({ kind: fc.constant("slow" as const), slowCallMs: fc.constant(SLOW_MS), ...overWindow }),
);
const options: fc.Arbitrary<BreakerOptions> = fc.record({
  trip: fc.array(trip, { minLength: 1, maxLength: 3 }),
  recoveryMs: fc.constantFrom(0, 300, 1000),
  halfOpenSuccesses: fc.integer({ min: 1, max: 3 }),
});

type Step =
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "admit"; readonly leaseMs: number }
  | { readonly kind: "settle"; readonly which: number; readonly outcome: CallOutcome; readonly durationMs: number }
  | { readonly kind: "call"; readonly outcome: CallOutcome; readonly durationMs: number }
  | { readonly kind: "override"; readonly to: Override };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(1, 50, 300, 1000) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("admit" as const), leaseMs: fc.constantFrom(1, 200, 5000) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("settle" as const), which: fc.nat({ max: 5 }), outcome, durationMs }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("call" as const), outcome, durationMs }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("override" as const), to: override }) },
);

/** A circuit breaker as one would tell of it: it keeps everything and looks through it all each time. */
function createModel(given: BreakerOptions) {
  const policy = breakerSchema.parse(given);
  type Call = { readonly atMs: number; readonly failed: boolean; readonly durationMs: number };
  let period = 0;
  let kind: "closed" | "open" | "half_open" | "isolated" = "closed";
  let openedAtMs = 0;
  let calls: Call[] = [];
  let successes = 0;
  let probe: { readonly endsAtMs: number } | undefined;

  const become = (next: typeof kind, nowMs: number) => {
    period += 1;
    kind = next;
    openedAtMs = nowMs;
    calls = [];
    successes = 0;
    probe = undefined;
  };
  const says = (one: (typeof policy.trip)[number], nowMs: number): boolean => {
    const bad = (call: Call) => (one.kind === "slow" ? call.durationMs > one.slowCallMs : call.failed);
    if (!bad(calls.at(-1)!)) return false;
    if (one.kind === "consecutive") return calls.slice(-one.failures).filter(bad).length === one.failures;
    const tenth = (atMs: number, ms: number) => Math.floor(atMs / (ms / 10));
    const { window: seen } = one;
    const inWindow =
      "calls" in seen
        ? calls.slice(-seen.calls)
        : calls.filter(({ atMs }) => tenth(atMs, seen.ms) > tenth(nowMs, seen.ms) - 10);
    return inWindow.length >= one.minimumCalls && inWindow.filter(bad).length >= one.ratio * inWindow.length;
  };
  return {
    get seen() {
      return { kind, ...(kind === "half_open" ? { successes } : {}) };
    },
    admit(leaseMs: number, nowMs: number) {
      if (kind === "closed") return { period };
      if (kind === "open" && nowMs >= openedAtMs + policy.recoveryMs) become("half_open", nowMs);
      if (kind !== "half_open" || (probe !== undefined && nowMs < probe.endsAtMs)) return undefined;
      probe = { endsAtMs: nowMs + leaseMs };
      return { period, probe };
    },
    settle(
      admission: { readonly period: number; readonly probe?: { readonly endsAtMs: number } },
      ended: { readonly outcome: CallOutcome; readonly durationMs: number },
      nowMs: number,
    ) {
      if (admission.period !== period) return;
      if (admission.probe === undefined) {
        if (ended.outcome === "neutral") return;
        calls.push({ atMs: nowMs, failed: ended.outcome === "failure", durationMs: ended.durationMs });
        if (policy.trip.some((one) => says(one, nowMs))) become("open", nowMs);
        return;
      }
      if (admission.probe !== probe || nowMs >= probe.endsAtMs) return;
      probe = undefined;
      if (ended.outcome === "neutral") return;
      const slow = policy.trip.some((one) => one.kind === "slow" && ended.durationMs > one.slowCallMs);
      if (ended.outcome === "failure" || slow) return become("open", nowMs);
      successes += 1;
      if (successes === policy.halfOpenSuccesses) become("closed", nowMs);
    },
    override(to: Override, nowMs: number) {
      if (to === "isolate" && kind === "isolated") return;
      become(to === "open" ? "open" : to === "close" ? "closed" : "isolated", nowMs);
    },
  };
}

describe("a breaker of one process", () => {
  it("does what a simple model of it does, with one probe at a time and a state that does not grow", () => {
    fc.assert(
      fc.property(options, fc.array(step, { maxLength: 150 }), (given, steps) => {
        let nowMs = 1_700_000_000_000;
        const clock = { now: () => nowMs } as Clock;
        const breaker = createBreaker("api", breakerSchema.parse(given), { clock });
        const model = createModel(given);
        type ModelAdmission = NonNullable<ReturnType<typeof model.admit>>;
        const underWay: { readonly real: Admission; readonly modelled: ModelAdmission; readonly endsAtMs: number }[] =
          [];
        const admit = (leaseMs: number) => {
          const modelled = model.admit(leaseMs, nowMs);
          if (modelled === undefined) {
            expect(() => breaker.admit(leaseMs)).toThrow(expect.objectContaining({ code: "CIRCUIT_OPEN" }));
            return;
          }
          const real = breaker.admit(leaseMs) as Admission;
          expect(real.kind).toBe(modelled.probe === undefined ? "call" : "probe");
          if (real.kind === "probe") {
            const rivals = underWay.filter(
              (other) =>
                other.real.kind === "probe" && other.endsAtMs > nowMs && other.real.generation === real.generation,
            );
            expect(rivals).toEqual([]);
          }
          underWay.push({ real, modelled, endsAtMs: nowMs + leaseMs });
        };
        const settle = (which: number, ended: { readonly outcome: CallOutcome; readonly durationMs: number }) => {
          const [call] = underWay.splice(which % Math.max(1, underWay.length), 1);
          if (call === undefined) return;
          model.settle(call.modelled, ended, nowMs);
          breaker.settle(call.real, ended.outcome, ended.durationMs);
        };
        for (const one of steps) {
          switch (one.kind) {
            case "wait":
              nowMs += one.ms;
              break;
            case "admit":
              admit(one.leaseMs);
              break;
            case "settle":
              settle(one.which, one);
              break;
            case "call": {
              const before = underWay.length;
              admit(5000);
              if (underWay.length > before) settle(before, one);
              break;
            }
            case "override":
              model.override(one.to, nowMs);
              breaker[one.to]();
              break;
          }
          expect(breaker.state).toMatchObject(model.seen);
          const json = JSON.stringify(breaker.state);
          expect(json.length).toBeLessThan(1000);
          expect(stateSchema.parse(JSON.parse(json))).toEqual(breaker.state);
        }
      }),
      { numRuns: 400 },
    );
  });
});

/** Time that only the test moves, and patience without end. */
function standingClock(): { nowMs: number; clock(skewMs: number): Clock } {
  const time = {
    nowMs: 1_700_000_000_000,
    clock: (skewMs: number): Clock => ({
      now: () => time.nowMs + skewMs,
      after: () => () => undefined,
      sleep: () => new Promise(() => undefined),
    }),
  };
  return time;
}

/** Each request and each reply comes when the scheduler says so. */
function throughScheduler(store: VersionedStore, scheduler: fc.Scheduler): VersionedStore {
  const travels = async <T>(request: () => Promise<T>): Promise<T> => {
    await scheduler.schedule(Promise.resolve());
    const replied = await request().then(
      (reply) => () => reply,
      (error: unknown) => () => {
        throw error;
      },
    );
    await scheduler.schedule(Promise.resolve());
    return replied();
  };
  return {
    read: (key) => travels(() => store.read(key)),
    write: (key, value, version) => travels(() => store.write(key, value, version)),
    list: () => travels(() => store.list()),
  };
}

/** Opens and recovers often, so that there is much to agree on. */
const sharedOptions: fc.Arbitrary<BreakerOptions> = fc.record({
  trip: fc.array(trip, { minLength: 1, maxLength: 2 }),
  recoveryMs: fc.constantFrom(0, 50),
  halfOpenSuccesses: fc.integer({ min: 1, max: 3 }),
});
const sharedStep = fc.oneof(
  { weight: 9, arbitrary: step },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("admit" as const), leaseMs: fc.constantFrom(200, 5000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("override" as const), to: fc.constant("open" as const) }) },
);
const shared = fc.record({
  who: fc.nat({ max: 2 }),
  /** How many requests and replies arrive before the next step. */
  arrivals: fc.nat({ max: 8 }),
  step: sharedStep,
});

describe("a breaker that three processes share, whatever the order of requests and replies", () => {
  beforeEach(() => {
    vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  });
  afterEach(() => vi.restoreAllMocks());

  it("has one probe under way at most, fails no call, and ends in one state that all know", async () => {
    let probes = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        sharedOptions,
        fc.array(shared, { minLength: 20, maxLength: 60 }),
        async (scheduler, given, steps) => {
          const time = standingClock();
          const inner = createTestStore({ now: () => time.nowMs });
          const store = throughScheduler(inner, scheduler);
          const policy = breakerSchema.parse(given);
          const breakers = [-5_000_000, 0, 777].map((skewMs) =>
            createSharedBreaker("api", policy, { clock: time.clock(skewMs), store, refreshMs: 100 }),
          );
          const underWay: { readonly who: number; readonly admission: Admission; readonly endsAtMs: number }[] = [];
          const waits: Promise<unknown>[] = [];

          const admit = (who: number, leaseMs: number) => {
            const asked = async () => {
              const breaker = breakers[who]!;
              const admission = await breaker.admit(leaseMs);
              if (admission.kind === "call") return void underWay.push({ who, admission, endsAtMs: 0 });
              probes += 1;
              const { state } = breaker;
              if (state.kind !== "half_open" || state.probe === null) throw new Error("A probe without its slot");
              const rivals = underWay.filter(
                (other) => other.admission.generation === admission.generation && other.endsAtMs > time.nowMs,
              );
              expect(rivals).toEqual([]);
              underWay.push({ who, admission, endsAtMs: state.probe.leaseEndsAtMs });
            };
            waits.push(
              asked().catch((error: unknown) => {
                if ((error as { code?: unknown }).code !== "CIRCUIT_OPEN") throw error;
              }),
            );
          };
          const settle = (which: number, ended: { readonly outcome: CallOutcome; readonly durationMs: number }) => {
            const [call] = underWay.splice(which % Math.max(1, underWay.length), 1);
            if (call === undefined) return;
            waits.push(Promise.resolve(breakers[call.who]!.settle(call.admission, ended.outcome, ended.durationMs)));
          };
          for (const { who, arrivals, step: one } of steps) {
            switch (one.kind) {
              case "wait":
                time.nowMs += one.ms;
                break;
              case "admit":
                admit(who, one.leaseMs);
                break;
              case "settle":
              case "call":
                if (one.kind === "call") admit(who, 5000);
                settle(one.kind === "settle" ? one.which : underWay.length - 1, one);
                break;
              case "override":
                waits.push(Promise.resolve(breakers[who]![one.to]()));
                break;
            }
            for (let arrival = 0; arrival < arrivals; arrival += 1) {
              await Promise.resolve();
              if (scheduler.count() > 0) await scheduler.waitOne();
            }
          }
          await scheduler.waitFor(Promise.all(waits));
          for (const breaker of breakers) await scheduler.waitFor(breaker.sync());
          for (const breaker of breakers) await scheduler.waitFor(breaker.sync());
          const read = decodeBreaker(await inner.stored("api"));
          const final = read.kind === "readable" ? read.stored.state : undefined;
          for (const breaker of breakers) {
            if (final === undefined) expect(breaker.state).toMatchObject({ kind: "closed", generation: 0 });
            else expect(breaker.state).toEqual(final);
          }
          expect(JSON.stringify((await inner.stored("api")) ?? null).length).toBeLessThan(2000);
        },
      ),
      { numRuns: 150 },
    );
    expect(probes).toBeGreaterThan(100);
  });

  it("counts each failure exactly once, although the store fails and loses replies", async () => {
    const disturbed = fc.record({
      who: fc.nat({ max: 2 }),
      arrivals: fc.nat({ max: 4 }),
      failures: fc.nat({ max: 3 }),
      fault: fc.constantFrom<StoreFault>("none", "none", "fails", "loses_replies"),
    });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.array(disturbed, { maxLength: 40 }), async (scheduler, steps) => {
        const time = standingClock();
        const inner = createTestStore({ now: () => time.nowMs });
        const store = throughScheduler(inner, scheduler);
        const policy = breakerSchema.parse({ trip: { kind: "consecutive", failures: 1000 } });
        const breakers = [0, 1, 2].map(() =>
          createSharedBreaker("api", policy, { clock: time.clock(0), store, refreshMs: 10 }),
        );
        let total = 0;
        for (const { who, arrivals, failures, fault } of steps) {
          inner.fault = fault;
          time.nowMs += 10;
          for (let failure = 0; failure < failures; failure += 1) {
            total += 1;
            breakers[who]!.settle(breakers[who]!.admit() as Admission, "failure", 1);
          }
          for (let arrival = 0; arrival < arrivals; arrival += 1) {
            await new Promise((resolve) => setImmediate(resolve));
            if (scheduler.count() > 0) await scheduler.waitOne();
          }
        }
        inner.fault = "none";
        for (const breaker of breakers) await scheduler.waitFor(breaker.sync());
        for (const breaker of breakers) await scheduler.waitFor(breaker.sync());
        for (const { state } of breakers)
          expect(state).toMatchObject({ kind: "closed", statistics: total === 0 ? [] : [{ failures: total }] });
      }),
      { numRuns: 150 },
    );
  });
});
