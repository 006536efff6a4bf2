import { describe, expect, expectTypeOf, it } from "vitest";
import type { AttemptRecord } from "../../../src/core/records.js";
import type { ResultCache } from "../../../src/core/store-ports.js";
import type { ErrorReport } from "../../../src/errors/report.js";
import { createMemoryCache } from "../../../src/persistence/memory-cache.js";
import { type ProtectedCall, type ProtectOptions, protect } from "../../../src/policies/protect.js";
import { FakeClock } from "../../support/fake-clock.js";
import { errno, failures, httpError, unavailable } from "../../support/graphs.js";

const LONG_MS = 10_000_000;
const never = () => new Promise<never>(() => undefined);

type Given<I, O, F> = ProtectOptions<I, O, F>;

/** Waits without jitter on a clock that stands still. */
function onFakeClock<I, O, F = O>(
  fn: (input: I, call: ProtectedCall) => O | Promise<O>,
  options: Given<I, O, F> = {},
  clock = new FakeClock(),
) {
  const retry = options.retry === false ? false : { jitter: "none" as const, ...options.retry };
  return { clock, guarded: protect<I, O, F>(fn, { clock, ...options, retry }) };
}

/** What becomes of a call once more time has passed than any policy waits. */
async function outcomeOf<T>(clock: FakeClock, call: Promise<T>): Promise<{ result?: T; error?: unknown }> {
  const settled = call.then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  );
  await clock.advance(LONG_MS);
  return await settled;
}

const failing = (error: unknown) => async (): Promise<never> => {
  throw error;
};

/** Answers "done" after so many failures. */
function flaky(times: number, error = unavailable) {
  const counted = failures({ fn: times }, error);
  const fn = async (_: string): Promise<string> => {
    counted.pass("fn");
    return "done";
  };
  return { counted, fn };
}

describe("a protected function", () => {
  it("is given the input and answers as it did, under its own name", async () => {
    async function lookUp(id: string): Promise<string> {
      return `order ${id}`;
    }
    const guarded = protect(lookUp);
    expect(guarded.name).toBe("lookUp");
    expect(await guarded("17")).toBe("order 17");
  });

  it("may be sync, and may throw at once", async () => {
    expect(await protect((n: number) => n + 1)(1)).toBe(2);
    const thrown = httpError(401);
    const sync = protect((_: number): number => {
      throw thrown;
    });
    await expect(sync(1)).rejects.toBe(thrown);
  });

  it("is told which attempt it is, what failed before, and when to stop", async () => {
    const seen: unknown[] = [];
    const { clock, guarded } = onFakeClock(async (_: string, call) => {
      seen.push([call.attempt, call.failures.map((one) => one.report.status), call.signal.aborted]);
      if (call.attempt < 3) throw unavailable();
      return "done";
    });
    expect(await outcomeOf(clock, guarded("x"))).toEqual({ result: "done" });
    expect(seen).toEqual([
      [1, [], false],
      [2, [503], false],
      [3, [503, 503], false],
    ]);
  });

  it("leaves no alarm and no wait behind", async () => {
    const { clock, guarded } = onFakeClock(flaky(1).fn, { timeout: { deadlineMs: 60_000, idleMs: 500 } });
    const call = guarded("x");
    await clock.advance(1000);
    expect(await call).toBe("done");
    expect(clock.alarms).toEqual([]);
    expect(clock.pending).toEqual([]);
  });
});

describe("what the function is told with", () => {
  it("may be taken apart", async () => {
    const records: AttemptRecord[] = [];
    const { clock, guarded } = onFakeClock(
      async (_: string, { attempt, signal, heartbeat, beginEffect, usedTokens }) => {
        heartbeat();
        usedTokens(3);
        beginEffect(`charge ${attempt} ${signal.aborted}`);
        throw unavailable();
      },
      { timeout: { idleMs: 10 }, onFailedAttempt: (record) => void records.push(record) },
    );
    await outcomeOf(clock, guarded("x"));
    expect(records).toMatchObject([{ effects: ["charge 1 false"] }]);
  });

  it("refuses a number of tokens that cannot be counted", async () => {
    const { clock, guarded } = onFakeClock(async (tokens: number, call) => call.usedTokens(tokens));
    expect(await outcomeOf(clock, guarded(-1))).toMatchObject({ error: { name: "RangeError" } });
    expect(await outcomeOf(clock, guarded(Number.NaN))).toMatchObject({ error: { name: "RangeError" } });
  });
});

describe("retry", () => {
  it("tries again as the category allows", async () => {
    const { counted, fn } = flaky(99);
    const { clock, guarded } = onFakeClock(fn);
    expect(await outcomeOf(clock, guarded("x"))).toMatchObject({ error: { status: 503 } });
    expect(counted.calls.fn).toBe(4);
    expect(clock.begun).toEqual([1000, 2000, 4000]);
  });

  it("waits no less than Retry-After asks for", async () => {
    const limited = () => Object.assign(httpError(429), { headers: { "retry-after": "7" } });
    const { clock, guarded } = onFakeClock(flaky(1, limited).fn);
    expect(await outcomeOf(clock, guarded("x"))).toEqual({ result: "done" });
    expect(clock.begun).toEqual([7000]);
  });

  it("tells of each failed attempt before the wait begins", async () => {
    const records: AttemptRecord[] = [];
    const { clock, guarded } = onFakeClock(flaky(1).fn, { onFailedAttempt: (record) => void records.push(record) });
    const call = guarded("x");
    await clock.settle();
    expect(records).toMatchObject([{ number: 1, step: "node", delayMs: 1000, report: { category: "server_error" } }]);
    expect(clock.pending).toEqual([1000]);
    await outcomeOf(clock, call);
    expect(records).toHaveLength(1);
  });

  it("switched off makes one attempt", async () => {
    const { counted, fn } = flaky(99);
    const { clock, guarded } = onFakeClock(fn, { retry: false });
    expect(await outcomeOf(clock, guarded("x"))).toMatchObject({ error: { status: 503 } });
    expect(counted.calls.fn).toBe(1);
  });
});

describe("the time limit", () => {
  it("ends an attempt that hangs, doubles for the next, and drops what comes too late", async () => {
    const answers: ((text: string) => void)[] = [];
    const reasons: unknown[] = [];
    const { clock, guarded } = onFakeClock(
      (_: string, { signal }) => {
        signal.addEventListener("abort", () => reasons.push(signal.reason));
        return new Promise<string>((resolve) => answers.push(resolve));
      },
      { timeout: { baseMs: 1000 }, name: "search" },
    );
    const call = guarded("x");
    await clock.settle();
    expect(clock.alarms).toEqual([1000]);
    await clock.advance(1000);
    expect(reasons).toMatchObject([{ code: "ATTEMPT_TIMEOUT", message: expect.stringContaining('Call "search"') }]);
    await clock.advance(500);
    expect(clock.alarms).toEqual([2000]);
    answers[0]?.("too late");
    await clock.settle();
    answers[1]?.("in time");
    expect(await call).toBe("in time");
  });

  it("switched off sets no alarm", async () => {
    const { clock, guarded } = onFakeClock(never, { timeout: false });
    void guarded(undefined);
    await clock.settle();
    expect(clock.alarms).toEqual([]);
  });

  it("between two signs of life is put off by a heartbeat", async () => {
    const clock = new FakeClock();
    const work = async (beats: number, call: ProtectedCall) => {
      for (let beat = 0; beat < beats; beat += 1) {
        await clock.sleep(900);
        call.heartbeat();
      }
      await clock.sleep(1100);
      return "done";
    };
    const records: AttemptRecord[] = [];
    const { guarded } = onFakeClock(
      work,
      { retry: false, timeout: { idleMs: 1000 }, onFailedAttempt: (record) => void records.push(record) },
      clock,
    );
    await outcomeOf(clock, guarded(3));
    expect(records).toMatchObject([{ durationMs: 3700, report: { code: "IDLE_TIMEOUT" } }]);
  });
});

describe("a deadline", () => {
  it("ends attempts, waits and fallbacks alike, and nothing answers after it", async () => {
    const answered: string[] = [];
    const { clock, guarded } = onFakeClock(never, {
      name: "slow",
      timeout: { baseMs: 1000, deadlineMs: 2000 },
      fallback: [{ name: "f", when: ["timeout"], run: () => answered.push("f") }],
    });
    const { error } = await outcomeOf(clock, guarded(undefined));
    expect(error).toMatchObject({
      code: "DEADLINE_EXCEEDED",
      message: expect.stringContaining('Call "slow" did not finish within its deadline of 2000 ms'),
    });
    expect(answered).toEqual([]);
  });

  it("lets no wait begin that would end after it: the fallback has the time that is left", async () => {
    const { clock, guarded } = onFakeClock<string, string>(flaky(99).fn, {
      timeout: { deadlineMs: 3000 },
      fallback: [{ name: "f", run: () => "from f" }],
    });
    expect(await outcomeOf(clock, guarded("x"))).toEqual({ result: "from f" });
    expect(clock.begun).toEqual([1000]);
  });

  it("is inherited by what is called with the signal", async () => {
    const clock = new FakeClock();
    const { counted, fn } = flaky(99);
    const records: AttemptRecord[] = [];
    const inner = onFakeClock(fn, { onFailedAttempt: (record) => void records.push(record) }, clock).guarded;
    const outer = onFakeClock(
      (input: string, call) => inner(input, { signal: call.signal }),
      { timeout: { deadlineMs: 2500 } },
      clock,
    ).guarded;
    expect(await outcomeOf(clock, outer("x"))).toMatchObject({ error: { status: 503 } });
    expect(counted.calls.fn).toBe(2);
    expect(records.at(-1)?.gaveUp).toBe("a wait of 2000 ms would end after the deadline");
  });
});

describe("the circuit breaker", () => {
  const tripping = { trip: { kind: "consecutive", failures: 2 } } as const;

  it("sees every attempt, and once open is not asked again but answered for", async () => {
    const { counted, fn } = flaky(99);
    const degraded: (string | undefined)[] = [];
    const { clock, guarded } = onFakeClock<string, string>(fn, {
      circuitBreaker: tripping,
      fallback: [{ name: "f", run: (_, __, failure) => failure.code ?? failure.category }],
      onDegraded: (_, because) => void degraded.push(because.category),
    });
    expect(await outcomeOf(clock, guarded("x"))).toEqual({ result: "CIRCUIT_OPEN" });
    expect(counted.calls.fn, "two attempts opened it, the third was refused").toBe(2);
    expect(degraded).toEqual(["model_unavailable"]);
  });

  it("lets a probe through after recoveryMs", async () => {
    const { fn } = flaky(2);
    const { clock, guarded } = onFakeClock(fn, { circuitBreaker: { ...tripping, recoveryMs: LONG_MS } });
    expect(await outcomeOf(clock, guarded("x"))).toMatchObject({ error: { code: "CIRCUIT_OPEN" } });
    await clock.advance(LONG_MS);
    expect(await guarded("x")).toBe("done");
  });

  it("is not there unless it is asked for", async () => {
    const { counted, fn } = flaky(99);
    const { clock, guarded } = onFakeClock(fn);
    for (let call = 0; call < 3; call += 1) await outcomeOf(clock, guarded("x"));
    expect(counted.calls.fn).toBe(12);
  });
});

describe("the bulkhead", () => {
  it("bounds the calls in flight, and refuses as a rate limit does", async () => {
    const release: (() => void)[] = [];
    const { clock, guarded } = onFakeClock(() => new Promise<void>((resolve) => release.push(resolve)), {
      retry: false,
      timeout: false,
      bulkhead: { maxConcurrent: 1, maxQueue: 1 },
    });
    const first = guarded(1);
    const second = guarded(2);
    await clock.settle();
    expect(release).toHaveLength(1);
    await expect(guarded(3)).rejects.toMatchObject({ code: "BULKHEAD_FULL", category: "rate_limit" });
    release[0]?.();
    await first;
    await clock.settle();
    release[1]?.();
    await second;
  });
});

describe("the rate limit", () => {
  it("counts estimated tokens, and corrects them by those used", async () => {
    const clock = new FakeClock();
    const { guarded } = onFakeClock(
      async (used: number, call) => {
        call.usedTokens(used);
        return clock.now();
      },
      { retry: false, rateLimit: { tokensPerMinute: 600 }, estimateTokens: () => 300 },
      clock,
    );
    const began = clock.now();
    await guarded(100);
    await guarded(300);
    const third = guarded(300);
    await clock.advance(9_999);
    await clock.settle();
    expect(clock.alarms, "200 of 600 are left, and 10 come in a second").toEqual([1]);
    await clock.advance(1);
    expect((await third) - began).toBe(10_000);
  });
});

describe("the retry budget", () => {
  it("ends retries that all callers together have used up, and says so", async () => {
    const { counted, fn } = flaky(99);
    const records: AttemptRecord[] = [];
    const { clock, guarded } = onFakeClock(fn, {
      retryBudget: { ratio: 0, minRetries: 2, windowMs: LONG_MS },
      onFailedAttempt: (record) => void records.push(record),
    });
    await Promise.all([outcomeOf(clock, guarded("x")), outcomeOf(clock, guarded("y"))]);
    expect(counted.calls.fn).toBe(4);
    expect(records.filter((one) => one.gaveUp === "the retry budget of the service is used up")).toHaveLength(2);
  });
});

describe("the fallbacks", () => {
  it("answer in order, for the failure they are told of", async () => {
    const degraded: [string, string][] = [];
    const { clock, guarded } = onFakeClock<string, string>(failing(errno("ENOSPC")), {
      fallback: [
        { name: "broken", run: failing(unavailable()) },
        { name: "works", run: (input, call, failure) => `${input} ${call.attempt} ${failure.category}` },
        { name: "spare", run: () => "spare" },
      ],
      onDegraded: (step, because) => void degraded.push([step, because.category]),
    });
    expect(await outcomeOf(clock, guarded("x"))).toEqual({ result: "x 1 environment" });
    expect(degraded).toEqual([["works", "environment"]]);
  });

  it("answer only for what they are there for", async () => {
    const declared = (when?: ErrorReport["category"]) =>
      protect<string, string>(failing(httpError(401)), {
        fallback: [{ name: "login", run: () => "logged in", ...(when === undefined ? {} : { when: [when] }) }],
      })("x");
    await expect(declared()).rejects.toMatchObject({ status: 401 });
    expect(await declared("auth")).toBe("logged in");
  });

  it("that all fail leave the function's own failure", async () => {
    const mine = errno("ENOSPC");
    const { clock, guarded } = onFakeClock(failing(mine), {
      fallback: [{ name: "f", run: failing(httpError(401)) }],
    });
    expect(await outcomeOf(clock, guarded(undefined))).toEqual({ error: mine });
  });

  it("have one attempt, and the function's time limit, unless they set their own", async () => {
    const counted = failures({ plain: 99, stubborn: 2 });
    const clock = new FakeClock();
    const limits: number[] = [];
    const run = (name: string) => async () => {
      limits.push(...clock.alarms);
      counted.pass(name);
      return name;
    };
    const { guarded } = onFakeClock<string, string>(
      failing(errno("ENOSPC")),
      {
        timeout: { baseMs: 700 },
        fallback: [
          { name: "plain", run: run("plain") },
          { name: "stubborn", run: run("stubborn"), retry: { jitter: "none" }, timeout: { baseMs: 50 } },
        ],
      },
      clock,
    );
    expect(await outcomeOf(clock, guarded("x"))).toEqual({ result: "stubborn" });
    expect(counted.calls).toEqual({ plain: 1, stubborn: 3 });
    expect(limits).toEqual([700, 50, 100, 200]);
  });
});

describe("validation", () => {
  it("makes malformed output of an answer, which is asked for again at once", async () => {
    let calls = 0;
    const told: (string | undefined)[] = [];
    const { clock, guarded } = onFakeClock<string, number>(
      async (_, call) => {
        told.push(call.failures.at(-1)?.report.message);
        calls += 1;
        return calls;
      },
      { name: "count", validate: (result) => (result < 3 ? `${result} is too small` : undefined) },
    );
    expect(await outcomeOf(clock, guarded("x"))).toEqual({ result: 3 });
    expect(clock.begun, "no wait").toEqual([]);
    expect(told).toEqual([
      undefined,
      'Call "count" returned what its validation refuses: 1 is too small',
      'Call "count" returned what its validation refuses: 2 is too small',
    ]);
  });

  it("may throw, may be async, and holds for fallbacks too", async () => {
    const { clock, guarded } = onFakeClock<string, string>(async () => "bad", {
      retry: false,
      validate: async (result) => {
        if (result.startsWith("bad")) throw new Error("no good");
      },
      fallback: [
        { name: "a", run: () => "bad as well" },
        { name: "b", run: () => "good" },
      ],
    });
    expect(await outcomeOf(clock, guarded("x"))).toEqual({ result: "good" });
  });
});

describe("the cache", () => {
  const caching = (
    counted: ReturnType<typeof failures>,
    options: Given<{ id: number }, { id: number; of: number }, { id: number; of: number }> = {},
  ) =>
    onFakeClock<{ id: number }, { id: number; of: number }>(
      async ({ id }) => {
        counted.pass("fn");
        return { id, of: counted.calls.fn ?? 0 };
      },
      { retry: false, cache: { ttlMs: 1000, staleIfErrorMs: 5000 }, ...options },
    );

  it("answers the same input while the answer is fresh", async () => {
    const counted = failures();
    const { clock, guarded } = caching(counted);
    expect(await guarded({ id: 1 })).toEqual({ id: 1, of: 1 });
    expect(await guarded({ id: 1 })).toEqual({ id: 1, of: 1 });
    expect(await guarded({ id: 2 })).toEqual({ id: 2, of: 2 });
    await clock.advance(1000);
    expect(await guarded({ id: 1 })).toEqual({ id: 1, of: 3 });
  });

  it("gives each caller a copy", async () => {
    const { guarded } = caching(failures());
    (await guarded({ id: 1 })).id = 99;
    (await guarded({ id: 1 })).id = 98;
    expect(await guarded({ id: 1 })).toEqual({ id: 1, of: 1 });
  });

  it("has an outdated answer stand in after all fallbacks, and says so", async () => {
    const counted = failures();
    const degraded: string[] = [];
    const { clock, guarded } = caching(counted, {
      fallback: [{ name: "f", run: failing(unavailable()) }],
      onDegraded: (step) => void degraded.push(step),
    });
    await guarded({ id: 1 });
    counted.plan.fn = 99;
    await clock.advance(1000);
    expect(await guarded({ id: 1 })).toEqual({ id: 1, of: 1 });
    expect(degraded).toEqual(["stale"]);
    await clock.advance(5000);
    await expect(guarded({ id: 1 })).rejects.toMatchObject({ status: 503 });
  });

  it("has it stand in where the chain says", async () => {
    const counted = failures();
    const tried: string[] = [];
    const { clock, guarded } = caching(counted, {
      fallback: ["stale", { name: "f", run: ({ id }) => ({ id, of: tried.push("f") }) }],
    });
    await guarded({ id: 1 });
    counted.plan.fn = 99;
    await clock.advance(1000);
    expect(await guarded({ id: 1 })).toEqual({ id: 1, of: 1 });
    expect(await guarded({ id: 2 }), "nothing outdated: the next step").toEqual({ id: 2, of: 1 });
    expect(tried).toEqual(["f"]);
  });

  it("does not keep what something simpler has answered", async () => {
    const counted = failures({ fn: 1 });
    const { guarded } = caching(counted, { fallback: [{ name: "f", run: ({ id }) => ({ id, of: 0 }) }] });
    expect(await guarded({ id: 1 })).toEqual({ id: 1, of: 0 });
    expect(await guarded({ id: 1 }), "asked again").toEqual({ id: 1, of: 2 });
  });

  it("comes before every other rung: a fresh answer needs neither breaker nor slot", async () => {
    const counted = failures();
    const { clock, guarded } = caching(counted, {
      circuitBreaker: { trip: { kind: "consecutive", failures: 1 } },
      bulkhead: { maxConcurrent: 1, maxQueue: 0 },
    });
    await guarded({ id: 1 });
    counted.plan.fn = 99;
    await expect(guarded({ id: 2 })).rejects.toMatchObject({ status: 503 });
    await expect(guarded({ id: 2 })).rejects.toMatchObject({ code: "CIRCUIT_OPEN" });
    expect(await guarded({ id: 1 })).toEqual({ id: 1, of: 1 });
    expect(clock.pending).toEqual([]);
  });

  it("may be shared through a persistence, under the function's name", async () => {
    const clock = new FakeClock();
    const persistence = { cache: createMemoryCache(clock) satisfies ResultCache };
    const counted = failures();
    const asking = (name: string) =>
      caching(counted, { clock, persistence, name, cache: { ttlMs: 1000, store: "shared" } }).guarded;
    await asking("a")({ id: 1 });
    expect(await asking("a")({ id: 1 })).toEqual({ id: 1, of: 1 });
    expect(await asking("b")({ id: 1 })).toEqual({ id: 1, of: 2 });
  });

  it("refuses to share the answers of a function without a name", () => {
    const shared = { cache: { ttlMs: 1000, store: "shared" } } as const;
    expect(() => protect(async () => 1, shared)).toThrowError(/set the option "name"/);
    expect(() => protect(async () => 1, { ...shared, name: "one" })).not.toThrow();
  });

  it("refuses an input that it cannot tell from others", async () => {
    const { guarded } = onFakeClock(async (_: unknown) => 1, { cache: { ttlMs: 1000 } });
    await expect(guarded({ at: () => 1 })).rejects.toMatchObject({ code: "CONFIG" });
  });
});

describe("the caller's signal", () => {
  it("that has aborted lets nothing begin", async () => {
    const { counted, fn } = flaky(0);
    const reason = new Error("enough");
    await expect(protect(fn)("x", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(counted.calls).toEqual({});
  });

  it.each([
    ["attempt", never, {}],
    ["wait", failing(unavailable()), {}],
    ["deadline", never, { timeout: { deadlineMs: 5000 } }],
  ] as const)("ends the %s under way, with its own reason, and no fallback answers", async (_, fn, options) => {
    const abort = new AbortController();
    const reason = new Error("enough");
    const answered: string[] = [];
    const { clock, guarded } = onFakeClock<string, unknown>(fn, {
      ...options,
      fallback: [{ name: "f", when: ["cancelled", "unknown", "server_error"], run: () => answered.push("f") }],
    });
    const call = guarded("x", { signal: abort.signal });
    await clock.settle();
    abort.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect(answered).toEqual([]);
    expect([...clock.alarms, ...clock.pending]).toEqual([]);
  });

  it("reaches the function as the reason of its own signal", async () => {
    const abort = new AbortController();
    let seen: AbortSignal | undefined;
    const { clock, guarded } = onFakeClock((_: string, call) => {
      seen = call.signal;
      return never();
    });
    const call = guarded("x", { signal: abort.signal });
    await clock.settle();
    const reason = new Error("enough");
    abort.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect(seen?.reason).toBe(reason);
  });
});

describe("what must not happen twice", () => {
  it("once begun is neither repeated nor done in another way", async () => {
    let calls = 0;
    const records: AttemptRecord[] = [];
    const { clock, guarded } = onFakeClock<string, string>(
      async (input, call) => {
        calls += 1;
        call.beginEffect(`charge ${input}`);
        throw unavailable();
      },
      {
        fallback: [{ name: "f", run: () => "f" }],
        onFailedAttempt: (record) => void records.push(record),
      },
    );
    expect(await outcomeOf(clock, guarded("order-17"))).toMatchObject({ error: { status: 503 } });
    expect(calls).toBe(1);
    expect(records).toMatchObject([
      { effects: ["charge order-17"], gaveUp: expect.stringContaining("charge order-17") },
    ]);
  });

  it("is not begun by an attempt that was given up on", async () => {
    const clock = new FakeClock();
    const begun: number[] = [];
    const refused: unknown[] = [];
    const { guarded } = onFakeClock(
      async (_: string, call) => {
        // Ignores its signal.
        await clock.sleep(call.attempt === 1 ? 1500 : 100);
        try {
          call.beginEffect("charge");
          begun.push(call.attempt);
        } catch (error) {
          refused.push(error);
          throw error;
        }
        return "charged";
      },
      { timeout: { baseMs: 1000 } },
      clock,
    );
    expect(await outcomeOf(clock, guarded("x"))).toEqual({ result: "charged" });
    expect(begun).toEqual([2]);
    expect(refused).toMatchObject([{ code: "CANCELLED", message: expect.stringContaining('"charge"') }]);
  });
});

describe("one protected function within another", () => {
  const nested = (inner: Given<string, string, string>, outer: Given<string, string, string> = {}) => {
    const clock = new FakeClock();
    const { counted, fn } = flaky(99);
    const within = onFakeClock(fn, inner, clock).guarded;
    const { guarded } = onFakeClock<string, string>(async (input) => await within(input), outer, clock);
    return { clock, counted, guarded };
  };

  it("is not repeated once it has given up", async () => {
    const { clock, counted, guarded } = nested({});
    expect(await outcomeOf(clock, guarded("x"))).toMatchObject({ error: { status: 503 } });
    expect(counted.calls.fn).toBe(4);
  });

  it("is answered for by the fallbacks further out", async () => {
    const { clock, counted, guarded } = nested({}, { fallback: [{ name: "f", run: () => "f" }] });
    expect(await outcomeOf(clock, guarded("x"))).toEqual({ result: "f" });
    expect(counted.calls.fn).toBe(4);
  });

  it("is repeated where it makes one attempt only", async () => {
    const { clock, counted, guarded } = nested({ retry: false });
    expect(await outcomeOf(clock, guarded("x"))).toMatchObject({ error: { status: 503 } });
    expect(counted.calls.fn).toBe(4);
  });
});

describe("wrong options", () => {
  it.each([
    [{ retry: { maxAttempts: 0 } }, 'option "retry.maxAttempts" is 0'],
    [{ timeout: { baseMs: -1 } }, 'option "timeout.baseMs" is -1'],
    [{ cache: { ttlMs: 0 } }, 'option "cache.ttlMs" is 0'],
    [{ service: "" }, 'option "service" is ""'],
    [{ fallback: [{ name: "node", run: () => 1 }] }, 'a fallback step cannot be called "node"'],
    [{ fallback: [{ name: "stale", run: () => 1 }] }, 'a fallback step cannot be called "stale"'],
    [
      {
        fallback: [
          { name: "a", run: () => 1 },
          { name: "a", run: () => 2 },
        ],
      },
      'two fallback steps are called "a"',
    ],
    [{ fallback: ["stale"] }, '"stale" needs a cache with staleIfErrorMs'],
    [{ fallback: ["stale"], cache: { ttlMs: 1 } }, '"stale" needs a cache with staleIfErrorMs'],
    [{ onDegraded: "no" }, 'option "onDegraded" is "no"'],
    [{ retries: 3 }, "retries"],
  ])("%j are refused at once: %s", (options, message) => {
    const wrong = () => protect(async () => 1, { name: "fn", ...(options as object) });
    expect(wrong).toThrowError(expect.objectContaining({ code: "CONFIG", message: expect.stringContaining(message) }));
    expect(wrong).toThrowError(/^protect\(fn\): /);
  });
});

describe("types", () => {
  it("are those of the function and of its fallbacks", () => {
    const guarded = protect(
      async (input: { id: string }, call) => {
        expectTypeOf(call).toEqualTypeOf<ProtectedCall>();
        return Number(input.id);
      },
      {
        fallback: [
          {
            name: "text",
            run: (input, call, failure) => {
              expectTypeOf(input).toEqualTypeOf<{ id: string }>();
              expectTypeOf(call).toEqualTypeOf<ProtectedCall>();
              expectTypeOf(failure).toEqualTypeOf<ErrorReport>();
              return "none";
            },
          },
        ],
        validate: (result) => {
          expectTypeOf(result).toEqualTypeOf<number | string>();
        },
        cache: {
          ttlMs: 1,
          key: (input) => {
            expectTypeOf(input).toEqualTypeOf<{ id: string }>();
            return input.id;
          },
        },
      },
    );
    expectTypeOf(guarded).parameter(0).toEqualTypeOf<{ id: string }>();
    expectTypeOf<Awaited<ReturnType<typeof guarded>>>().toEqualTypeOf<number | string>();
    // @ts-expect-error the input is an object
    const wrong = () => guarded("17");
    expect(wrong).toBeTypeOf("function");
  });
});
