import { describe, expect, it, vi } from "vitest";
import { parseOptions } from "../../../src/core/options.js";
import { classifyError } from "../../../src/errors/classify.js";
import { type BudgetPolicy, budgetSchema, createMeter, type Meter } from "../../../src/policies/budget.js";
import { NO_USAGE, NOTHING_SPENT, totalUsage } from "../../../src/policies/usage.js";
import { call, settableClock, usage } from "../../support/spending.js";

const metered = () => {
  const clock = settableClock();
  return { clock, meter: createMeter({ clock }) };
};
const attempt = (meter: Meter, outcome: "useful" | "wasted", ...calls: ReturnType<typeof call>[]) => {
  const begun = meter.begin();
  for (const one of calls) begun.add(one);
  begun.end(outcome);
};
const refusal = (meter: Meter, policy: BudgetPolicy): unknown => {
  try {
    meter.check(policy, 'thread "order-17"');
    return undefined;
  } catch (error) {
    return error;
  }
};

describe("a meter", () => {
  it("has counted nothing at first", () => {
    expect(metered().meter.spent).toEqual(NOTHING_SPENT);
  });

  it("counts failed attempts apart", () => {
    const { meter } = metered();
    attempt(meter, "wasted", call(100, 50), call(10, 5));
    attempt(meter, "useful", call(100, 70));
    expect(meter.spent).toEqual({
      useful: usage({ attempts: 1, inputTokens: 100, outputTokens: 70, totalTokens: 170, usd: 0.00076 }),
      wasted: usage({ attempts: 1, inputTokens: 110, outputTokens: 55, totalTokens: 165, usd: 0.00066 }),
      inFlight: NO_USAGE,
    });
  });

  it("knows what an attempt has used while it is under way", () => {
    const { meter, clock } = metered();
    const begun = meter.begin();
    begun.add(call(10, 1));
    clock.nowMs += 30;
    expect(meter.idle).toBe(false);
    expect(meter.spent).toMatchObject({
      useful: NO_USAGE,
      wasted: NO_USAGE,
      inFlight: { attempts: 1, totalTokens: 11, activeMs: 30 },
    });
    begun.end("useful");
    expect(meter.idle).toBe(true);
    expect(meter.spent.inFlight).toEqual(NO_USAGE);
  });

  it("counts a call that is told of after the end as its attempt was", () => {
    const { meter } = metered();
    const begun = meter.begin();
    begun.end("wasted");
    begun.add(call(10, 1));
    expect(meter.spent).toMatchObject({ useful: NO_USAGE, wasted: { attempts: 1, totalTokens: 11 } });
  });

  it("takes the first end of an attempt for its end", () => {
    const { meter, clock } = metered();
    const begun = meter.begin();
    clock.nowMs += 5;
    begun.end("wasted");
    clock.nowMs += 5;
    begun.end("useful");
    expect(meter.spent).toEqual({ ...NOTHING_SPENT, wasted: usage({ attempts: 1, activeMs: 5 }) });
  });

  it("goes on from what was spent before, where what was in flight came to nothing", () => {
    const before = {
      useful: usage({ attempts: 2, usd: 0.5 }),
      wasted: usage({ attempts: 1 }),
      inFlight: usage({ attempts: 1, totalTokens: 40, activeMs: 9 }),
    };
    const meter = createMeter({ clock: settableClock(), initial: before });
    expect(meter.spent).toEqual({
      useful: before.useful,
      wasted: usage({ attempts: 2, totalTokens: 40, activeMs: 9 }),
      inFlight: NO_USAGE,
    });
  });

  it("keeps apart the tokens nobody knows the price of, and the calls nobody knows the tokens of", () => {
    const { meter } = metered();
    attempt(meter, "useful", call(7, 3, "house-1"), { ...call(5, 0), unmeasured: true });
    expect(meter.spent.useful).toMatchObject({
      totalTokens: 15,
      unpricedTokens: 10,
      unmeasuredCalls: 1,
      usd: 0.00001,
    });
  });
});

describe("active time", () => {
  it("is not doubled by parallel attempts, which share it", () => {
    const { meter, clock } = metered();
    const first = meter.begin();
    clock.nowMs += 10;
    const second = meter.begin();
    clock.nowMs += 10;
    second.end("wasted");
    clock.nowMs += 10;
    first.end("useful");
    expect(meter.spent.wasted.activeMs).toBe(5);
    expect(meter.spent.useful.activeMs).toBe(25);
  });

  it("does not pass between attempts", () => {
    const { meter, clock } = metered();
    attempt(meter, "useful");
    clock.nowMs += 86_400_000;
    attempt(meter, "useful");
    expect(meter.spent.useful).toEqual(usage({ attempts: 2 }));
  });

  it("does not go back with a clock that is set back, and goes on from there", () => {
    const { meter, clock } = metered();
    const begun = meter.begin();
    clock.nowMs += 10;
    expect(meter.spent.inFlight.activeMs).toBe(10);
    clock.nowMs -= 3_600_000;
    expect(meter.spent.inFlight.activeMs).toBe(10);
    clock.nowMs += 5;
    begun.end("useful");
    expect(meter.spent.useful.activeMs).toBe(15);
  });

  it("loses no part of a millisecond to sharing, as long as attempts overlap", () => {
    const { meter, clock } = metered();
    let running = [meter.begin(), meter.begin(), meter.begin()];
    for (let step = 0; step < 1000; step += 1) {
      clock.nowMs += 1;
      running.shift()?.end(step % 2 === 0 ? "useful" : "wasted");
      running = [...running, meter.begin()];
    }
    const { useful, wasted, inFlight } = meter.spent;
    expect(useful.activeMs + wasted.activeMs + inFlight.activeMs).toBe(1000);
    // three at a time, each with a third of three milliseconds
    expect(inFlight.activeMs).toBeLessThanOrEqual(2);
  });
});

describe("a budget", () => {
  it("without limits only counts", () => {
    const { meter } = metered();
    for (let number = 0; number < 50; number += 1) attempt(meter, "wasted", call(1e9, 1e9));
    expect(refusal(meter, budgetSchema.parse({}))).toBeUndefined();
  });

  it("allows so many attempts and no more, those under way included", () => {
    const { meter } = metered();
    meter.begin();
    attempt(meter, "wasted");
    expect(refusal(meter, { maxAttempts: 3 })).toBeUndefined();
    meter.begin();
    expect(refusal(meter, { maxAttempts: 3 })).toMatchObject({
      code: "BUDGET_EXCEEDED",
      message:
        'The budget of thread "order-17" is used up: 3 of 3 attempts (maxAttempts), 1 wasted; raise maxAttempts and resume, or let a simpler step answer',
      details: { limit: "maxAttempts", used: 3, allowed: 3, wasted: 1 },
    });
  });

  it("of tokens is checked before an attempt, and one that has begun may overshoot it", () => {
    const { meter } = metered();
    const begun = meter.begin();
    begun.add(call(900, 99));
    expect(refusal(meter, { maxTokens: 1000 })).toBeUndefined();
    begun.add(call(900, 101));
    expect(refusal(meter, { maxTokens: 1000 })).toMatchObject({
      message: expect.stringContaining("2000 of 1000 tokens (maxTokens); raise maxTokens"),
    });
  });

  it("of money is reached to the cent, not to the binary fraction", () => {
    const { meter } = metered();
    attempt(meter, "useful", call(350_000, 0));
    attempt(meter, "wasted", call(50_000, 0));
    expect(totalUsage(meter.spent).usd).toBe(0.8);
    expect(refusal(meter, { maxUsd: 0.8 })).toMatchObject({
      message: expect.stringContaining("0.8 of 0.8 USD (maxUsd), 0.1 wasted"),
      details: { limit: "maxUsd", used: 0.8, allowed: 0.8, wasted: 0.1 },
    });
  });

  it("of time counts the time of attempts under way", () => {
    const { meter, clock } = metered();
    meter.begin();
    clock.nowMs += 999;
    expect(refusal(meter, { maxActiveMs: 1000 })).toBeUndefined();
    clock.nowMs += 1;
    expect(refusal(meter, { maxActiveMs: 1000 })).toMatchObject({
      message: expect.stringContaining("1000 of 1000 ms of active time (maxActiveMs)"),
    });
  });

  it("that is used up is a matter of quota: not retried, a fallback may answer", () => {
    const { meter } = metered();
    attempt(meter, "useful");
    expect(classifyError(refusal(meter, { maxAttempts: 1 }))).toMatchObject({ category: "quota", retryable: false });
  });

  it("of money says once when it cannot see what a model costs", () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    try {
      const { meter } = metered();
      attempt(meter, "useful", call(10, 10, "house-without-price"));
      meter.check({ maxTokens: 100 }, "thread");
      expect(warned).not.toHaveBeenCalled();
      meter.check({ maxUsd: 1 }, "thread");
      meter.check({ maxUsd: 1 }, "thread");
      expect(warned.mock.calls).toEqual([
        [
          'maxUsd does not count what "house-without-price" costs: its price is not known; add it with definePrice()',
          "ResilienceWarning",
        ],
      ]);
    } finally {
      warned.mockRestore();
    }
  });

  it.each([
    [{ maxAttempts: 0 }, /option "maxAttempts" is 0/],
    [{ maxTokens: 1.5 }, /option "maxTokens" is 1.5/],
    [{ maxUsd: -1 }, /option "maxUsd" is -1/],
    [{ maxActiveMs: 0 }, /option "maxActiveMs" is 0/],
    [{ maxDollars: 1 }, /maxDollars/],
  ])("as %j is refused by naming what is wrong", (options, message) => {
    expect(() => parseOptions("budget", budgetSchema, options)).toThrow(message);
  });
});
