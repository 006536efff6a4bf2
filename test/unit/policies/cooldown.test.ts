import { describe, expect, it } from "vitest";
import { classifyError } from "../../../src/errors/classify.js";
import { BulkheadFullError, CoolingDownError, RateLimitedError } from "../../../src/errors/policy-errors.js";
import type { ErrorReport } from "../../../src/errors/report.js";
import { createCooldown } from "../../../src/policies/cooldown.js";
import { settableClock } from "../../support/spending.js";

const DAY_MS = 86_400_000;

const asking = (retryAfterMs: number | undefined, fields: Partial<ErrorReport> = {}): ErrorReport => ({
  category: "rate_limit",
  retryable: true,
  message: "too many",
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  ...fields,
});

function cooling() {
  const clock = settableClock();
  const cooldown = createCooldown("openai", clock);
  const leftMs = () => {
    try {
      cooldown.check();
      return 0;
    } catch (error) {
      return (error as CoolingDownError).retryAfterMs;
    }
  };
  return { clock, cooldown, leftMs };
}

describe("a service that asked to be left alone", () => {
  it("is left alone for as long as it said, and no longer", () => {
    const { clock, cooldown, leftMs } = cooling();
    cooldown.note(asking(7000));
    expect(leftMs()).toBe(7000);
    clock.nowMs += 6999;
    expect(leftMs()).toBe(1);
    clock.nowMs += 1;
    expect(leftMs()).toBe(0);
  });

  it("is named by the error, which says when to come back", () => {
    const { cooldown } = cooling();
    cooldown.note(asking(1200.4));
    expect(() => cooldown.check()).toThrow(
      expect.objectContaining({
        code: "COOLING_DOWN",
        category: "rate_limit",
        service: "openai",
        message: '"openai" asked to be left alone (Retry-After) and was not asked; it may be in 1201 ms',
      }),
    );
  });

  it("is heeded also where it is overloaded rather than asked too often", () => {
    const { cooldown, leftMs } = cooling();
    cooldown.note(asking(3000, { category: "server_error", status: 503 }));
    expect(leftMs()).toBe(3000);
  });

  it("is left alone until the latest time it named", () => {
    const { clock, cooldown, leftMs } = cooling();
    cooldown.note(asking(9000));
    clock.nowMs += 1000;
    cooldown.note(asking(2000));
    expect(leftMs()).toBe(8000);
    cooldown.note(asking(20_000));
    expect(leftMs()).toBe(20_000);
  });

  it("is left alone for a day at most", () => {
    const { cooldown, leftMs } = cooling();
    cooldown.note(asking(365 * DAY_MS));
    expect(leftMs()).toBe(DAY_MS);
  });
});

describe("a service may be asked at once", () => {
  it.each<[string, ErrorReport]>([
    ["that has not named a time", asking(undefined)],
    ["that named none worth waiting for", asking(0)],
    ["whose failure is of another kind", asking(5000, { category: "invalid_input" })],
  ])("%s", (_which, report) => {
    const { cooldown, leftMs } = cooling();
    cooldown.note(report);
    expect(leftMs()).toBe(0);
  });

  it.each([
    ["the limit of our own", new RateLimitedError("openai", "60 requests a minute", 4000)],
    ["a cooldown itself", new CoolingDownError("openai", 4000)],
    ["a bulkhead", new BulkheadFullError("openai", "10 calls are under way")],
  ])("after a refusal by %s, which is not its own", (_whose, error) => {
    const { cooldown, leftMs } = cooling();
    cooldown.note(classifyError(error));
    expect(leftMs()).toBe(0);
  });
});
