import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from "vitest";
import type { Admission, Breaker, CallOutcome } from "../../../src/policies/breaker/breaker.js";
import { type BreakerOptions, breakerSchema } from "../../../src/policies/breaker/breaker-options.js";
import { createSharedBreaker, type SharingOptions } from "../../../src/policies/breaker/shared-breaker.js";
import { listBreakers, overrideBreaker } from "../../../src/policies/breaker/stored-breaker.js";
import { totals } from "../../../src/policies/breaker/trip-statistics.js";
import { FakeClock } from "../../support/fake-clock.js";
import { createTestStore, type TestStore } from "../../support/memory-versioned-store.js";

const MINUTE = 60_000;

function setUp(options: BreakerOptions = {}) {
  const clock = new FakeClock();
  const store = createTestStore(clock);
  const policy = breakerSchema.parse(options);
  const changes: string[] = [];
  const join = (sharing: SharingOptions & { readonly skewMs?: number; readonly via?: TestStore } = {}) => {
    const { skewMs = 0, via = store, ...rest } = sharing;
    const own = { ...clock, now: () => clock.now() + skewMs };
    const onChange = (from: string, to: string) => void changes.push(`${rest.holder ?? ""} ${from} → ${to}`.trim());
    return createSharedBreaker("api", policy, { clock: own, store: via, onChange, ...rest });
  };
  const state = async () => {
    const [only] = await listBreakers(store);
    return only?.kind === "readable" ? only.state : only;
  };
  return { clock, store, join, state, changes };
}

async function call(breaker: Breaker, outcome: CallOutcome = "failure"): Promise<void> {
  const admission = await breaker.admit();
  await breaker.settle(admission, outcome, 10);
}

async function fail(breaker: Breaker, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) await call(breaker);
}

/** Admitted without waiting. */
function atOnce(breaker: Breaker): Admission {
  const admission = breaker.admit();
  if (admission instanceof Promise) throw new Error("It waits");
  return admission;
}

const refusal = (nextProbeInMs: number | undefined) =>
  expect.objectContaining({ code: "CIRCUIT_OPEN", service: "api", nextProbeInMs });

let warn: MockInstance<typeof process.emitWarning>;
beforeEach(() => {
  warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
});
afterEach(() => vi.restoreAllMocks());
const warnings = () => warn.mock.calls.map(([message]) => String(message));

describe("processes that share a breaker, while it is closed", () => {
  it("add up their failures, and all see it open", async () => {
    const { clock, join, state } = setUp();
    const breakers = [join(), join(), join()];
    for (const breaker of [...breakers, ...breakers.slice(0, 1)]) await call(breaker);
    await clock.settle();
    expect(await state()).toMatchObject({ kind: "closed", statistics: [{ failures: 4 }] });
    await call(breakers[1]!);
    await clock.settle();
    expect(await state()).toMatchObject({ kind: "open", why: { kind: "consecutive", failures: 5 } });
    await clock.advance(1000);
    for (const breaker of breakers) {
      if (breaker.state.kind === "closed") atOnce(breaker);
      await clock.settle();
      expect(() => breaker.admit()).toThrow(refusal(MINUTE - 1000));
    }
  });

  it("lose no failure to each other, however many come at once", async () => {
    const { clock, join, state } = setUp({ trip: { kind: "consecutive", failures: 1000 } });
    const breakers = Array.from({ length: 5 }, () => join());
    await Promise.all(breakers.flatMap((breaker) => Array.from({ length: 20 }, () => call(breaker))));
    await clock.settle();
    expect(await state()).toMatchObject({ statistics: [{ failures: 100 }] });
  });

  it("ask the store nothing on the way of a success, but once per refreshMs in the background", async () => {
    const { clock, join, store } = setUp();
    const breaker = join();
    for (let time = 0; time < 1000; time += 1) breaker.settle(atOnce(breaker), "success", 10);
    await clock.settle();
    expect(store.requests).toEqual(["read"]);
    await clock.advance(999);
    for (let time = 0; time < 1000; time += 1) breaker.settle(atOnce(breaker), "success", 10);
    await clock.settle();
    expect(store.requests).toEqual(["read"]);
    await clock.advance(1);
    for (let time = 0; time < 1000; time += 1) breaker.settle(atOnce(breaker), "success", 10);
    await clock.settle();
    expect(store.requests).toEqual(["read", "read"]);
  });

  it("take back all failures with the first success that knows of them", async () => {
    const { clock, join, state } = setUp();
    const [one, other] = [join(), join()];
    await fail(one, 4);
    await other.sync();
    await call(other, "success");
    await clock.settle();
    expect(await state()).toMatchObject({ statistics: [{ failures: 0 }] });
    await one.sync();
    await fail(one, 4);
    await clock.settle();
    expect(await state()).toMatchObject({ kind: "closed", statistics: [{ failures: 4 }] });
  });

  it("hand in the successes that a ratio needs with the next refresh, in one write", async () => {
    const { clock, join, state, store } = setUp({ trip: { kind: "ratio" } });
    const [one, other] = [join(), join()];
    await Promise.all([one.sync(), other.sync()]);
    for (let time = 0; time < 90; time += 1) await call(one, "success");
    await clock.settle();
    expect(store.requests.filter((request) => request === "write")).toEqual([]);
    await clock.advance(1000);
    atOnce(one);
    await clock.settle();
    expect(store.requests.filter((request) => request === "write")).toEqual(["write"]);
    await fail(other, 89);
    await clock.settle();
    expect(await state()).toMatchObject({ kind: "closed" });
    await call(other);
    await clock.settle();
    expect(await state()).toMatchObject({ kind: "open", why: { kind: "ratio", failures: 90, calls: 180 } });
  });

  it("do not count a call that was admitted before the breaker was closed last", async () => {
    const { clock, join, state, store } = setUp();
    const breaker = join();
    await breaker.sync();
    const early = Array.from({ length: 5 }, () => atOnce(breaker));
    await overrideBreaker(store, "api", "open");
    await overrideBreaker(store, "api", "close");
    for (const admission of early) breaker.settle(admission, "failure", 10);
    await clock.settle();
    expect(breaker.state).toMatchObject({ kind: "closed", generation: 2, statistics: [] });
    expect(await state()).toEqual(breaker.state);
  });

  it("count the calls that were made before the store was first asked, unless it has been closed since", async () => {
    const { clock, join, state, store } = setUp();
    await overrideBreaker(store, "api", "close");
    await clock.advance(1000);
    const breaker = join();
    const [inTime, early] = [atOnce(breaker), atOnce(breaker)];
    breaker.settle(inTime, "failure", 900);
    await clock.settle();
    expect(await state()).toMatchObject({ statistics: [{ failures: 1 }] });
    breaker.settle(early, "failure", 1100);
    breaker.settle(early, "failure", 900);
    await clock.settle();
    expect(await state()).toMatchObject({ statistics: [{ failures: 2 }] });
  });

  it("keep in mind what they found while the store was being told of something else", async () => {
    const { clock, join, store } = setUp();
    const breaker = join();
    await breaker.sync();
    const { write } = store;
    const replies: (() => void)[] = [];
    vi.spyOn(store, "write").mockImplementation(async (...written) => {
      await new Promise<void>((resolve) => replies.push(resolve));
      return write(...written);
    });
    await call(breaker);
    await clock.settle();
    await fail(breaker, 4);
    expect(breaker.state.kind).toBe("open");
    replies.shift()?.();
    await clock.settle();
    expect(store.requests.at(-1)).toBe("read");
    expect(breaker.state.kind).toBe("open");
    replies.shift()?.();
    await clock.settle();
    expect(breaker.state.kind).toBe("open");
  });

  it("hand in what they found with its time, however late", async () => {
    const { clock, join, state, store } = setUp({ trip: { kind: "ratio", ratio: 1, window: { ms: 1000 } } });
    const breaker = join();
    await breaker.sync();
    store.fault = "fails";
    for (const successes of [10, 7]) {
      for (let time = 0; time < successes; time += 1) await call(breaker, "success");
      await clock.advance(900);
    }
    store.fault = "none";
    await breaker.sync();
    await call(breaker, "failure");
    await clock.settle();
    const stored = await state();
    if (stored?.kind !== "closed" || stored.statistics[0]?.kind !== "time") throw new Error("no window");
    expect(totals(stored.statistics[0]).calls).toBe(8);
  });

  it("leave no timer behind", async () => {
    const { clock, join } = setUp();
    const breaker = join();
    await fail(breaker, 4);
    await clock.settle();
    expect(clock.alarms).toEqual([]);
  });
});

describe("processes that share a breaker, while it is open", () => {
  async function opened(options: BreakerOptions = {}) {
    const made = setUp(options);
    const breakers = [
      made.join({ holder: "one" }),
      made.join({ holder: "two" }),
      made.join({ holder: "three" }),
    ] as const;
    await breakers[0].open();
    await Promise.all(breakers.map((breaker) => breaker.sync()));
    made.store.requests.length = 0;
    return { ...made, breakers };
  }

  it("refuse at once, and look for news at most once per refreshMs", async () => {
    const { breakers, clock, store } = await opened();
    for (let time = 0; time < 100; time += 1) expect(() => breakers[0].admit()).toThrow(refusal(MINUTE));
    expect(store.requests).toEqual([]);
    await clock.advance(1000);
    for (let time = 0; time < 100; time += 1) expect(() => breakers[0].admit()).toThrow(refusal(MINUTE - 1000));
    await clock.settle();
    expect(store.requests).toEqual(["read"]);
  });

  it("send one probe for all of them", async () => {
    const { breakers, clock, store } = await opened();
    await clock.advance(MINUTE);
    const asked = breakers.flatMap((breaker) => [breaker.admit(), breaker.admit()]);
    const settled = await Promise.allSettled(asked);
    const admitted = settled.filter((one) => one.status === "fulfilled").map((one) => one.value);
    expect(admitted).toEqual([expect.objectContaining({ kind: "probe", number: 1 })]);
    expect(settled.filter((one) => one.status === "rejected").map((one) => one.reason)).toEqual(
      new Array(5).fill(refusal(0)),
    );
    // Each asks once for all its calls, and once more after it was not the first.
    expect(store.requests.sort()).toEqual([...new Array(5).fill("read"), ...new Array(3).fill("write")]);
  });

  it("close for all after three successes, whoever makes them", async () => {
    const { breakers, changes, clock, state } = await opened();
    await clock.advance(MINUTE);
    for (const breaker of breakers) {
      await breaker.sync();
      await call(breaker, "success");
    }
    expect(await state()).toMatchObject({ kind: "closed" });
    await Promise.all(breakers.map((breaker) => breaker.sync()));
    expect(breakers.map((breaker) => breaker.state.kind)).toEqual(["closed", "closed", "closed"]);
    expect(changes.filter((change) => change.startsWith("three"))).toEqual([
      "three closed → open",
      "three open → half_open",
      "three half_open → closed",
    ]);
  });

  it("reopen for all when one probe fails", async () => {
    const { breakers, clock } = await opened();
    await clock.advance(MINUTE);
    await call(breakers[0], "success");
    await call(breakers[0], "failure");
    await expect(breakers[1].admit()).rejects.toThrow(refusal(MINUTE));
    expect(() => breakers[1].admit()).toThrow(refusal(MINUTE));
  });

  it("probe again when the prober has died, but not before its lease has run out", async () => {
    const { breakers, clock } = await opened();
    await clock.advance(MINUTE);
    const dead = await breakers[0].admit(30_000);
    await breakers[1].sync();
    await clock.advance(29_999);
    expect(() => breakers[1].admit()).toThrow(refusal(0));
    await clock.advance(1);
    const next = await breakers[1].admit();
    expect(next).toMatchObject({ kind: "probe", number: 2 });
    await breakers[0].settle(dead, "failure", 10);
    expect(breakers[0].state).toMatchObject({ kind: "half_open", probe: { number: 2 } });
    await breakers[1].settle(next, "success", 10);
    expect(breakers[1].state).toMatchObject({ kind: "half_open", successes: 1, probe: null });
  });

  it("give the slot back after a neutral probe", async () => {
    const { breakers, clock, state } = await opened();
    await clock.advance(MINUTE);
    await call(breakers[0], "neutral");
    expect(await state()).toMatchObject({ kind: "half_open", successes: 0, probe: null });
    expect(await breakers[1].admit()).toMatchObject({ kind: "probe", number: 2 });
  });

  it("keep to the store's time, however their own clocks go", async () => {
    const { clock, join } = setUp();
    const fast = join({ skewMs: 3_600_000 });
    const slow = join({ skewMs: -3_600_000 });
    await fail(fast, 5);
    await fast.sync();
    await slow.sync();
    for (const breaker of [fast, slow]) expect(() => breaker.admit()).toThrow(refusal(MINUTE));
    await clock.advance(MINUTE - 1);
    for (const breaker of [fast, slow]) expect(() => breaker.admit()).toThrow(refusal(1));
    await clock.advance(1);
    expect(await slow.admit()).toMatchObject({ kind: "probe" });
  });

  it("find out at the claim that it has been closed, and admit all who asked", async () => {
    const { breakers, clock, store } = await opened();
    await clock.advance(MINUTE);
    await overrideBreaker(store, "api", "close");
    const admitted = await Promise.all([breakers[0].admit(), breakers[0].admit()]);
    expect(admitted.map(({ kind }) => kind)).toEqual(["call", "call"]);
  });
});

describe("a shared breaker whose store is away", () => {
  it.each(["fails", "silent"] as const)("(it %s) goes on by itself and catches up", async (fault) => {
    const { clock, join, state, store } = setUp();
    const breaker = join();
    await breaker.sync();
    store.fault = fault;
    for (let time = 0; time < 5; time += 1) breaker.settle(atOnce(breaker), "failure", 10);
    expect(() => breaker.admit()).toThrow(refusal(MINUTE));
    await clock.advance(1000);
    expect(breaker.state.kind).toBe("open");
    store.fault = "none";
    await clock.advance(1000);
    expect(() => breaker.admit()).toThrow(refusal(MINUTE - 2000));
    await clock.settle();
    expect(await state()).toMatchObject({ kind: "open", openedAtMs: clock.now() - 2000 });
    expect(warnings()).toEqual([expect.stringMatching(/^The circuit "api" cannot reach its store and goes on/)]);
  });

  it("says so once for each time that it is away", async () => {
    const { clock, join, store } = setUp();
    const breaker = join();
    for (let outage = 1; outage <= 2; outage += 1) {
      store.fault = "fails";
      for (let time = 0; time < 4; time += 1) {
        atOnce(breaker);
        await clock.advance(1000);
      }
      store.fault = "none";
      await breaker.sync();
      expect(warnings()).toHaveLength(outage);
    }
  });

  it("is asked at most once per refreshMs then, and only so many times without an answer", async () => {
    const { clock, join, store } = setUp({ trip: { kind: "consecutive", failures: 1000 } });
    const breaker = join();
    store.fault = "silent";
    for (let time = 0; time < 5; time += 1) breaker.settle(atOnce(breaker), "failure", 10);
    await clock.advance(1999);
    for (let time = 0; time < 5; time += 1) breaker.settle(atOnce(breaker), "failure", 10);
    await clock.settle();
    expect(store.requests).toHaveLength(1);
    for (let second = 0; second < 100; second += 1) {
      await clock.advance(1000);
      breaker.settle(atOnce(breaker), "failure", 10);
    }
    expect(store.requests).toHaveLength(8);
  });

  it("keeps a due probe waiting for patienceMs at most, once, and then makes probes of its own", async () => {
    const { clock, join, store } = setUp();
    const breaker = join({ patienceMs: 300 });
    await breaker.open();
    await clock.advance(MINUTE);
    store.fault = "silent";
    const asked = Promise.resolve(breaker.admit());
    const second = Promise.allSettled([breaker.admit()]);
    await clock.advance(300);
    const probe = await asked;
    expect(probe).toMatchObject({ kind: "probe" });
    expect(await second).toMatchObject([{ status: "rejected", reason: refusal(0) }]);
    expect(() => breaker.admit()).toThrow(refusal(0));
    await breaker.settle(probe, "success", 10);
    // No time passes any more: nothing waits for the store.
    await call(breaker, "success");
    await call(breaker, "success");
    expect(breaker.state.kind).toBe("closed");
    expect(atOnce(breaker).kind).toBe("call");
  });

  it("takes the store's word when it is back, and does not count the calls of periods that the store never saw", async () => {
    const { clock, join, state, store } = setUp({ halfOpenSuccesses: 1, trip: { kind: "consecutive", failures: 2 } });
    const breaker = join();
    await breaker.sync();
    store.fault = "fails";
    await fail(breaker, 2);
    await clock.advance(MINUTE);
    await call(breaker, "success");
    expect(breaker.state.kind).toBe("closed");
    const alone = atOnce(breaker);
    await call(breaker, "failure");
    store.fault = "none";
    await breaker.sync();
    // Neither what was found before it recovered alone, nor after.
    expect(breaker.state).toMatchObject({ kind: "closed", generation: 0, statistics: [] });
    breaker.settle(alone, "failure", 10);
    expect(breaker.state).toMatchObject({ statistics: [] });
    await call(breaker);
    await clock.settle();
    expect(await state()).toMatchObject({ statistics: [{ failures: 1 }] });
  });

  it("does not take a probe of its own for one of the store that bears the same number", async () => {
    const { clock, join, store } = setUp({ trip: { kind: "consecutive", failures: 2 } });
    const via = store.another();
    const [apart, other] = [join({ via }), join()];
    await apart.sync();
    via.fault = "fails";
    await fail(apart, 2);
    await fail(other, 2);
    await clock.advance(MINUTE);
    const [own, probe] = [await apart.admit(), await other.admit()];
    expect(own).toMatchObject({ kind: "probe", generation: probe.generation, number: 1 });
    via.fault = "none";
    await apart.sync();
    await apart.settle(own, "failure", 10);
    expect(apart.state).toMatchObject({ kind: "half_open", probe: { number: 1 } });
  });

  it("does not take a period of its own for one of the store that bears the same number", async () => {
    const { clock, join, state, store } = setUp({ halfOpenSuccesses: 1, trip: { kind: "consecutive", failures: 2 } });
    const via = store.another();
    const apart = join({ via });
    await apart.sync();
    via.fault = "fails";
    await fail(apart, 2);
    await clock.advance(MINUTE);
    await call(apart, "success");
    const [early, late] = [atOnce(apart), atOnce(apart)];
    apart.settle(early, "failure", 10);
    while ((await overrideBreaker(store, "api", "close")).to.generation < early.generation);
    expect(await state()).toMatchObject({ kind: "closed", generation: early.generation });
    via.fault = "none";
    await apart.sync();
    apart.settle(late, "failure", 10);
    await apart.sync();
    expect(await state()).toMatchObject({ kind: "closed", statistics: [] });
  });

  it("tells the store of its probe when that is back in time", async () => {
    const { clock, join, state, store } = setUp({ halfOpenSuccesses: 1 });
    const breaker = join();
    await breaker.open();
    await clock.advance(MINUTE);
    const probe = await breaker.admit();
    store.fault = "fails";
    await breaker.settle(probe, "success", 10);
    expect(breaker.state.kind).toBe("closed");
    expect(await state().catch(() => "away")).toBe("away");
    store.fault = "none";
    await breaker.sync();
    expect(await state()).toMatchObject({ kind: "closed" });
  });

  it("counts each failure once although the reply to the write was lost, also when others have written since", async () => {
    const { clock, join, state, store } = setUp({ trip: { kind: "consecutive", failures: 100 } });
    const [one, other] = [join(), join()];
    await Promise.all([one.sync(), other.sync()]);
    store.fault = "loses_replies";
    await fail(one, 3);
    await clock.settle();
    store.fault = "none";
    await fail(other, 4);
    await other.sync();
    await fail(one, 2);
    await one.sync();
    await one.sync();
    expect(await state()).toMatchObject({ statistics: [{ failures: 9 }] });
  });

  it("uses the probe that it was granted although it had given up on the answer", async () => {
    const { clock, join, store } = setUp({ halfOpenSuccesses: 1 });
    const breaker = join();
    await breaker.open();
    await clock.advance(MINUTE);
    store.fault = "loses_replies";
    const probe = await breaker.admit();
    store.fault = "none";
    await breaker.settle(probe, "success", 10);
    await breaker.sync();
    expect(breaker.state.kind).toBe("closed");
  });

  it("reports an override that could not be written, and changes nothing", async () => {
    const { join, store } = setUp();
    const breaker = join();
    await breaker.sync();
    store.fault = "fails";
    for (const override of [() => breaker.open(), () => breaker.close(), () => breaker.isolate(), () => breaker.sync()])
      await expect(override()).rejects.toMatchObject({
        code: "BREAKER_STORE",
        message: expect.stringContaining("connection refused"),
        cause: { message: "connection refused" },
      });
    expect(breaker.state.kind).toBe("closed");
  });

  it("is not taken to be away when others were faster until its time was up, but is when it fails then", async () => {
    const { clock, join, store } = setUp();
    const breaker = join();
    await breaker.sync();
    const write = vi.spyOn(store, "write").mockResolvedValueOnce(undefined);
    write.mockReturnValueOnce(new Promise(() => undefined));
    const late = expect(breaker.open()).rejects.toThrow("others were faster each time");
    await clock.advance(1000);
    await late;
    expect(warnings()).toEqual([]);
    write.mockResolvedValueOnce(undefined).mockRejectedValueOnce(new Error("connection refused"));
    await expect(breaker.open()).rejects.toThrow("connection refused");
    expect(warnings()).toHaveLength(1);
  });

  it("gives up on an exchange in which others are faster each time, without counting the store as away", async () => {
    const { join, store } = setUp();
    const breaker = join();
    await breaker.sync();
    const write = vi.spyOn(store, "write").mockResolvedValue(undefined);
    await expect(breaker.open()).rejects.toMatchObject({ code: "BREAKER_STORE" });
    await expect(overrideBreaker(store, "api", "open")).rejects.toMatchObject({ code: "BREAKER_STORE" });
    expect(write.mock.calls.length).toBeLessThanOrEqual(200);
    expect(warnings()).toEqual([]);
  });
});

describe("what is stored of a breaker", () => {
  it.each([
    ["of another version", { v: 2, state: { kind: "closed" } }],
    ["of another shape", { v: 1, state: { kind: "open", openedAtMs: "now" }, applied: [] }],
    ["no object", "open"],
  ])("and is %s is taken for absent, with one warning, and overwritten by the next failure", async (_, value) => {
    const { clock, join, state, store } = setUp();
    await store.put("api", value);
    const breaker = join();
    for (let time = 0; time < 3; time += 1) {
      await breaker.sync();
      await call(breaker, "success");
    }
    expect(breaker.state.kind).toBe("closed");
    expect(warnings()).toEqual([expect.stringMatching(/circuit "api" cannot be read and is taken for absent/)]);
    expect(await state()).toMatchObject({ kind: "unreadable", service: "api", problem: expect.any(String) });
    await call(breaker);
    await clock.settle();
    expect(await state()).toMatchObject({ kind: "closed", statistics: [{ failures: 1 }] });
  });

  it("begins anew when another policy has made its statistics", async () => {
    const { clock, join, state, store } = setUp({ trip: { kind: "ratio", window: { calls: 50 } } });
    await fail(join(), 10);
    await clock.settle();
    const policy = breakerSchema.parse({ trip: { kind: "ratio", window: { ms: 1000 } } });
    await fail(createSharedBreaker("api", policy, { clock, store }), 10);
    await clock.settle();
    expect(await state()).toMatchObject({ kind: "closed", statistics: [{ kind: "time" }] });
  });

  it("does not grow, however many processes and calls there were", async () => {
    const { clock, join, store } = setUp({
      trip: [
        { kind: "consecutive", failures: 1000 },
        { kind: "ratio", ratio: 1 },
        { kind: "slow", slowCallMs: 50 },
      ],
    });
    for (let process = 0; process < 50; process += 1) {
      const breaker = join();
      await call(breaker);
      await call(breaker, "success");
      await clock.settle();
    }
    expect(JSON.stringify(await store.stored("api")).length).toBeLessThan(3000);
  });

  it("is listed by service, with the store's time", async () => {
    const { clock, store } = setUp();
    await overrideBreaker(store, "b", "isolate");
    await overrideBreaker(store, "a", "open");
    expect(await listBreakers(store)).toEqual([
      { kind: "readable", service: "a", state: expect.objectContaining({ kind: "open" }), nowMs: clock.now() },
      { kind: "readable", service: "b", state: expect.objectContaining({ kind: "isolated" }), nowMs: clock.now() },
    ]);
  });
});

describe("an operator at a shared breaker", () => {
  it("isolates it for all from one process, and closes it from another", async () => {
    const { join } = setUp();
    const [one, other] = [join(), join()];
    await one.isolate();
    await other.sync();
    for (const breaker of [one, other]) expect(() => breaker.admit()).toThrow(refusal(undefined));
    await other.close();
    await one.sync();
    for (const breaker of [one, other]) expect(atOnce(breaker).kind).toBe("call");
  });

  it("overrides it by its name, without the policy, and hears what it was before", async () => {
    const { clock, join, store } = setUp();
    const breaker = join();
    expect(await overrideBreaker(store, "api", "isolate")).toEqual({
      from: undefined,
      to: { kind: "isolated", generation: 1, isolatedAtMs: clock.now() },
    });
    await breaker.sync();
    expect(() => breaker.admit()).toThrow(refusal(undefined));
    expect(await overrideBreaker(store, "api", "close")).toMatchObject({
      from: { kind: "isolated" },
      to: { kind: "closed" },
    });
    await clock.advance(1000);
    expect(() => breaker.admit()).toThrow(refusal(undefined));
    await clock.settle();
    expect(atOnce(breaker).kind).toBe("call");
  });
});

describe("the options of sharing", () => {
  it.each([
    [{ refreshMs: -1 }, /"refreshMs" is -1/],
    [{ patienceMs: 0 }, /"patienceMs" is 0/],
    [{ holder: "" }, /"holder" is ""/],
  ])("%j are refused by name", (sharing, message) => {
    expect(() => setUp().join(sharing)).toThrow(message);
  });
});
