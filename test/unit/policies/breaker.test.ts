import { afterEach, describe, expect, it, vi } from "vitest";
import type { Clock } from "../../../src/core/clock.js";
import type { ErrorReport } from "../../../src/errors/report.js";
import { type Admission, type Breaker, createBreaker } from "../../../src/policies/breaker/breaker.js";
import { type BreakerOptions, breakerSchema } from "../../../src/policies/breaker/breaker-options.js";
import { stateSchema } from "../../../src/policies/breaker/breaker-state.js";
import { FakeClock } from "../../support/fake-clock.js";

const MINUTE = 60_000;
const report: ErrorReport = { category: "server_error", retryable: true, message: "503 Service Unavailable" };

function setUp(options: BreakerOptions = {}) {
  const clock = new FakeClock();
  const changes: string[] = [];
  const breaker = createBreaker("api", breakerSchema.parse(options), {
    clock,
    onChange: (from, to) => void changes.push(`${from} → ${to}`),
  });
  return { clock, breaker, changes };
}

/** In process nothing is awaited. */
function admit(breaker: Breaker, leaseMs?: number): Admission {
  const admission = breaker.admit(leaseMs);
  if (admission instanceof Promise) throw new Error("A breaker of one process waits for nothing");
  return admission;
}

function call(breaker: Breaker, outcome: "success" | "failure" | "neutral", durationMs = 10): void {
  breaker.settle(admit(breaker), outcome, durationMs, outcome === "failure" ? report : undefined);
}

function fail(breaker: Breaker, times: number): void {
  for (let time = 0; time < times; time += 1) call(breaker, "failure");
}

const refusal = (nextProbeInMs: number | undefined) =>
  expect.objectContaining({ code: "CIRCUIT_OPEN", category: "model_unavailable", service: "api", nextProbeInMs });

describe("a closed breaker", () => {
  it("opens at the fifth failure in a row", () => {
    const { breaker, changes } = setUp();
    fail(breaker, 4);
    expect(breaker.state.kind).toBe("closed");
    call(breaker, "failure");
    expect(breaker.state).toMatchObject({
      kind: "open",
      why: { kind: "consecutive", failures: 5, last: { category: "server_error", message: "503 Service Unavailable" } },
    });
    expect(changes).toEqual(["closed → open"]);
  });

  it("begins to count anew after a success, and takes no notice of what is neutral", () => {
    const { breaker } = setUp();
    fail(breaker, 4);
    call(breaker, "success");
    fail(breaker, 3);
    call(breaker, "neutral");
    call(breaker, "failure");
    expect(breaker.state.kind).toBe("closed");
    call(breaker, "failure");
    expect(breaker.state.kind).toBe("open");
  });

  it("opens when half of twenty calls have failed, by a failure and never by a success", () => {
    const { breaker } = setUp({ trip: { kind: "ratio", window: { calls: 100 } } });
    fail(breaker, 10);
    for (let time = 0; time < 10; time += 1) call(breaker, "success");
    expect(breaker.state.kind).toBe("closed");
    call(breaker, "failure");
    expect(breaker.state).toMatchObject({ kind: "open", why: { kind: "ratio", failures: 11, calls: 21 } });
  });

  it("stays closed below the ratio, and below the minimum of calls", () => {
    const { breaker } = setUp({ trip: { kind: "ratio", window: { calls: 20 }, ratio: 0.5 } });
    fail(breaker, 9);
    for (let time = 0; time < 11; time += 1) call(breaker, "success");
    // The window moves on: each failure that comes in pushes one out.
    fail(breaker, 9);
    expect(breaker.state.kind).toBe("closed");
    const few = setUp({ trip: { kind: "ratio" } });
    fail(few.breaker, 19);
    expect(few.breaker.state.kind).toBe("closed");
    fail(few.breaker, 1);
    expect(few.breaker.state.kind).toBe("open");
  });

  it("looks at the last minute only where its window is one of time", async () => {
    const { breaker, clock } = setUp({ trip: { kind: "ratio" } });
    fail(breaker, 19);
    await clock.advance(MINUTE);
    fail(breaker, 19);
    expect(breaker.state.kind).toBe("closed");
    fail(breaker, 1);
    expect(breaker.state).toMatchObject({ kind: "open", why: { failures: 20, calls: 20 } });
  });

  it("opens when half of the calls are slow, whatever they end in", () => {
    const { breaker } = setUp({ trip: { kind: "slow", slowCallMs: 1000, minimumCalls: 4 } });
    call(breaker, "success", 1000);
    call(breaker, "success", 1000);
    call(breaker, "failure", 1001);
    expect(breaker.state.kind).toBe("closed");
    call(breaker, "success", 1001);
    expect(breaker.state).toMatchObject({ kind: "open", why: { kind: "slow", slow: 2, calls: 4, slowCallMs: 1000 } });
  });

  it("opens when any of several trips says so", () => {
    const trip: BreakerOptions["trip"] = [
      { kind: "consecutive", failures: 3 },
      { kind: "slow", slowCallMs: 100, minimumCalls: 2 },
    ];
    const failing = setUp({ trip });
    fail(failing.breaker, 3);
    expect(failing.breaker.state).toMatchObject({ why: { kind: "consecutive" } });
    const slow = setUp({ trip });
    call(slow.breaker, "success", 101);
    call(slow.breaker, "success", 101);
    expect(slow.breaker.state).toMatchObject({ why: { kind: "slow" } });
  });

  it("does not count calls that it admitted before it last opened", async () => {
    const { breaker, clock } = setUp({ halfOpenSuccesses: 1 });
    const early = Array.from({ length: 9 }, () => admit(breaker));
    for (const admission of early.slice(0, 5)) breaker.settle(admission, "failure", 10);
    const opened = breaker.state;
    breaker.settle(early[5]!, "failure", 10);
    breaker.settle(early[6]!, "success", 10);
    expect(breaker.state).toBe(opened);
    await clock.advance(MINUTE);
    call(breaker, "success");
    fail(breaker, 3);
    breaker.settle(early[7]!, "success", 10);
    breaker.settle(early[8]!, "failure", 10);
    expect(breaker.state).toMatchObject({ kind: "closed", statistics: [{ failures: 3 }] });
  });

  it("gives all calls of a period one admission, and changes nothing for a success without failures", () => {
    const { breaker } = setUp();
    const { state } = breaker;
    expect(admit(breaker)).toBe(admit(breaker));
    call(breaker, "success");
    expect(breaker.state).toBe(state);
  });

  it("takes the categories that speak of the service's health, and no others", () => {
    const { breaker } = setUp();
    const counted = ["network", "timeout", "server_error", "model_unavailable"] as const;
    const others = ["rate_limit", "quota", "unknown", "malformed_output", "auth", "invalid_input", "bug"] as const;
    expect(counted.map((category) => breaker.counts(category))).toEqual(counted.map(() => true));
    expect(others.map((category) => breaker.counts(category))).toEqual(others.map(() => false));
    expect(setUp({ counts: ["quota"] }).breaker.counts("quota")).toBe(true);
  });
});

describe("an open breaker", () => {
  it("refuses calls and says when the next probe is due", async () => {
    const { breaker, clock } = setUp();
    fail(breaker, 5);
    expect(() => breaker.admit()).toThrow(refusal(MINUTE));
    await clock.advance(MINUTE - 1);
    expect(() => breaker.admit()).toThrow('Circuit "api" is open; next probe in 1 ms');
    expect(breaker.state.kind).toBe("open");
  });

  it("becomes half-open by the first call after its recovery, which is the probe", async () => {
    const { breaker, clock, changes } = setUp();
    fail(breaker, 5);
    await clock.advance(MINUTE);
    expect(breaker.state.kind).toBe("open");
    expect(admit(breaker)).toMatchObject({ kind: "probe", number: 1 });
    expect(breaker.state).toMatchObject({ kind: "half_open", successes: 0, why: { kind: "consecutive" } });
    expect(changes).toEqual(["closed → open", "open → half_open"]);
  });

  it("recovers in its time although the clock is set back", () => {
    let nowMs = 1_700_000_000_000;
    const clock: Clock = { ...new FakeClock(), now: () => nowMs };
    const breaker = createBreaker("api", breakerSchema.parse({}), { clock });
    fail(breaker, 5);
    nowMs = 1000;
    expect(() => breaker.admit()).toThrow(refusal(MINUTE));
    nowMs += MINUTE;
    expect(admit(breaker).kind).toBe("probe");
  });
});

describe("a half-open breaker", () => {
  async function halfOpen(options: BreakerOptions = {}) {
    const made = setUp(options);
    made.breaker.open();
    await made.clock.advance(MINUTE);
    return made;
  }

  it("lets one probe through at a time", async () => {
    const { breaker } = await halfOpen();
    const probe = admit(breaker);
    expect(() => breaker.admit()).toThrow(refusal(0));
    expect(() => breaker.admit()).toThrow("a probe is under way");
    breaker.settle(probe, "success", 10);
    expect(admit(breaker)).toMatchObject({ kind: "probe", number: 2 });
  });

  it("closes after three successes in a row, with nothing held against it", async () => {
    const { breaker, changes } = await halfOpen();
    for (let time = 0; time < 3; time += 1) call(breaker, "success");
    expect(breaker.state).toMatchObject({ kind: "closed", statistics: [] });
    expect(changes).toEqual(["closed → open", "open → half_open", "half_open → closed"]);
    fail(breaker, 4);
    expect(breaker.state.kind).toBe("closed");
  });

  it("reopens for the whole recovery at the first failure", async () => {
    const { breaker } = await halfOpen();
    call(breaker, "success");
    call(breaker, "success");
    call(breaker, "failure");
    expect(breaker.state).toMatchObject({
      kind: "open",
      why: { kind: "probe", found: "failure", last: { category: "server_error" } },
    });
    expect(() => breaker.admit()).toThrow(refusal(MINUTE));
  });

  it("gives the slot back after a neutral probe, which neither counts nor ends the row", async () => {
    const { breaker } = await halfOpen();
    call(breaker, "success");
    call(breaker, "success");
    call(breaker, "neutral");
    expect(breaker.state).toMatchObject({ kind: "half_open", successes: 2, probe: null });
    call(breaker, "success");
    expect(breaker.state.kind).toBe("closed");
  });

  it("reopens after a probe that succeeds but is slow, where slow calls trip it", async () => {
    const slow = await halfOpen({ trip: { kind: "slow", slowCallMs: 100 } });
    call(slow.breaker, "success", 101);
    expect(slow.breaker.state).toMatchObject({ kind: "open", why: { kind: "probe", found: "slow" } });
    const other = await halfOpen();
    call(other.breaker, "success", 101);
    expect(other.breaker.state.kind).toBe("half_open");
  });

  it("makes another probe when the lease of one has run out, and ignores what that one tells then", async () => {
    const { breaker, clock } = await halfOpen();
    call(breaker, "success");
    const lost = admit(breaker, 5000);
    await clock.advance(4999);
    expect(() => breaker.admit()).toThrow(refusal(0));
    await clock.advance(1);
    const second = admit(breaker);
    breaker.settle(lost, "failure", 5000);
    expect(breaker.state).toMatchObject({ kind: "half_open", successes: 1, probe: { number: 3 } });
    breaker.settle(second, "success", 10);
    expect(breaker.state).toMatchObject({ successes: 2 });
  });

  it("ignores a late probe also while no other has been made, and one that is settled twice", async () => {
    const { breaker, clock } = await halfOpen({ probeLeaseMs: 5000 });
    const late = admit(breaker);
    await clock.advance(5000);
    breaker.settle(late, "success", 5000);
    expect(breaker.state).toMatchObject({ successes: 0 });
    const twice = admit(breaker);
    breaker.settle(twice, "success", 10);
    breaker.settle(twice, "success", 10);
    breaker.settle(twice, "failure", 10);
    expect(breaker.state).toMatchObject({ kind: "half_open", successes: 1 });
  });

  it("ignores a probe of an earlier half-open period", async () => {
    const { breaker, clock } = await halfOpen();
    const early = admit(breaker, 10 * MINUTE);
    breaker.open();
    await clock.advance(MINUTE);
    admit(breaker);
    breaker.settle(early, "failure", 10);
    expect(breaker.state).toMatchObject({ kind: "half_open", probe: { number: 1 } });
  });
});

describe("an operator", () => {
  it("opens it as if it had tripped: it recovers by itself", async () => {
    const { breaker, clock } = setUp();
    breaker.open();
    expect(breaker.state).toMatchObject({ kind: "open", why: { kind: "operator" } });
    await clock.advance(MINUTE - 1);
    breaker.open();
    expect(() => breaker.admit()).toThrow(refusal(MINUTE));
    await clock.advance(MINUTE);
    expect(admit(breaker).kind).toBe("probe");
  });

  it("closes it as if it had recovered, from every state, with nothing held against it", async () => {
    const { breaker, clock } = setUp();
    fail(breaker, 4);
    const before = admit(breaker);
    breaker.close();
    breaker.settle(before, "failure", 10);
    fail(breaker, 4);
    expect(breaker.state.kind).toBe("closed");
    for (const into of [() => breaker.open(), () => breaker.isolate()]) {
      into();
      breaker.close();
      expect(admit(breaker).kind).toBe("call");
    }
    breaker.open();
    await clock.advance(MINUTE);
    const probe = admit(breaker);
    breaker.close();
    breaker.settle(probe, "failure", 10);
    expect(breaker.state.kind).toBe("closed");
  });

  it("isolates it until it is closed by hand, however long that takes", async () => {
    const { breaker, clock } = setUp();
    breaker.isolate();
    const { state } = breaker;
    await clock.advance(1000 * MINUTE);
    expect(() => breaker.admit()).toThrow(refusal(undefined));
    expect(() => breaker.admit()).toThrow("stays open until it is closed by hand");
    breaker.isolate();
    expect(breaker.state).toBe(state);
    breaker.close();
    expect(breaker.state.kind).toBe("closed");
  });
});

describe("the state of a breaker", () => {
  it("is plain JSON in every kind, and is read back as it is", async () => {
    const { breaker, clock } = setUp({
      trip: [{ kind: "consecutive" }, { kind: "ratio", window: { calls: 40 } }, { kind: "slow", slowCallMs: 5 }],
    });
    const seen = new Set<string>();
    const check = () => {
      seen.add(breaker.state.kind);
      expect(stateSchema.parse(JSON.parse(JSON.stringify(breaker.state)))).toEqual(breaker.state);
    };
    check();
    fail(breaker, 4);
    check();
    fail(breaker, 1);
    check();
    await clock.advance(MINUTE);
    admit(breaker);
    check();
    breaker.isolate();
    check();
    expect(seen).toEqual(new Set(["closed", "open", "half_open", "isolated"]));
  });

  it("tells of the failure that opened it, without secrets, without what cannot be stored, and not at length", () => {
    const { breaker } = setUp({ trip: { kind: "consecutive", failures: 1 } });
    const message = `password=hunter2 \u0000\u001b[31m ${"x".repeat(290)}${"\ud83d\ude00".repeat(50)}`;
    breaker.settle(admit(breaker), "failure", 10, { ...report, message });
    const { state } = breaker;
    if (state.kind !== "open" || state.why.kind !== "consecutive") throw new Error("did not open");
    const kept = state.why.last?.message ?? "";
    expect(kept).not.toMatch(/hunter2|[\p{Cc}\p{Cs}]/u);
    expect(kept.length).toBeGreaterThan(100);
    expect(kept.length).toBeLessThanOrEqual(300);
  });
});

describe("a hook that is told of changes", () => {
  afterEach(() => vi.restoreAllMocks());

  it.each([
    [
      "throws",
      () => {
        throw new Error("broken hook");
      },
    ],
    ["rejects", () => Promise.reject(new Error("broken hook"))],
  ])("and %s is passed over with a warning", async (_, onChange) => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const clock = new FakeClock();
    const breaker = createBreaker("api", breakerSchema.parse({}), { clock, onChange: onChange as () => void });
    fail(breaker, 5);
    await clock.settle();
    expect(breaker.state.kind).toBe("open");
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      'onChange of the circuit "api" threw and was passed over: Error: broken hook',
      "ResilienceWarning",
    );
  });

  it("may override the breaker at once", () => {
    const clock = new FakeClock();
    const breaker: Breaker = createBreaker("api", breakerSchema.parse({}), {
      clock,
      onChange: (_, to) => {
        if (to === "open") breaker.isolate();
      },
    });
    fail(breaker, 5);
    expect(breaker.state.kind).toBe("isolated");
  });
});
