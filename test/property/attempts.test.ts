import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Cancellation } from "../../src/core/abort.js";
import type { AttemptRecord } from "../../src/core/records.js";
import { CATEGORIES, CATEGORY_POLICIES, type Category } from "../../src/errors/categories.js";
import type { ErrorReport } from "../../src/errors/report.js";
import { type Node, resilient } from "../../src/langgraph/resilient.js";
import { withFallback, withRetry, withTimeout } from "../../src/langgraph/single-rungs.js";
import { JITTERS } from "../../src/policies/backoff.js";
import { protect } from "../../src/policies/protect.js";
import { retry } from "../../src/policies/retry.js";
import { type RetryOptions, retrySchema } from "../../src/policies/retry-options.js";
import { settableClock } from "../support/spending.js";

const STRATEGIES = ["none", "fixed", "linear", "exponential", "decorrelated"] as const;
const delay = fc.oneof(fc.constantFrom(0, 1, 1000), fc.double({ min: 0, max: 1e6, noNaN: true }));
const category = fc.constantFrom(...CATEGORIES);

const options: fc.Arbitrary<RetryOptions> = fc.record(
  {
    maxAttempts: fc.integer({ min: 1, max: 12 }),
    initialDelayMs: delay,
    backoffFactor: fc.double({ min: 1, max: 100, noNaN: true }),
    maxDelayMs: delay,
    maxElapsedMs: fc.oneof(delay, fc.constant(1e9)),
    strategy: fc.constantFrom(...STRATEGIES),
    jitter: fc.constantFrom(...JITTERS),
    categories: fc.dictionary(
      category,
      fc.record(
        { retries: fc.nat(8), backoff: fc.constantFrom(...STRATEGIES), initialDelayMs: delay },
        { requiredKeys: [] },
      ),
      { maxKeys: 4 },
    ),
  },
  { requiredKeys: [] },
);

/** An attempt that fails: how, after how long, and what the other side asked for. */
const failure = fc.record({
  category: fc.oneof(category, fc.constantFrom<Category>("network", "timeout", "unknown", "malformed_output")),
  durationMs: fc.nat(5000),
  retryAfterMs: fc.option(fc.nat(120_000), { nil: undefined }),
});
type Failure = typeof failure extends fc.Arbitrary<infer T> ? T : never;

const reportOf = ({ category, retryAfterMs }: Failure): ErrorReport => ({
  category,
  retryable: CATEGORY_POLICIES[category].retries > 0,
  message: category,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

interface Made {
  readonly records: readonly AttemptRecord[];
  /** When each wait was begun, after the first attempt began; not known of the waits of an earlier process. */
  readonly waits: readonly { readonly atMs: number; readonly ms: number }[];
  readonly failures: number;
}

/** Attempts that fail one after the other, from where an earlier process has left off. */
async function attemptsOf(
  given: RetryOptions,
  failures: readonly Failure[],
  { earlier = [], deadlineMs, stopAfter }: { earlier?: AttemptRecord[]; deadlineMs?: number; stopAfter?: number } = {},
): Promise<Made> {
  const clock = settableClock();
  const startedAt = clock.nowMs;
  const records: AttemptRecord[] = [...earlier];
  const waits: { atMs: number; ms: number }[] = [];
  const stopped = new Error("stopped");
  const scope = new Cancellation({ deadlineAt: deadlineMs === undefined ? undefined : startedAt + deadlineMs });
  let next = earlier.length;
  const fails = async (): Promise<never> => {
    const made = failures[next] as Failure;
    next += 1;
    clock.nowMs += made.durationMs;
    throw Object.assign(new Error(made.category), { made });
  };
  const last = await retry(fails, retrySchema.parse(given), {
    clock,
    random: () => 0.5,
    step: "node",
    earlier,
    signal: scope.signal,
    classify: (error) => reportOf((error as { made?: Failure }).made as Failure),
    onFailure: (record) => void records.push(record),
    sleep: async (ms) => {
      waits.push({ atMs: clock.nowMs - startedAt, ms });
      if (records.length === stopAfter) throw stopped;
      clock.nowMs += ms;
    },
  }).catch((error: unknown) => error);
  expect(last).toBeInstanceOf(Error);
  return { records, waits, failures: next };
}

const manyFailures = fc.array(failure, { minLength: 12, maxLength: 12 });

describe("the attempts of one call", () => {
  it("are at most maxAttempts, and of each category at most its retries and one", async () => {
    await fc.assert(
      fc.asyncProperty(options, manyFailures, async (given, failures) => {
        const { records } = await attemptsOf(given, failures);
        expect(records.length).toBeLessThanOrEqual(given.maxAttempts ?? 4);
        expect(records.map((record) => record.number)).toEqual(records.map((_, index) => index + 1));
        for (const name of CATEGORIES) {
          const retried = records.filter(({ report, delayMs }) => report.category === name && delayMs !== undefined);
          const allowed = given.categories?.[name]?.retries ?? CATEGORY_POLICIES[name].retries;
          expect(retried.length, name).toBeLessThanOrEqual(name === "cancelled" ? 0 : allowed);
        }
        expect(records.at(-1)?.delayMs).toBeUndefined();
        for (const record of records.slice(0, -1)) expect(record.delayMs).toBeDefined();
      }),
      { numRuns: 500 },
    );
  });

  it("are as many as allowed where no time limit is in the way: none is given up for nothing", async () => {
    await fc.assert(
      fc.asyncProperty(options, manyFailures, async (given, failures) => {
        const { records } = await attemptsOf({ ...given, maxElapsedMs: Number.MAX_SAFE_INTEGER }, failures);
        const last = records.at(-1)?.report.category as Category;
        const before = records.slice(0, -1).filter(({ report }) => report.category === last).length;
        const allowed = given.categories?.[last]?.retries ?? CATEGORY_POLICIES[last].retries;
        const used = records.length === (given.maxAttempts ?? 4) || before >= allowed || last === "cancelled";
        expect(used, JSON.stringify(records.at(-1))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("wait for finite times within the cap, and never beyond maxElapsedMs", async () => {
    await fc.assert(
      fc.asyncProperty(options, manyFailures, async (given, failures) => {
        const { waits, records } = await attemptsOf(given, failures);
        const { maxDelayMs = 60_000, maxElapsedMs = 120_000 } = given;
        for (const { delayMs = 0, report } of records) {
          expect(Number.isFinite(delayMs) && delayMs >= 0).toBe(true);
          expect(delayMs).toBeLessThanOrEqual(Math.max(maxDelayMs, report.retryAfterMs ?? 0));
          if (delayMs > 0) expect(delayMs).toBeGreaterThanOrEqual(report.retryAfterMs ?? 0);
        }
        for (const { atMs, ms } of waits) expect(atMs + ms).toBeLessThanOrEqual(maxElapsedMs);
      }),
      { numRuns: 500 },
    );
  });

  it("begin no wait that would end after the deadline they have inherited", async () => {
    await fc.assert(
      fc.asyncProperty(options, manyFailures, fc.nat(60_000), async (given, failures, deadlineMs) => {
        const { waits } = await attemptsOf(given, failures, { deadlineMs });
        for (const { atMs, ms } of waits) expect(atMs + ms).toBeLessThan(deadlineMs);
      }),
      { numRuns: 300 },
    );
  });

  it("are the same where the run pauses in any wait and another process goes on from its records", async () => {
    await fc.assert(
      fc.asyncProperty(options, manyFailures, fc.integer({ min: 1, max: 11 }), async (given, failures, stopAfter) => {
        const whole = await attemptsOf(given, failures);
        const before = await attemptsOf(given, failures, { stopAfter });
        const left = JSON.parse(JSON.stringify(before.records)) as AttemptRecord[];
        const resumed = left.length < stopAfter ? before : await attemptsOf(given, failures, { earlier: left });
        const decided = ({ records }: Made) =>
          records.map(({ number, report, delayMs, gaveUp }) => ({ number, report, delayMs, gaveUp }));
        expect(decided(resumed)).toEqual(decided(whole));
      }),
      { numRuns: 300 },
    );
  });
});

describe("policies around each other", () => {
  const KINDS = ["withRetry", "resilient", "withTimeout", "withFallback"] as const;
  interface Layer {
    readonly kind: (typeof KINDS)[number] | "protect";
    readonly maxAttempts: number;
  }
  const layersOf = (...kinds: Layer["kind"][]): fc.Arbitrary<Layer[]> =>
    fc.array(fc.record({ kind: fc.constantFrom(...kinds), maxAttempts: fc.integer({ min: 1, max: 6 }) }), {
      maxLength: 4,
    });
  const retries = (maxAttempts: number): RetryOptions => ({
    maxAttempts,
    initialDelayMs: 0,
    categories: { server_error: { retries: 6 } },
  });
  const wrap = (node: Node<unknown, unknown>, { kind, maxAttempts }: Layer): Node<unknown, unknown> => {
    switch (kind) {
      case "withRetry":
        return withRetry(node, retries(maxAttempts));
      case "resilient":
        return resilient(node, { retry: retries(maxAttempts) });
      case "withTimeout":
        return withTimeout(node);
      case "withFallback":
        return withFallback(node, []);
      case "protect": {
        const call = protect(async (run: () => Promise<unknown>) => await run(), { retry: retries(maxAttempts) });
        return (state, config) => call(async () => await node(state, config), { signal: config.signal });
      }
    }
  };

  it("never multiply: a call is made as often as the innermost that tries again says", async () => {
    await fc.assert(
      fc.asyncProperty(layersOf("protect"), layersOf(...KINDS), async (calls, nodes) => {
        let made = 0;
        const failing: Node<unknown, unknown> = async () => {
          made += 1;
          throw Object.assign(new Error("503"), { status: 503 });
        };
        const layers = [...calls, ...nodes];
        await expect(layers.reduce(wrap, failing)({}, {})).rejects.toMatchObject({ status: 503 });
        const innermost = layers.find(
          ({ kind, maxAttempts }) => kind !== "withTimeout" && kind !== "withFallback" && maxAttempts > 1,
        );
        expect(made).toBe(innermost?.maxAttempts ?? 1);
      }),
      { numRuns: 200 },
    );
  });
});
