import { afterEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { Cancellation, cancellationOf, unlessAborted } from "../../../src/core/abort.js";
import { beforeClose, isClosing, settleBeforeClose } from "../../../src/core/before-close.js";
import { systemClock } from "../../../src/core/clock.js";
import { crashPoint, onCrashPoint } from "../../../src/core/crash-points.js";
import { createEventBus } from "../../../src/core/events.js";
import {
  exhaustedMarks,
  failureOf,
  isExhausted,
  markExhausted,
  recordFailure,
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
    const scope = new Cancellation({ outer: outer.signal, onAbort: (reason) => told.push(reason) });
    expect(scope.aborted).toBe(false);
    outer.abort("outer");
    scope.abort("later");
    expect([scope.aborted, scope.reason, scope.signal.reason]).toEqual([true, "outer", "outer"]);
    expect(told).toEqual(["outer"]);
  });

  it("has aborted from the start when its outer signal has, and aborts by itself", () => {
    expect(new Cancellation({ outer: AbortSignal.abort("before") }).signal.reason).toBe("before");
    const own = new Cancellation();
    const { signal } = own;
    own.abort("own");
    expect(signal.reason).toBe("own");
  });

  it("shares one listener with all others of its outer signal, and lets go when the last has ended", () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...parameters: Parameters<typeof addEventListener>) => {
      listeners += 1;
      addEventListener.apply(signal, parameters);
    };
    signal.removeEventListener = (...parameters: Parameters<typeof removeEventListener>) => {
      listeners -= 1;
      removeEventListener.apply(signal, parameters);
    };
    const scopes = Array.from({ length: 20 }, () => new Cancellation({ outer: signal }));
    expect(listeners).toBe(1);
    for (const scope of scopes.slice(1)) scope.dispose();
    expect(listeners).toBe(1);
    scopes[0]?.abort("own");
    expect(listeners).toBe(0);
  });

  it("passes a deadline on to everything beneath it, and the earlier one wins", () => {
    const outer = new Cancellation({ deadlineAt: 500 });
    expect(cancellationOf(outer.signal)).toBe(outer);
    expect(new Cancellation({ outer: outer.signal }).deadlineAt).toBe(500);
    expect(new Cancellation({ outer: outer.signal, deadlineAt: 900 }).deadlineAt).toBe(500);
    expect(new Cancellation({ outer: outer.signal, deadlineAt: 100 }).deadlineAt).toBe(100);
    expect(new Cancellation({ outer: new AbortController().signal, within: outer }).deadlineAt).toBe(500);
    expect(cancellationOf(new AbortController().signal)).toBeUndefined();
    expect(cancellationOf(undefined)).toBeUndefined();
  });

  it("tells everything further out of effects and of degraded answers, and nothing further in", () => {
    const outer = new Cancellation();
    const middle = new Cancellation({ outer: outer.signal });
    const inner = new Cancellation({ outer: middle.signal });
    middle.noteEffect("charge");
    middle.noteDegraded();
    expect([outer, middle, inner].map((one) => [...(one.effects ?? [])])).toEqual([["charge"], ["charge"], []]);
    expect([outer, middle, inner].map((one) => one.effectsOfItsOwn)).toEqual([0, 1, 0]);
    expect([outer, middle, inner].map((one) => one.degraded)).toEqual([true, true, false]);
  });

  it("holds the service that it, or something further out, was admitted to", () => {
    const service = {};
    const outer = new Cancellation({ holds: service });
    expect(new Cancellation({ outer: outer.signal }).holds(service)).toBe(true);
    expect(new Cancellation({ outer: outer.signal }).holds({})).toBe(false);
  });
});

describe("waiting unless aborted", () => {
  it("gives the result or the failure, and leaves the signal alone", async () => {
    const { signal } = new AbortController();
    expect(await unlessAborted(Promise.resolve(1), signal)).toBe(1);
    expect(await unlessAborted(Promise.resolve(1), undefined)).toBe(1);
    await expect(unlessAborted(Promise.reject(new Error("x")), signal)).rejects.toThrow("x");
  });

  it("ends at once with the signal's reason", async () => {
    const controller = new AbortController();
    const waiting = unlessAborted(new Promise(() => undefined), controller.signal);
    controller.abort("enough");
    await expect(waiting).rejects.toBe("enough");
    await expect(unlessAborted(new Promise(() => undefined), controller.signal)).rejects.toBe("enough");
  });
});

describe("closing", () => {
  it("waits for what is to be written before, warns of what cannot be, and asks once", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const persistence = {};
    let written = 0;
    beforeClose(persistence, async () => {
      await Promise.resolve();
      written += 1;
    });
    beforeClose(persistence, () => Promise.reject(new Error('how "api" did (no answer)')));
    await settleBeforeClose(persistence);
    await settleBeforeClose(persistence);
    expect(written).toBe(1);
    expect(warned.mock.calls.map(([text]) => text)).toEqual([
      'On closing, what other processes should know could not be written: how "api" did (no answer)',
    ]);
    warned.mockRestore();
  });

  it("asks nobody who has taken it back, and of a persistence that was not used only who would go on for ever", async () => {
    const asked: string[] = [];
    const hook = (name: string) => async () => void asked.push(name);
    const persistence = {};
    beforeClose(persistence, hook("writes"));
    beforeClose(persistence, hook("goes on"), { evenUnused: true });
    beforeClose(persistence, hook("is over"), { evenUnused: true })();
    expect(isClosing(persistence)).toBe(false);
    await settleBeforeClose(persistence, false);
    expect(asked).toEqual(["goes on"]);
    expect(isClosing(persistence)).toBe(true);
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

  it("an exhausted one is known for one, beneath wrappers and among several too, by all who wait for it", () => {
    const cause = new Error("cause");
    const since = exhaustedMarks();
    markExhausted(cause);
    for (const error of [cause, new Error("outer", { cause }), new AggregateError([new Error("other"), cause])]) {
      expect(isExhausted(error, since)).toBe(true);
      expect(isExhausted(error, exhaustedMarks()), "a mark of an earlier call").toBe(false);
    }
    const round = new Error("round") as Error & { cause?: unknown };
    round.cause = round;
    expect(isExhausted(round)).toBe(false);
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
