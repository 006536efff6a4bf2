import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { AttemptRecord } from "../../../src/core/records.js";
import { CATEGORIES, CATEGORY_POLICIES, type Category } from "../../../src/errors/categories.js";
import { InjectedFaultError } from "../../../src/errors/own-errors.js";
import { retry } from "../../../src/policies/retry.js";
import { categoryPolicy, type RetryOptions, retrySchema } from "../../../src/policies/retry-options.js";
import { FakeClock } from "../../support/fake-clock.js";
import { httpError } from "../../support/graphs.js";

const of = (category: Category): Error => new InjectedFaultError("node", category);

interface Outcome {
  readonly calls: number;
  readonly waits: readonly number[];
  readonly records: readonly AttemptRecord[];
  readonly result?: unknown;
  readonly error?: unknown;
}

/** Runs to the end on a fake clock; the work throws the errors given in turn (the last one for ever) or returns "done". */
async function tried(errors: readonly unknown[], options: RetryOptions = {}, signal?: AbortSignal): Promise<Outcome> {
  const clock = new FakeClock();
  const records: AttemptRecord[] = [];
  let calls = 0;
  const work = async () => {
    const error = errors[Math.min(calls, errors.length - 1)];
    calls += 1;
    if (error !== undefined) throw error;
    return "done";
  };
  const running = retry(work, retrySchema.parse({ jitter: "none", ...options }), {
    clock,
    random: () => 0.5,
    step: "node",
    ...(signal === undefined ? {} : { signal }),
    sleep: (ms) => clock.sleep(ms, signal),
    onFailure: (record) => void records.push(record),
  }).then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  );
  for (let turn = 0; turn < 200 && clock.pending.length === 0; turn += 1) await Promise.resolve();
  await clock.advance(10_000_000);
  const settled = await running;
  expect(clock.pending, "no wait is left").toEqual([]);
  return { calls, waits: clock.begun, records, ...settled };
}

describe("how often a failure is tried again", () => {
  it.each(CATEGORIES.map((category) => [category, CATEGORY_POLICIES[category].retries] as const))(
    "%s: %d retries",
    async (category, retries) => {
      const { calls, error } = await tried([of(category)]);
      expect(calls).toBe(retries + 1);
      expect(error).toMatchObject({ category });
    },
  );

  it("maxAttempts bounds all categories together", async () => {
    const mixed = () => [of("network"), of("timeout"), of("server_error"), of("rate_limit"), undefined];
    expect((await tried(mixed())).calls).toBe(4);
    expect(await tried(mixed(), { maxAttempts: 5 })).toMatchObject({ calls: 5, result: "done" });
  });

  it("each category has its own share of them", async () => {
    const mixed = [of("timeout"), of("timeout"), of("timeout")];
    expect((await tried(mixed, { maxAttempts: 10 })).calls).toBe(3);
    expect((await tried([of("timeout"), of("network"), of("timeout"), of("timeout")], { maxAttempts: 10 })).calls).toBe(
      4,
    );
  });

  it("a category may be given another share, another growth and another start", async () => {
    const outcome = await tried([of("timeout")], {
      maxAttempts: 10,
      categories: { timeout: { retries: 4, backoff: "fixed", initialDelayMs: 7 } },
    });
    expect(outcome).toMatchObject({ calls: 5, waits: [7, 7, 7, 7] });
  });

  it("a success is returned at once", async () => {
    expect(await tried([undefined])).toMatchObject({ calls: 1, result: "done", waits: [], records: [] });
  });
});

describe("how long it waits", () => {
  it.each([
    ["network", [1000, 2000, 4000]],
    ["timeout", [500, 1000]],
    ["rate_limit", [2000, 4000, 8000]],
    ["malformed_output", []],
    ["server_error", [1000, 2000, 4000]],
  ] as const)("%s: %j ms", async (category, waits) => {
    expect((await tried([of(category)])).waits).toEqual(waits);
  });

  it("scales with initialDelayMs and grows with backoffFactor", async () => {
    expect((await tried([of("network")], { initialDelayMs: 10, backoffFactor: 3 })).waits).toEqual([10, 30, 90]);
  });

  it("grows by the strategy that is asked for, save where there is no wait at all", async () => {
    expect((await tried([of("network")], { strategy: "linear" })).waits).toEqual([1000, 2000, 3000]);
    expect((await tried([of("malformed_output")], { strategy: "linear" })).waits).toEqual([]);
  });

  it("is capped by maxDelayMs", async () => {
    expect((await tried([of("network")], { maxDelayMs: 1500 })).waits).toEqual([1000, 1500, 1500]);
  });

  const limited = (seconds: number) => Object.assign(httpError(429), { headers: { "retry-after": String(seconds) } });

  it("is at least what Retry-After asks for, beyond the cap too", async () => {
    expect((await tried([limited(90), undefined], { maxDelayMs: 1000 })).waits).toEqual([90_000]);
    expect((await tried([limited(1), undefined])).waits, "a floor, not a ceiling").toEqual([2000]);
  });

  it("does not wait for a Retry-After beyond maxElapsedMs", async () => {
    const outcome = await tried([limited(121)]);
    expect(outcome).toMatchObject({ calls: 1, waits: [] });
    expect((await tried([limited(119), undefined])).waits).toEqual([119_000]);
  });

  it("begins no wait that would end after maxElapsedMs", async () => {
    expect((await tried([of("network")], { maxElapsedMs: 3500 })).waits).toEqual([1000, 2000]);
  });
});

describe("the user's say", () => {
  it("retryOn may give up, insist, or leave it to the category", async () => {
    expect((await tried([of("network")], { retryOn: () => false })).calls).toBe(1);
    expect((await tried([of("bug")], { retryOn: () => true })).calls).toBe(4);
    expect((await tried([of("bug")], { retryOn: () => undefined })).calls).toBe(1);
    expect((await tried([of("cancelled")], { retryOn: () => true })).calls, "an abort is an abort").toBe(1);
  });

  it("retryOn sees the report and the error", async () => {
    const seen: unknown[] = [];
    const error = of("network");
    await tried([error], {
      retryOn: (report, thrown) => {
        seen.push([report.category, thrown]);
        return false;
      },
    });
    expect(seen).toEqual([["network", error]]);
  });

  it("onRetry is awaited before the wait begins, and not called after the last attempt", async () => {
    const order: unknown[] = [];
    const { waits } = await tried([of("timeout")], {
      onRetry: async (report, attempt, delayMs) => {
        order.push([report.category, attempt, delayMs]);
        await Promise.resolve();
      },
    });
    expect(order).toEqual([
      ["timeout", 1, 500],
      ["timeout", 2, 1000],
    ]);
    expect(waits).toEqual([500, 1000]);
  });
});

describe("a callback of the user's that is broken", () => {
  const broken = (): never => {
    throw new Error("my callback is broken");
  };
  const rejecting = () => Promise.reject(new Error("my callback is broken"));
  const warnings = vi.spyOn(process, "emitWarning");
  beforeEach(() => {
    warnings.mockReset().mockImplementation(() => {});
  });
  afterAll(() => {
    warnings.mockRestore();
  });

  it.each([
    ["throws", broken],
    ["rejects", rejecting as unknown as () => undefined],
  ])("retryOn that %s leaves it to the category, and the failure is the node's own", async (_, retryOn) => {
    const outcome = await tried([of("timeout")], { retryOn });
    expect(outcome).toMatchObject({ calls: 3, waits: [500, 1000], error: { category: "timeout" } });
    expect(outcome.records.map((record) => record.delayMs)).toEqual([500, 1000, undefined]);
    expect((await tried([of("bug")], { retryOn })).calls).toBe(1);
    expect(warnings).toHaveBeenCalledWith(
      "retryOn threw and was passed over: Error: my callback is broken",
      "ResilienceWarning",
    );
  });

  it.each([
    ["throws", broken],
    ["rejects", rejecting],
    ["throws what cannot be printed", () => Promise.reject(Object.create(null))],
  ])("onRetry that %s does not keep the next attempt from being made", async (_, onRetry) => {
    const outcome = await tried([of("timeout"), undefined], { onRetry });
    expect(outcome).toMatchObject({ calls: 2, waits: [500], result: "done" });
    expect(outcome.records).toHaveLength(1);
    expect(warnings).toHaveBeenCalledWith(
      expect.stringContaining("onRetry threw and was passed over"),
      "ResilienceWarning",
    );
  });

  it.each(["retryOn", "onRetry"])(
    "%s may steer the graph: control flow passes, the attempt is on record",
    async (name) => {
      const interrupt = { is_bubble_up: true };
      const steer = (): never => {
        throw interrupt;
      };
      const outcome = await tried([of("timeout")], { [name]: steer });
      expect(outcome.error).toBe(interrupt);
      expect(outcome).toMatchObject({ calls: 1, records: [{ number: 1, report: { category: "timeout" } }] });
      expect(warnings).not.toHaveBeenCalled();
    },
  );

  it("an abort while onRetry is at work forbids the next attempt, without a wait too", async () => {
    const controller = new AbortController();
    const options: RetryOptions = { initialDelayMs: 0, onRetry: () => controller.abort("enough") };
    expect(await tried([of("network")], options, controller.signal)).toMatchObject({ calls: 1, error: "enough" });
  });
});

describe("the record of a failed attempt", () => {
  it("says which, when, how long and what wait came after", async () => {
    const { records } = await tried([of("timeout")]);
    const start = 1_700_000_000_000;
    expect(records).toEqual([
      {
        number: 1,
        step: "node",
        startedAt: start,
        durationMs: 0,
        delayMs: 500,
        report: expect.objectContaining({ category: "timeout" }),
      },
      {
        number: 2,
        step: "node",
        startedAt: start + 500,
        durationMs: 0,
        delayMs: 1000,
        report: expect.objectContaining({ category: "timeout" }),
      },
      {
        number: 3,
        step: "node",
        startedAt: start + 1500,
        durationMs: 0,
        report: expect.objectContaining({ category: "timeout" }),
      },
    ]);
  });
});

describe("what is not retried", () => {
  it("LangGraph's control flow passes untouched and uncounted", async () => {
    const command = { is_bubble_up: true };
    const outcome = await tried([command]);
    expect(outcome.error).toBe(command);
    expect(outcome).toMatchObject({ calls: 1, records: [] });
  });

  it("what an inner policy has given up on", async () => {
    const clock = new FakeClock();
    const environment = { clock, random: () => 0, step: "node", sleep: (ms: number) => clock.sleep(ms) };
    const policy = retrySchema.parse({ initialDelayMs: 0 });
    let calls = 0;
    const inner = () =>
      retry(
        async () => {
          calls += 1;
          throw of("network");
        },
        policy,
        environment,
      );
    await expect(retry(inner, policy, environment)).rejects.toMatchObject({ category: "network" });
    expect(calls).toBe(4);
    const wrapped = () =>
      inner().catch((cause: unknown) => {
        throw new Error("model failed", { cause });
      });
    await expect(retry(wrapped, policy, environment)).rejects.toThrow("model failed");
    expect(calls).toBe(8);
  });

  it("an error object that some earlier call has used up is retried all the same", async () => {
    const error = of("timeout");
    expect((await tried([error])).calls).toBe(3);
    const clock = new FakeClock();
    let calls = 0;
    const outermost = { clock, random: () => 0, step: "node", sleep: (ms: number) => clock.sleep(ms), outermost: true };
    const policy = retrySchema.parse({ initialDelayMs: 0 });
    const again = () =>
      retry(
        async () => {
          calls += 1;
          throw error;
        },
        policy,
        outermost,
      ).catch(() => undefined);
    await again();
    calls = 0;
    await again();
    expect(calls).toBe(3);
  });

  it("anything once the signal has aborted: the failure is passed on as it came", async () => {
    const controller = new AbortController();
    const mine = new Error("mine");
    const clock = new FakeClock();
    const running = retry(
      async () => {
        controller.abort();
        throw mine;
      },
      retrySchema.parse({}),
      { clock, random: () => 0, step: "node", signal: controller.signal, sleep: (ms) => clock.sleep(ms) },
    );
    await expect(running).rejects.toBe(mine);
    expect(clock.begun).toEqual([]);
  });

  it("an abort during the wait ends it at once and leaves no timer", async () => {
    const controller = new AbortController();
    const clock = new FakeClock();
    const reason = new Error("enough");
    let calls = 0;
    const running = retry(
      async () => {
        calls += 1;
        throw of("network");
      },
      retrySchema.parse({ jitter: "none" }),
      {
        clock,
        random: () => 0,
        step: "node",
        signal: controller.signal,
        sleep: (ms) => clock.sleep(ms, controller.signal),
      },
    );
    const settled = expect(running).rejects.toBe(reason);
    await clock.settle();
    expect(clock.pending).toEqual([1000]);
    controller.abort(reason);
    await settled;
    expect(clock.pending).toEqual([]);
    expect(calls).toBe(1);
  });
});

describe("the row of the matrix under a policy", () => {
  it("keeps the next rung, whatever is overridden", () => {
    for (const category of CATEGORIES) {
      const policy = retrySchema.parse({ categories: { [category]: { retries: 9 } } });
      expect(categoryPolicy(policy, category)).toMatchObject({ retries: 9, next: CATEGORY_POLICIES[category].next });
    }
  });
});
