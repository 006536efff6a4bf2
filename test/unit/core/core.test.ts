import { afterEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { Cancellation, deadlineOf } from "../../../src/core/abort.js";
import { systemClock } from "../../../src/core/clock.js";
import { crashPoint, onCrashPoint } from "../../../src/core/crash-points.js";
import { createEventBus } from "../../../src/core/events.js";
import {
  exhaustedMarks,
  failureOf,
  markExhausted,
  recordFailure,
  takeExhausted,
  takeFailure,
} from "../../../src/core/failures.js";
import { parseOptions } from "../../../src/core/options.js";
import { eventsOf, persistenceOf } from "../../../src/core/persistence-of.js";
import type { FailureRecord } from "../../../src/core/records.js";
import { isUuid, threadIdOf } from "../../../src/core/thread-id.js";
import { FakeClock } from "../../support/fake-clock.js";

afterEach(() => {
  vi.useRealTimers();
  onCrashPoint(undefined);
});

describe("the system clock", () => {
  it("waits as long as it is told, without a timer left", async () => {
    vi.useFakeTimers();
    let done = false;
    void systemClock.sleep(100).then(() => {
      done = true;
    });
    await vi.advanceTimersByTimeAsync(99);
    expect(done).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(done).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends a wait at once on abort, without a timer left", async () => {
    vi.useFakeTimers();
    const controller = new AbortController();
    const reason = new Error("enough");
    const settled = expect(systemClock.sleep(100, controller.signal)).rejects.toBe(reason);
    controller.abort(reason);
    await settled;
    expect(vi.getTimerCount()).toBe(0);
    await expect(systemClock.sleep(100, AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  it("waits longer than a timer can: 25 days and more do not end at once", async () => {
    vi.useFakeTimers();
    let done = false;
    const month = 30 * 24 * 3600 * 1000;
    void systemClock.sleep(month).then(() => {
      done = true;
    });
    await vi.advanceTimersByTimeAsync(month - 1);
    expect(done).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(done).toBe(true);
  });
});

describe("the fake clock of these tests", () => {
  it("ends waits in the order they fall due, each with what it sets off", async () => {
    const clock = new FakeClock(0);
    const order: string[] = [];
    void clock.sleep(20).then(() => order.push(`b at ${clock.now()}`));
    void clock.sleep(10).then(async () => {
      order.push(`a at ${clock.now()}`);
      await clock.sleep(5);
      order.push(`c at ${clock.now()}`);
    });
    expect(clock.pending).toEqual([10, 20]);
    await clock.advance(30);
    expect(order).toEqual(["a at 10", "c at 15", "b at 20"]);
    expect(clock.now()).toBe(30);
  });
});

describe("a cancellation", () => {
  it("aborts with its outer signal, for the same reason, and tells at once", () => {
    const outer = new AbortController();
    const told: unknown[] = [];
    const scope = new Cancellation(outer.signal, (reason) => told.push(reason));
    expect(scope.aborted).toBe(false);
    outer.abort("outer");
    scope.abort("later");
    expect([scope.aborted, scope.reason, scope.signal.reason]).toEqual([true, "outer", "outer"]);
    expect(told).toEqual(["outer"]);
  });

  it("has aborted from the start when its outer signal has, and aborts by itself", () => {
    expect(new Cancellation(AbortSignal.abort("before")).signal.reason).toBe("before");
    const own = new Cancellation();
    const { signal } = own;
    own.abort("own");
    expect(signal.reason).toBe("own");
  });

  it("lets go of its outer signal, by itself once it has aborted", () => {
    const outer = new AbortController();
    const scope = new Cancellation(outer.signal);
    scope.dispose();
    outer.abort();
    expect(scope.signal.aborted).toBe(false);
    const spied = new AbortController();
    let removed = 0;
    spied.signal.removeEventListener = () => {
      removed += 1;
    };
    new Cancellation(spied.signal).abort("own");
    expect(removed).toBe(1);
  });

  it("passes a deadline on to everything beneath it, and the earlier one wins", () => {
    const outer = new Cancellation(undefined, undefined, 500);
    expect(deadlineOf(outer.signal)).toBe(500);
    expect(deadlineOf(new Cancellation(outer.signal).signal)).toBe(500);
    expect(new Cancellation(outer.signal, undefined, 900).deadlineAt).toBe(500);
    expect(new Cancellation(outer.signal, undefined, 100).deadlineAt).toBe(100);
    expect(deadlineOf(new AbortController().signal)).toBeUndefined();
    expect(deadlineOf(undefined)).toBeUndefined();
  });
});

describe("options", () => {
  const schema = z.strictObject({ retry: z.strictObject({ maxAttempts: z.int().min(1).default(4) }).prefault({}) });

  it("get their defaults", () => {
    expect(parseOptions("x", schema, undefined)).toEqual({ retry: { maxAttempts: 4 } });
  });

  it.each([
    [{ retry: { maxAttempts: 0 } }, 'resilient(a): option "retry.maxAttempts" is 0: '],
    [{ retry: { maxAttempts: "many" } }, 'option "retry.maxAttempts" is "many": '],
    [{ retry: () => 1 }, 'option "retry" is a function: '],
    [{ speed: 1 }, 'resilient(a): Unrecognized key: "speed"'],
  ])("%j are refused by name and value", (given, words) => {
    expect(() => parseOptions("resilient(a)", schema, given)).toThrow(words);
    expect(() => parseOptions("resilient(a)", schema, given)).toThrow(expect.objectContaining({ code: "CONFIG" }));
  });

  it("that cannot be printed are refused all the same", () => {
    const round: Record<string, unknown> = {};
    round.self = round;
    expect(() => parseOptions("x", schema, { retry: { maxAttempts: round } })).toThrow(
      expect.objectContaining({ code: "CONFIG" }),
    );
    expect(() => parseOptions("x", schema, { retry: { maxAttempts: 1n } })).toThrow(
      expect.objectContaining({ code: "CONFIG" }),
    );
  });
});

describe("the event bus", () => {
  it("puts each event into an envelope, and ends a subscription", () => {
    const bus = createEventBus(() => 7);
    const seen: unknown[] = [];
    const end = bus.subscribe((event) => seen.push(event));
    bus.emit("node.started", { node: "a", threadId: "t" }, {});
    end();
    bus.emit("node.started", { node: "b" }, {});
    expect(seen).toEqual([{ v: 1, type: "node.started", at: 7, node: "a", threadId: "t" }]);
  });

  it("keeps a subscriber that throws from harming the others", async () => {
    const bus = createEventBus(() => 7);
    const seen: string[] = [];
    const warned = new Promise((resolve) => process.once("warning", resolve));
    bus.subscribe(() => {
      throw new Error("broken subscriber");
    });
    bus.subscribe((event) => seen.push(event.type));
    bus.emit("run.started", {}, { resumed: false });
    expect(seen).toEqual(["run.started"]);
    expect(String(await warned)).toContain("broken subscriber");
  });

  it.each([
    ["an async subscriber", async () => Promise.reject(new Error("late subscriber"))],
    // biome-ignore lint/suspicious/noThenProperty: a promise of another library
    ["a thenable", () => ({ then: (_: unknown, no: (error: Error) => void) => no(new Error("late subscriber")) })],
    ["one that rejects with what cannot be printed", () => Promise.reject(Object.create(null))],
  ])("reports %s that rejects as it does one that throws", async (_, listener) => {
    const unhandled = vi.fn();
    process.on("unhandledRejection", unhandled);
    try {
      const bus = createEventBus(() => 7);
      const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
      bus.subscribe(listener);
      bus.emit("run.started", {}, { resumed: false });
      const warning = await warned;
      expect(warning.name).toBe("ResilienceWarning");
      expect(warning.message).toMatch(/^A subscriber of "run.started" events threw: .*(late subscriber|not an Error)/);
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).not.toHaveBeenCalled();
    } finally {
      process.off("unhandledRejection", unhandled);
    }
  });

  it("of a checkpointer is one and the same, and no other's", () => {
    const [one, two] = [{}, {}];
    expect(eventsOf(one)).toBe(eventsOf(one));
    expect(eventsOf(one)).not.toBe(eventsOf(two));
    expect(persistenceOf(one)).toBeUndefined();
    expect(persistenceOf(null)).toBeUndefined();
  });
});

describe("thread names", () => {
  it("stand for the version 5 UUID that RFC 9562 makes of them, for ever", () => {
    expect(threadIdOf("q3")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(threadIdOf("q3")).toBe(threadIdOf("q3"));
    expect(threadIdOf("q3")).not.toBe(threadIdOf("q4"));
    expect(threadIdOf("order-17"), "a change here loses every named thread").toMatchInlineSnapshot(
      `"a9e9d44b-1665-5ca5-a8f8-dad639d2a1db"`,
    );
  });

  it("that are UUIDs stand for themselves", () => {
    const id = "01234567-89AB-cdef-0123-456789abcdef";
    expect(isUuid(id)).toBe(true);
    expect(threadIdOf(id)).toBe(id.toLowerCase());
    expect(isUuid(`${id}0`)).toBe(false);
  });
});

describe("facts about errors", () => {
  const record = (node: string) => ({ node }) as FailureRecord;

  it("are kept beside the error, apart by where it was thrown, and taken once", () => {
    const shared = new Error("shared");
    recordFailure(shared, record("a"), "a:1");
    recordFailure(shared, record("b"), "b:1");
    expect(failureOf(shared)).toEqual({ node: "b" });
    expect(takeFailure(shared, "a:1")).toEqual({ node: "a" });
    expect(takeFailure(shared, "a:1")).toBeUndefined();
    expect(takeFailure(shared, "b:1")).toEqual({ node: "b" });
    expect(failureOf(shared)).toBeUndefined();
    expect(failureOf("text")).toBeUndefined();
  });

  it("do not pile up on an error that lives for ever", () => {
    const eternal = new Error("eternal");
    for (let round = 0; round < 5000; round += 1) recordFailure(eternal, record(String(round)), String(round));
    expect(takeFailure(eternal, "0")).toBeUndefined();
    expect(takeFailure(eternal, "4999")).toEqual({ node: "4999" });
  });

  it("an exhausted one is told once, beneath wrappers too", () => {
    const cause = new Error("cause");
    markExhausted(cause);
    expect(takeExhausted(new Error("outer", { cause }))).toBe(true);
    expect(takeExhausted(cause)).toBe(false);
    markExhausted(cause);
    const since = exhaustedMarks();
    expect(takeExhausted(cause, since), "a mark of an earlier call").toBe(false);
    markExhausted(cause);
    expect(takeExhausted(cause, since)).toBe(true);
    const round = new Error("round") as Error & { cause?: unknown };
    round.cause = round;
    expect(takeExhausted(round)).toBe(false);
  });
});

describe("crash points", () => {
  it("do nothing unless armed, and then tell each passage", () => {
    const passed: string[] = [];
    crashPoint("checkpoint.put.before");
    onCrashPoint((point) => passed.push(point));
    crashPoint("checkpoint.put.after");
    onCrashPoint(undefined);
    crashPoint("checkpoint.put.before");
    expect(passed).toEqual(["checkpoint.put.after"]);
  });
});
