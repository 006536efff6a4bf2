import { describe, expect, it } from "vitest";
import { parseOptions } from "../../../src/core/options.js";
import {
  createRetryBudget,
  type RetryBudget,
  type RetryBudgetOptions,
  retryBudgetSchema,
} from "../../../src/policies/retry-budget.js";
import { FakeClock } from "../../support/fake-clock.js";

function budget(options: RetryBudgetOptions = {}): { readonly budget: RetryBudget; readonly clock: FakeClock } {
  const clock = new FakeClock();
  return { clock, budget: createRetryBudget("openai", retryBudgetSchema.parse(options), { clock }) };
}

function begin(calls: number, { call }: RetryBudget): void {
  for (let begun = 0; begun < calls; begun += 1) call();
}

/** How many retries are granted out of so many asked for. */
function granted(asked: number, { tryRetry }: RetryBudget): number {
  return Array.from({ length: asked }, tryRetry).filter(Boolean).length;
}

describe("the options of a retry budget", () => {
  it("have defaults", () => {
    expect(retryBudgetSchema.parse({})).toEqual({ ratio: 0.2, minRetries: 10, windowMs: 10_000 });
  });

  it.each([
    [{ ratio: -0.1 }, '"ratio" is -0.1'],
    [{ minRetries: 1.5 }, '"minRetries" is 1.5'],
    [{ windowMs: 0 }, '"windowMs" is 0'],
  ])("%j are refused", (given, words) => {
    expect(() => parseOptions("retryBudget", retryBudgetSchema, given)).toThrow(words);
  });
});

describe("a retry budget", () => {
  it("lets 100 calls that all fail, and would each retry three times, send 120 requests", () => {
    const { budget: shared } = budget({ ratio: 0.2 });
    begin(100, shared);
    expect(100 + granted(300, shared)).toBe(120);
  });

  it("grants minRetries however few the calls", () => {
    const { budget: shared } = budget({ minRetries: 3 });
    expect(granted(10, shared)).toBe(3);
    begin(1, shared);
    expect(granted(10, shared), "the calls' share is not on top of it").toBe(0);
  });

  it("grants nothing where nothing is allowed", () => {
    const { budget: shared } = budget({ ratio: 0, minRetries: 0 });
    begin(1000, shared);
    expect(granted(10, shared)).toBe(0);
  });

  it("grants more as more calls begin", () => {
    const { budget: shared } = budget({ ratio: 0.5, minRetries: 0 });
    expect(granted(1, shared)).toBe(0);
    begin(1, shared);
    expect(granted(1, shared), "half a retry is none").toBe(0);
    begin(1, shared);
    expect(granted(2, shared)).toBe(1);
  });

  it("forgets retries once they are out of the window, and a step of it", async () => {
    const { budget: shared, clock } = budget({ minRetries: 5, windowMs: 10_000 });
    expect(granted(9, shared)).toBe(5);
    await clock.advance(10_000);
    expect(granted(9, shared), "they may still be in it").toBe(0);
    await clock.advance(500);
    expect(granted(9, shared)).toBe(5);
  });

  it("forgets calls before they are out of the window, never after", async () => {
    const { budget: shared, clock } = budget({ ratio: 1, minRetries: 0, windowMs: 10_000 });
    begin(7, shared);
    await clock.advance(9_500);
    expect(shared.state.calls).toBe(7);
    await clock.advance(500);
    expect(shared.state.calls).toBe(0);
    expect(granted(1, shared)).toBe(0);
  });

  it("does not pay for the retries of one window with the calls of the one before", async () => {
    const { budget: shared, clock } = budget({ ratio: 0.2, minRetries: 0, windowMs: 1000 });
    let [calls, retries] = [0, 0];
    for (let round = 0; round < 200; round += 1) {
      begin(10, shared);
      calls += 10;
      retries += granted(50, shared);
      await clock.advance(50);
    }
    expect(retries).toBeLessThanOrEqual(0.2 * calls);
    expect(retries).toBeGreaterThan(0.17 * calls);
  });

  it("starts anew after a pause, however long", async () => {
    for (const pauseMs of [10_500, 11_000, 10_000_000]) {
      const { budget: shared, clock } = budget();
      begin(100, shared);
      expect(granted(100, shared)).toBe(20);
      await clock.advance(pauseMs);
      expect(shared.state).toEqual({ service: "openai", calls: 0, retries: 0, maxRetries: 10 });
      expect(granted(100, shared)).toBe(10);
    }
  });

  it("tells its state", () => {
    const { budget: shared } = budget({ ratio: 0.3, minRetries: 2 });
    begin(11, shared);
    granted(2, shared);
    expect(shared.state).toEqual({ service: "openai", calls: 11, retries: 2, maxRetries: 3 });
  });

  it("ages on when the clock is set back", async () => {
    const clock = new FakeClock();
    let setBackMs = 0;
    const wall = { now: () => clock.now() - setBackMs, sleep: clock.sleep, after: clock.after };
    const shared = createRetryBudget("openai", retryBudgetSchema.parse({}), { clock: wall });
    begin(100, shared);
    expect(granted(100, shared)).toBe(20);
    for (const step of [3_600_000, 7_200_000]) {
      setBackMs = step;
      expect(granted(100, shared), "no retry comes of it").toBe(0);
    }
    await clock.advance(10_500);
    expect(shared.state).toMatchObject({ calls: 0, retries: 0 });
  });
});
