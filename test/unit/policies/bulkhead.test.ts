import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { parseOptions } from "../../../src/core/options.js";
import { classifyError } from "../../../src/errors/classify.js";
import { type Bulkhead, type BulkheadOptions, bulkheadSchema, createBulkhead } from "../../../src/policies/bulkhead.js";
import { FakeClock } from "../../support/fake-clock.js";

function bulkhead(options: BulkheadOptions = {}): { readonly slots: Bulkhead; readonly clock: FakeClock } {
  const clock = new FakeClock(0);
  return { clock, slots: createBulkhead("openai", bulkheadSchema.parse(options), { clock }) };
}

/** Notes who is let in, and who is turned away and why, in the order in which they hear of it. */
function callers(slots: Bulkhead) {
  const log: unknown[] = [];
  return {
    log,
    ask(name: string, signal?: AbortSignal): Promise<void> {
      const wait = slots.acquire(signal);
      if (wait === undefined) {
        log.push(name);
        return Promise.resolve();
      }
      return wait.then(
        () => void log.push(name),
        (error: unknown) => void log.push([name, error]),
      );
    },
  };
}

const listeners = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

describe("the options of a bulkhead", () => {
  it("have defaults", () => {
    expect(bulkheadSchema.parse({})).toEqual({ maxConcurrent: 10, maxQueue: 100, queueTimeoutMs: 30_000 });
  });

  it.each([
    [{ maxConcurrent: 0 }, '"maxConcurrent" is 0'],
    [{ maxConcurrent: 1.5 }, '"maxConcurrent" is 1.5'],
    [{ maxQueue: -1 }, '"maxQueue" is -1'],
    [{ queueTimeoutMs: -1 }, '"queueTimeoutMs" is -1'],
    [{ maxWait: 1 }, "maxWait"],
  ])("%j are refused", (given, words) => {
    expect(() => parseOptions("bulkhead", bulkheadSchema, given)).toThrow(words);
  });
});

describe("a free slot", () => {
  it("is taken at once, without a promise, an alarm or a listener", () => {
    const { slots, clock } = bulkhead({ maxConcurrent: 2 });
    const { signal } = new AbortController();
    expect(slots.acquire(signal)).toBeUndefined();
    expect(slots.acquire()).toBeUndefined();
    expect(slots).toMatchObject({ inFlight: 2, queued: 0 });
    expect(clock.alarms).toEqual([]);
    expect(listeners(signal)).toBe(0);
  });

  it("is free again after the release", () => {
    const { slots } = bulkhead({ maxConcurrent: 1 });
    for (let round = 0; round < 3; round += 1) {
      expect(slots.acquire()).toBeUndefined();
      slots.release();
    }
    expect(slots).toMatchObject({ inFlight: 0, queued: 0 });
  });

  it("is not given to a caller whose signal has aborted", async () => {
    const { slots } = bulkhead();
    const reason = new Error("enough");
    await expect(slots.acquire(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(slots.inFlight).toBe(0);
  });
});

describe("callers who find no slot free", () => {
  it("get one in the order in which they came", async () => {
    const { slots, clock } = bulkhead({ maxConcurrent: 1 });
    const { ask, log } = callers(slots);
    for (const name of ["a", "b", "c", "d"]) void ask(name);
    expect(slots).toMatchObject({ inFlight: 1, queued: 3 });
    for (let round = 0; round < 4; round += 1) {
      slots.release();
      await clock.settle();
    }
    expect(log).toEqual(["a", "b", "c", "d"]);
    expect(slots).toMatchObject({ inFlight: 0, queued: 0 });
    expect(clock.alarms).toEqual([]);
  });

  it("are not overtaken by one who comes at the moment a slot is given back", async () => {
    const { slots, clock } = bulkhead({ maxConcurrent: 1 });
    const { ask, log } = callers(slots);
    void ask("a");
    void ask("b");
    slots.release();
    void ask("late");
    expect(slots).toMatchObject({ inFlight: 1, queued: 1 });
    slots.release();
    await clock.settle();
    expect(log).toEqual(["a", "b", "late"]);
  });

  it("are refused at once when the queue is full", async () => {
    const { slots } = bulkhead({ maxConcurrent: 1, maxQueue: 1 });
    slots.acquire();
    void slots.acquire();
    const error: unknown = await slots.acquire()?.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "BULKHEAD_FULL",
      service: "openai",
      message:
        'No slot for "openai": all 1 are taken and 1 callers wait already; ask later, or raise maxConcurrent or maxQueue',
    });
    expect(classifyError(error)).toMatchObject({ category: "rate_limit" });
    expect(slots).toMatchObject({ inFlight: 1, queued: 1 });
  });

  it("are refused at once when there is no queue", async () => {
    const { slots, clock } = bulkhead({ maxConcurrent: 1, maxQueue: 0 });
    slots.acquire();
    await expect(slots.acquire()).rejects.toMatchObject({ code: "BULKHEAD_FULL" });
    expect(clock.alarms).toEqual([]);
  });
});

describe("a wait for a slot", () => {
  it("ends after queueTimeoutMs, each caller's counted from when it came", async () => {
    const { slots, clock } = bulkhead({ maxConcurrent: 1, queueTimeoutMs: 100 });
    const { ask, log } = callers(slots);
    void ask("a");
    void ask("b");
    await clock.advance(60);
    void ask("c");
    await clock.advance(39);
    expect(log).toEqual(["a"]);
    await clock.advance(1);
    expect(log).toEqual(["a", ["b", expect.objectContaining({ code: "BULKHEAD_FULL" })]]);
    expect(String(log.flat().at(-1))).toContain("none of 1 came free within 100 ms");
    expect(slots.queued).toBe(1);
    slots.release();
    await clock.settle();
    expect(log.at(-1)).toBe("c");
    expect(clock.alarms).toEqual([]);
  });

  it("that is over leaves no alarm that could end another", async () => {
    const { slots, clock } = bulkhead({ maxConcurrent: 1, queueTimeoutMs: 100 });
    const { ask, log } = callers(slots);
    void ask("a");
    void ask("b");
    slots.release();
    await clock.advance(1000);
    expect(log).toEqual(["a", "b"]);
    expect(slots).toMatchObject({ inFlight: 1, queued: 0 });
  });

  it("ends at once when the caller's signal aborts, with its reason, no listener and no alarm", async () => {
    const { slots, clock } = bulkhead({ maxConcurrent: 1 });
    const { ask, log } = callers(slots);
    const caller = new AbortController();
    const reason = new Error("enough");
    void ask("a");
    void ask("b", caller.signal);
    expect(listeners(caller.signal)).toBe(1);
    caller.abort(reason);
    expect(slots.queued).toBe(0);
    await clock.settle();
    expect(log).toEqual(["a", ["b", reason]]);
    expect(clock.alarms).toEqual([]);
    expect(listeners(caller.signal)).toBe(0);
  });

  it.each(["a slot", "a timeout"])("that ends with %s lets go of the signal", async (end) => {
    const { slots, clock } = bulkhead({ maxConcurrent: 1, queueTimeoutMs: 100 });
    const { ask, log } = callers(slots);
    const { signal } = new AbortController();
    void ask("a");
    void ask("b", signal);
    if (end === "a slot") slots.release();
    await clock.advance(100);
    expect(log).toHaveLength(2);
    expect(listeners(signal)).toBe(0);
  });

  it("may be given up from anywhere in the queue, and the rest keep their order", async () => {
    const { slots, clock } = bulkhead({ maxConcurrent: 1 });
    const { ask, log } = callers(slots);
    const names = ["first", "a", "b", "c", "d", "e"];
    const controllers = names.map(() => new AbortController());
    for (const [index, name] of names.entries()) void ask(name, controllers[index]?.signal);
    for (const index of [3, 1, 5]) controllers[index]?.abort("gone");
    expect(slots.queued).toBe(2);
    void ask("f");
    for (let round = 0; round < 3; round += 1) slots.release();
    await clock.settle();
    expect(log.filter((entry) => typeof entry === "string")).toEqual(["first", "b", "d", "f"]);
  });

  it("of many under one signal costs one listener, and one abort ends them all", async () => {
    const { slots, clock } = bulkhead({ maxConcurrent: 1, maxQueue: 500 });
    const { ask, log } = callers(slots);
    const run = new AbortController();
    void ask("first");
    for (let index = 0; index < 250; index += 1) void ask(`run ${index}`, run.signal);
    void ask("other");
    expect(listeners(run.signal)).toBe(1);
    run.abort("stopped");
    expect(slots.queued).toBe(1);
    slots.release();
    await clock.settle();
    expect(log).toHaveLength(252);
    expect(log.filter((entry) => typeof entry === "string")).toEqual(["first", "other"]);
    expect(clock.alarms).toEqual([]);
    expect(listeners(run.signal)).toBe(0);
  });
});

describe("a slot that is handed over while the caller gives up", () => {
  it("is the caller's when the abort comes later in the same tick", async () => {
    const { slots, clock } = bulkhead({ maxConcurrent: 1 });
    const { ask, log } = callers(slots);
    const caller = new AbortController();
    void ask("a");
    void ask("b", caller.signal);
    slots.release();
    caller.abort("too late");
    await clock.settle();
    expect(log).toEqual(["a", "b"]);
    expect(slots.inFlight).toBe(1);
    slots.release();
    expect(slots).toMatchObject({ inFlight: 0, queued: 0 });
  });

  it("goes to the next in line when the abort came earlier in the same tick", async () => {
    const { slots, clock } = bulkhead({ maxConcurrent: 1 });
    const { ask, log } = callers(slots);
    const caller = new AbortController();
    void ask("a");
    void ask("b", caller.signal);
    void ask("c");
    caller.abort("gone");
    slots.release();
    await clock.settle();
    expect(log).toEqual(["a", ["b", "gone"], "c"]);
    expect(slots).toMatchObject({ inFlight: 1, queued: 0 });
  });

  it("goes to the next in line when another listener of the same signal gives it back", async () => {
    const { slots, clock } = bulkhead({ maxConcurrent: 1 });
    const { ask, log } = callers(slots);
    const run = new AbortController();
    void ask("a");
    run.signal.addEventListener("abort", () => slots.release());
    void ask("b", run.signal);
    void ask("c", run.signal);
    void ask("d");
    run.abort("stopped");
    await clock.settle();
    expect(log).toEqual(["a", ["b", "stopped"], ["c", "stopped"], "d"]);
    expect(slots).toMatchObject({ inFlight: 1, queued: 0 });
    expect(clock.alarms).toEqual([]);
  });

  it("is free when everybody in line has given up", async () => {
    const { slots, clock } = bulkhead({ maxConcurrent: 1 });
    const { ask } = callers(slots);
    const run = new AbortController();
    void ask("a");
    run.signal.addEventListener("abort", () => slots.release());
    void ask("b", run.signal);
    run.abort("stopped");
    await clock.settle();
    expect(slots).toMatchObject({ inFlight: 0, queued: 0 });
    expect(slots.acquire()).toBeUndefined();
  });
});

describe("a release without a slot", () => {
  it("is refused, and no slot comes of it", () => {
    const { slots } = bulkhead({ maxConcurrent: 1 });
    expect(() => slots.release()).toThrow(RangeError);
    expect(() => slots.release()).toThrow('Bulkhead "openai": release() while no slot is taken');
    slots.acquire();
    slots.release();
    expect(() => slots.release()).toThrow(RangeError);
    expect(slots.acquire()).toBeUndefined();
    expect(slots.acquire()).toBeInstanceOf(Promise);
  });
});
