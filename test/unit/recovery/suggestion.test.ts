import { describe, expect, it } from "vitest";
import type { AttemptRecord, FailureRecord } from "../../../src/core/records.js";
import type { Category } from "../../../src/errors/categories.js";
import { ACTIONS, type Action } from "../../../src/recovery/decision.js";
import { suggestAction } from "../../../src/recovery/suggestion.js";

const report = (category: Category) => ({ category, retryable: true, message: "m" });
const attempts = (category: Category, count: number, step = "node"): AttemptRecord[] =>
  Array.from({ length: count }, (_, index) => ({
    number: index + 1,
    step,
    startedAt: 0,
    durationMs: 1,
    report: report(category),
  }));
const failure = (
  category: Category,
  tries: readonly AttemptRecord[],
  more: Partial<FailureRecord> = {},
): FailureRecord => ({
  v: 1,
  node: "n",
  input: {},
  report: report(category),
  attempts: tries,
  fallbacks: ["simple"],
  decisions: [],
  ...more,
});
const suggested = (category: Category, tries: number, allowed: readonly Action[] = ACTIONS) =>
  suggestAction(failure(category, attempts(category, tries)), allowed);

describe("the suggested action", () => {
  it.each<[Category, number, Action]>([
    ["network", 4, "retry"],
    ["network", 5, "fallback"],
    ["server_error", 9, "fallback"],
    ["auth", 1, "escalate"],
    ["permission", 9, "escalate"],
    ["rate_limit", 1, "retry"],
    ["rate_limit", 2, "adjust"],
    ["timeout", 1, "retry"],
    ["timeout", 2, "retry"],
    ["timeout", 3, "fallback"],
    ["bug", 1, "retry"],
    ["stuck", 1, "retry"],
    ["unknown", 4, "retry"],
  ])("for %s after %d attempts is %s", (category, tries, action) => {
    expect(suggested(category, tries).action).toBe(action);
  });

  it("counts the attempts over human rounds, mixed categories too, and not those of fallbacks", () => {
    const mixed = [...attempts("network", 3), ...attempts("timeout", 2)];
    expect(
      suggestAction(
        failure("timeout", mixed, { decisions: [{ action: "retry", by: "ann", at: "2026-01-01T00:00:00.000Z" }] }),
        ACTIONS,
      ).action,
    ).toBe("fallback");
    const ofFallback = [...attempts("network", 1), ...attempts("network", 9, "simple")];
    expect(suggestAction(failure("network", ofFallback), ACTIONS).action).toBe("retry");
  });

  it("to slow down says by how much", () => {
    expect(suggested("rate_limit", 2).parameters).toEqual({ initialDelayMs: 30_000 });
  });

  it("is always one of those offered, and says when it is a substitute", () => {
    for (const category of ["network", "auth", "rate_limit", "timeout", "bug"] as const) {
      for (const tries of [1, 3, 5]) {
        for (const only of ACTIONS) expect(suggested(category, tries, [only]).action).toBe(only);
      }
    }
    expect(suggested("auth", 1, ["retry", "abort"]).reason).toContain('"escalate" is not offered here');
  });
});
