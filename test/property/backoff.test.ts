import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BackoffPolicy, backoffDelayMs, JITTERS } from "../../src/policies/backoff.js";
import { attemptTimeoutMs, timeoutSchema } from "../../src/policies/timeout.js";

const STRATEGIES = ["none", "fixed", "linear", "exponential", "decorrelated"] as const;
const size = fc.oneof(
  fc.double({ min: 0, max: Number.MAX_VALUE, noNaN: true }),
  fc.nat(),
  fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE),
);
const policy: fc.Arbitrary<BackoffPolicy> = fc.record({
  strategy: fc.constantFrom(...STRATEGIES),
  initialDelayMs: size,
  factor: fc.oneof(fc.double({ min: 1, max: 100, noNaN: true }), fc.constant(100)),
  maxDelayMs: size,
  jitter: fc.constantFrom(...JITTERS),
});
const random = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const retry = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constantFrom(1, 1000, Number.MAX_SAFE_INTEGER));

describe("a wait between attempts", () => {
  it("is finite, not negative and at most the cap, whatever the numbers", () => {
    fc.assert(
      fc.property(policy, retry, size, random, (given, number, previous, drawn) => {
        const delay = backoffDelayMs(given, number, previous, () => drawn);
        expect(Number.isFinite(delay)).toBe(true);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(given.maxDelayMs);
      }),
      { numRuns: 2000 },
    );
  });

  it("never shrinks from one retry to the next without jitter", () => {
    fc.assert(
      fc.property(policy, fc.integer({ min: 1, max: 99 }), (given, number) => {
        fc.pre(given.strategy !== "decorrelated");
        const plain = { ...given, jitter: "none" } as const;
        expect(backoffDelayMs(plain, number + 1, 0, () => 0)).toBeGreaterThanOrEqual(
          backoffDelayMs(plain, number, 0, () => 0),
        );
      }),
    );
  });

  it("strays from the plain one by what the jitter allows", () => {
    const bounds = { none: [1, 1], full: [0, 1], equal: [0.5, 1], proportional: [0.75, 1.25] } as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...JITTERS),
        fc.integer({ min: 100, max: 10_000 }),
        random,
        (jitter, initialDelayMs, drawn) => {
          const given: BackoffPolicy = { strategy: "fixed", initialDelayMs, factor: 2, maxDelayMs: 1e9, jitter };
          const delay = backoffDelayMs(given, 1, 0, () => drawn);
          const [low, high] = bounds[jitter];
          expect(delay).toBeGreaterThanOrEqual(Math.floor(initialDelayMs * low));
          expect(delay).toBeLessThanOrEqual(Math.ceil(initialDelayMs * high));
        },
      ),
    );
  });

  it("decorrelated lies between the initial one and three times the one before", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 0, max: 100_000 }),
        random,
        (initialDelayMs, previous, drawn) => {
          const delay = backoffDelayMs(
            { strategy: "decorrelated", initialDelayMs, factor: 2, maxDelayMs: 1e9, jitter: "full" },
            3,
            previous,
            () => drawn,
          );
          expect(delay).toBeGreaterThanOrEqual(initialDelayMs);
          expect(delay).toBeLessThanOrEqual(3 * Math.max(previous, initialDelayMs));
        },
      ),
    );
  });
});

describe("the time limit of an attempt", () => {
  it("grows with the attempt and never passes the cap", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1, max: 1e9, noNaN: true }),
        fc.double({ min: 1, max: 1e9, noNaN: true }),
        fc.integer({ min: 1, max: 100 }),
        (baseMs, maxMs, number) => {
          const given = timeoutSchema.parse({ baseMs, maxMs });
          const limit = attemptTimeoutMs(given, number);
          expect(limit).toBeGreaterThan(0);
          expect(limit).toBeLessThanOrEqual(maxMs);
          expect(attemptTimeoutMs(given, number + 1)).toBeGreaterThanOrEqual(limit);
        },
      ),
    );
  });
});
