import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRetryBudget, retryBudgetSchema } from "../../src/policies/retry-budget.js";
import { FakeClock } from "../support/fake-clock.js";

const policy = fc.record({
  ratio: fc.oneof(fc.double({ min: 0, max: 3, noNaN: true }), fc.constantFrom(0, 0.1, 0.2, 1)),
  minRetries: fc.nat(5),
  windowMs: fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.constantFrom(1, 19, 20, 21, 100)),
});
/** Waits are in thousandths of the window, so that ends of windows and steps are hit. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("call" as const), times: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("retry" as const), times: fc.integer({ min: 1, max: 20 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      times: fc.oneof(fc.nat(1200), fc.constantFrom(50, 950, 1000, 1050, 5000)),
    }),
  },
);

describe("a retry budget", () => {
  it("grants no retry beyond the bound, and refuses none that is clearly within it", () => {
    fc.assert(
      fc.property(
        policy,
        fc.integer({ min: 0, max: 10_000 }),
        fc.array(step, { maxLength: 80, size: "max" }),
        (given, startMs, steps) => {
          let now = startMs;
          const clock = { ...new FakeClock(), now: () => now };
          const budget = createRetryBudget("s", retryBudgetSchema.parse(given), { clock });
          const { ratio, minRetries, windowMs } = given;
          const calls: number[] = [];
          const retries: number[] = [];
          const within = (times: readonly number[], ms: number) => times.filter((time) => time > now - ms).length;
          for (const { kind, times } of steps) {
            if (kind === "wait") now += Math.round((times * windowMs) / 1000);
            else if (kind === "call") {
              for (let call = 0; call < times; call += 1) {
                budget.call();
                calls.push(now);
              }
            } else {
              for (let retry = 0; retry < times; retry += 1) {
                const granted = budget.tryRetry();
                if (granted) {
                  retries.push(now);
                  expect(within(retries, windowMs)).toBeLessThanOrEqual(
                    Math.max(minRetries, ratio * within(calls, windowMs)),
                  );
                } else {
                  const [most, fewest] = [within(retries, 1.05 * windowMs), within(calls, 0.95 * windowMs)];
                  expect(most + 1).toBeGreaterThan(Math.max(minRetries, ratio * fewest));
                }
              }
            }
          }
          // The windows that end with a retry and cover all retries do not overlap, so no call pays twice.
          const windows = Math.floor((now - startMs) / windowMs) + 1;
          expect(retries.length).toBeLessThanOrEqual(ratio * calls.length * (1 + 1e-12) + minRetries * windows);
          expect(budget.state.retries).toBeLessThanOrEqual(retries.length);
          expect(budget.state.calls).toBeLessThanOrEqual(calls.length);
        },
      ),
      { numRuns: 250 },
    );
  });

  it("lets n calls of one window, however they interleave, send at most n + max(minRetries, ratio × n)", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        policy,
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 4 }),
        async (s, given, n, attempts) => {
          const budget = createRetryBudget("s", retryBudgetSchema.parse(given), { clock: new FakeClock() });
          let sent = 0;
          const failing = async () => {
            budget.call();
            for (let attempt = 1; ; attempt += 1) {
              sent += 1;
              await s.schedule(Promise.resolve(), "fails");
              if (attempt === attempts || !budget.tryRetry()) return;
            }
          };
          await s.waitFor(Promise.all(Array.from({ length: n }, failing)));
          const allowed = Math.floor(Math.max(given.minRetries, given.ratio * n));
          expect(sent).toBe(n + Math.min(allowed, n * (attempts - 1)));
        },
      ),
      { numRuns: 200 },
    );
  });
});
