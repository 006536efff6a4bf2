/** The canonical order of what stands around one attempt: circuit breaker → bulkhead → rate limit → time limit. */
import { describe, expect, it } from "vitest";
import type { AttemptRecord } from "../../../src/core/records.js";
import { DeadlineExceededError } from "../../../src/errors/policy-errors.js";
import { type GuardedCall, guardedCall } from "../../../src/policies/guarded-call.js";
import { retry } from "../../../src/policies/retry.js";
import { type RetryOptions, retrySchema } from "../../../src/policies/retry-options.js";
import type { RunningAttempt } from "../../../src/policies/running-attempt.js";
import { createService, type ServiceOptions, serviceSchema } from "../../../src/policies/service.js";
import { timeoutSchema } from "../../../src/policies/timeout.js";
import { FakeClock } from "../../support/fake-clock.js";
import { badInput, unavailable } from "../../support/graphs.js";

type Work<T> = (attempt: RunningAttempt) => Promise<T>;

const AFTER_ONE = { trip: { kind: "consecutive", failures: 1 }, recoveryMs: 1000, halfOpenSuccesses: 1 } as const;

function serviceWith(options: Omit<ServiceOptions, "clock">) {
  const clock = new FakeClock();
  const guards = createService("svc", serviceSchema.parse({ circuitBreaker: false, ...options, clock })).guards();
  const callOf = (more: Partial<GuardedCall> = {}): GuardedCall => ({
    what: () => "Call",
    timeout: timeoutSchema.parse({ baseMs: 10_000 }),
    guards,
    clock,
    ...more,
  });
  return {
    clock,
    guards,
    /** One attempt. */
    once: <T>(work: Work<T>, more?: Partial<GuardedCall>) =>
      guardedCall(work, { number: 1, failures: [] } satisfies RunningAttempt, callOf(more)),
    /** As many as the category allows, with waits of a second, two and four. */
    retried<T>(work: Work<T>, options: RetryOptions = {}) {
      const records: AttemptRecord[] = [];
      const outcome = retry(
        (attempt) => guardedCall(work, attempt, callOf()),
        retrySchema.parse({ jitter: "none", ...options }),
        {
          clock,
          random: () => 0.5,
          step: "node",
          sleep: (ms) => clock.sleep(ms),
          onFailure: (record) => void records.push(record),
        },
      ).then(
        (result) => ({ result }),
        (error: unknown) => ({ error }),
      );
      return { records, outcome };
    },
  };
}

const answer = async () => "answer";
const failing = (error: unknown) => async (): Promise<never> => {
  throw error;
};
const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => "answered",
    (error: { code?: string; status?: number; name?: string }) => error.code ?? error.status ?? error.name,
  );

describe("without guards", () => {
  it("there is the time limit alone", async () => {
    const clock = new FakeClock();
    const call = guardedCall(
      () => new Promise<never>(() => undefined),
      { number: 2, failures: [] },
      { what: () => "Call", timeout: timeoutSchema.parse({ baseMs: 100 }), guards: undefined, clock },
    );
    const code = codeOf(call);
    expect(clock.alarms).toEqual([200]);
    await clock.advance(200);
    expect(await code).toBe("ATTEMPT_TIMEOUT");
  });
});

describe("a wait between attempts", () => {
  it("holds no slot", async () => {
    const { clock, guards, retried } = serviceWith({ bulkhead: { maxConcurrent: 1, maxQueue: 0 } });
    let fails = true;
    const waiting = retried(async () => {
      if (fails) throw unavailable();
      return "first";
    });
    await clock.settle();
    expect(clock.pending).toEqual([1000]);
    expect(guards.bulkhead?.inFlight).toBe(0);
    expect(await retried(answer).outcome).toEqual({ result: "answer" });
    fails = false;
    await clock.advance(1000);
    expect(await waiting.outcome).toEqual({ result: "first" });
    expect(guards.bulkhead?.inFlight).toBe(0);
  });
});

describe("the circuit breaker", () => {
  it("sees every attempt, and an open one is not asked again", async () => {
    const { clock, guards, retried } = serviceWith({ circuitBreaker: { trip: { kind: "consecutive", failures: 3 } } });
    let calls = 0;
    const { outcome, records } = retried(
      async () => {
        calls += 1;
        throw unavailable();
      },
      { maxAttempts: 10, categories: { server_error: { retries: 9 } } },
    );
    await clock.advance(100_000);
    expect(await outcome).toMatchObject({ error: { code: "CIRCUIT_OPEN" } });
    expect(calls).toBe(3);
    expect(guards.breaker?.state.kind).toBe("open");
    expect(records.map((record) => record.report.category)).toEqual([
      "server_error",
      "server_error",
      "server_error",
      "model_unavailable",
    ]);
    expect(records.at(-1), "the refusal comes at once and has no successor").toMatchObject({ durationMs: 0 });
    expect(records.at(-1)?.delayMs).toBeUndefined();
  });

  it("refuses before a slot, or room, is taken", async () => {
    const { guards, once } = serviceWith({
      circuitBreaker: AFTER_ONE,
      bulkhead: { maxConcurrent: 1, maxQueue: 0 },
      rateLimit: { requestsPerMinute: 10 },
    });
    await codeOf(once(failing(unavailable())));
    expect(await codeOf(once(answer))).toBe("CIRCUIT_OPEN");
    expect(guards.rateLimit?.room.requests, "one was used, by the call that was made").toBe(9);
    expect(guards.bulkhead?.inFlight).toBe(0);
  });

  it("counts only what speaks of the service's health", async () => {
    const { guards, once } = serviceWith({ circuitBreaker: AFTER_ONE });
    expect(await codeOf(once(failing(badInput())))).toBe(422);
    expect(await codeOf(once(failing({ is_bubble_up: true, code: "an interrupt" })))).toBe("an interrupt");
    expect(await codeOf(once(failing(new TypeError("x is undefined"))))).toBe("TypeError");
    expect(guards.breaker?.state.kind).toBe("closed");
    expect(await codeOf(once(failing(unavailable())))).toBe(503);
    expect(guards.breaker?.state).toMatchObject({ kind: "open", why: { last: { category: "server_error" } } });
  });

  it("goes by what the caller takes a failure for", async () => {
    const { guards, once } = serviceWith({ circuitBreaker: { ...AFTER_ONE, counts: ["tool_execution"] } });
    const mine = failing(new Error("nothing is known of it"));
    await codeOf(once(mine));
    expect(guards.breaker?.state.kind).toBe("closed");
    const classify = () => ({ category: "tool_execution", retryable: true, message: "the tool's own" }) as const;
    await codeOf(once(mine, { classify }));
    expect(guards.breaker?.state).toMatchObject({ kind: "open", why: { last: { category: "tool_execution" } } });
  });

  it("counts an attempt that ran into its time limit", async () => {
    const { clock, guards, once } = serviceWith({ circuitBreaker: AFTER_ONE });
    const code = codeOf(once(() => clock.sleep(20_000)));
    await clock.advance(10_000);
    expect(await code).toBe("ATTEMPT_TIMEOUT");
    expect(guards.breaker?.state.kind).toBe("open");
  });

  it("counts a caller that gave up as nothing, also one that had little time", async () => {
    const { clock, guards, once } = serviceWith({ circuitBreaker: AFTER_ONE });
    const aborted = async (reason: unknown) => {
      const abort = new AbortController();
      const code = codeOf(once((attempt) => clock.sleep(9000, attempt.scope?.signal), { signal: abort.signal }));
      await clock.settle();
      abort.abort(reason);
      return await code;
    };
    expect(await aborted(new DOMException("enough", "AbortError"))).toBe(20);
    expect(guards.breaker?.state.kind).toBe("closed");
    expect(await aborted(new DeadlineExceededError("All", 5))).toBe("DEADLINE_EXCEEDED");
    expect(guards.breaker?.state.kind).toBe("closed");
  });

  it("measures the call, not the queues before it", async () => {
    const slow = { kind: "slow", slowCallMs: 1000, minimumCalls: 1, ratio: 1, window: { calls: 1 } } as const;
    const { clock, guards, once } = serviceWith({ circuitBreaker: { trip: slow }, bulkhead: { maxConcurrent: 1 } });
    const first = codeOf(once(() => clock.sleep(900)));
    const second = codeOf(once(() => clock.sleep(900)));
    await clock.advance(1800);
    expect([await first, await second]).toEqual(["answered", "answered"]);
    expect(guards.breaker?.state.kind, "1800 ms from its start, 900 of them in the queue").toBe("closed");
    const third = codeOf(once(() => clock.sleep(1100)));
    await clock.advance(1100);
    await third;
    expect(guards.breaker?.state.kind).toBe("open");
  });

  it("gives a probe the time its attempt has, and some for the way back", async () => {
    const { clock, guards, once } = serviceWith({ circuitBreaker: { ...AFTER_ONE, probeLeaseMs: 1 } });
    await codeOf(once(failing(unavailable())));
    await clock.advance(1000);
    const probe = codeOf(once(() => clock.sleep(9000)));
    await clock.settle();
    expect(guards.breaker?.state).toMatchObject({
      kind: "half_open",
      probe: { leaseEndsAtMs: clock.now() + 10_000 + 5000 },
    });
    await clock.advance(8000);
    expect(await codeOf(once(answer)), "one probe at a time").toBe("CIRCUIT_OPEN");
    await clock.advance(1000);
    expect(await probe).toBe("answered");
    expect(guards.breaker?.state.kind).toBe("closed");
  });

  it("is left to its own lease where the attempt has no limit", async () => {
    const { clock, guards, once } = serviceWith({ circuitBreaker: { ...AFTER_ONE, probeLeaseMs: 7000 } });
    await codeOf(once(failing(unavailable())));
    await clock.advance(1000);
    void once(() => new Promise<never>(() => undefined), { timeout: false });
    await clock.settle();
    expect(guards.breaker?.state).toMatchObject({ probe: { leaseEndsAtMs: clock.now() + 7000 } });
  });

  it("has its probe back, uncounted, when the call was never made", async () => {
    const { clock, guards, once } = serviceWith({
      circuitBreaker: AFTER_ONE,
      bulkhead: { maxConcurrent: 1, maxQueue: 0 },
    });
    const taken = codeOf(once(() => clock.sleep(5000)));
    await codeOf(once(failing(unavailable())));
    guards.breaker?.open();
    await clock.advance(1000);
    expect(await codeOf(once(answer))).toBe("BULKHEAD_FULL");
    expect(guards.breaker?.state).toMatchObject({ kind: "half_open", probe: null, successes: 0 });
    await clock.advance(4000);
    await taken;
    expect(await codeOf(once(answer)), "the next call is the probe").toBe("answered");
    expect(guards.breaker?.state.kind).toBe("closed");
  });
});

describe("a refused slot, or room", () => {
  it.each<[string, Omit<ServiceOptions, "clock">, string]>([
    ["slot", { bulkhead: { maxConcurrent: 1, maxQueue: 0 } }, "BULKHEAD_FULL"],
    ["room", { rateLimit: { requestsPerMinute: 1, maxQueue: 0 } }, "RATE_LIMITED"],
  ])("is no failure of the service (%s)", async (_, options, code) => {
    const { clock, guards, once } = serviceWith({
      circuitBreaker: { ...AFTER_ONE, counts: ["rate_limit", "server_error"] },
      ...options,
    });
    const first = codeOf(once(() => clock.sleep(1000)));
    expect(await codeOf(once(answer))).toBe(code);
    expect(guards.breaker?.state.kind).toBe("closed");
    await clock.advance(1000);
    expect(await first).toBe("answered");
  });

  it("is waited for as a rate limit, with no slot held and for as long as it takes", async () => {
    const { clock, guards, once, retried } = serviceWith({
      bulkhead: { maxConcurrent: 1 },
      rateLimit: { requestsPerMinute: 1, burst: 1, maxQueue: 0 },
    });
    await once(answer);
    const { outcome } = retried(answer);
    await clock.settle();
    expect(clock.pending, "until there is room").toEqual([60_000]);
    expect(guards.bulkhead?.inFlight).toBe(0);
    await clock.advance(60_000);
    expect(await outcome).toEqual({ result: "answer" });
  });

  it("leaves no slot taken when the room is refused, or cannot be told", async () => {
    const { guards, once } = serviceWith({ bulkhead: { maxConcurrent: 1 }, rateLimit: { tokensPerMinute: 10 } });
    const estimatedTokens = () => {
      throw new TypeError("cannot estimate");
    };
    expect(await codeOf(once(answer, { estimatedTokens }))).toBe("TypeError");
    expect(guards.bulkhead?.inFlight).toBe(0);
    expect(await codeOf(once(answer))).toBe("answered");
  });
});

describe("time in a queue", () => {
  it("is not the attempt's", async () => {
    const { clock, once } = serviceWith({ bulkhead: { maxConcurrent: 1, queueTimeoutMs: 60_000 } });
    const first = codeOf(once(() => clock.sleep(9000)));
    const second = codeOf(once(() => clock.sleep(9000)));
    await clock.advance(18_000);
    expect([await first, await second]).toEqual(["answered", "answered"]);
  });

  it("ends when the caller gives up, and passes the slot on", async () => {
    const { clock, guards, once } = serviceWith({ bulkhead: { maxConcurrent: 1 } });
    const abort = new AbortController();
    let called = false;
    const first = codeOf(once(() => clock.sleep(1000)));
    const waiting = codeOf(
      once(
        async () => {
          called = true;
        },
        { signal: abort.signal },
      ),
    );
    await clock.settle();
    abort.abort(Object.assign(new Error("enough"), { code: "ENOUGH" }));
    expect(await waiting).toBe("ENOUGH");
    await clock.advance(1000);
    await first;
    expect(called).toBe(false);
    expect(guards.bulkhead).toMatchObject({ inFlight: 0, queued: 0 });
  });
});

describe("tokens", () => {
  it("are taken by estimate, and corrected by what the attempt used, also where it failed", async () => {
    const { guards, once } = serviceWith({ rateLimit: { tokensPerMinute: 1000 } });
    const using = (tokens: number, error?: Error) => async (attempt: RunningAttempt) => {
      attempt.usedTokens = tokens;
      if (error !== undefined) throw error;
    };
    await once(using(100), { estimatedTokens: () => 300 });
    expect(guards.rateLimit?.room.tokens).toBe(900);
    await codeOf(once(using(400, unavailable()), { estimatedTokens: () => 300 }));
    expect(guards.rateLimit?.room.tokens).toBe(500);
    await once(answer, { estimatedTokens: () => 200 });
    expect(guards.rateLimit?.room.tokens, "nobody counted: the estimate stands").toBe(300);
  });
});

describe("an attempt", () => {
  it("holds its slot until it is over, not until its work listens", async () => {
    const { clock, guards, once } = serviceWith({ bulkhead: { maxConcurrent: 1 } });
    const code = codeOf(once(() => new Promise<never>(() => undefined)));
    await clock.advance(9999);
    expect(guards.bulkhead?.inFlight).toBe(1);
    await clock.advance(1);
    expect(await code).toBe("ATTEMPT_TIMEOUT");
    expect(guards.bulkhead?.inFlight).toBe(0);
  });

  it("leaves no alarm behind, however it ends", async () => {
    const { clock, once } = serviceWith({ circuitBreaker: {}, bulkhead: {}, rateLimit: { requestsPerMinute: 100 } });
    const timeout = timeoutSchema.parse({ baseMs: 1000, firstTokenMs: 100, idleMs: 10 });
    await once(answer, { timeout });
    await codeOf(once(failing(unavailable()), { timeout }));
    const code = codeOf(once(() => new Promise<never>(() => undefined), { timeout }));
    await clock.advance(100);
    expect(await code).toBe("FIRST_TOKEN_TIMEOUT");
    expect(clock.alarms).toEqual([]);
  });
});
