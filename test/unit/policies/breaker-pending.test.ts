import { describe, expect, it } from "vitest";
import { breakerSchema } from "../../../src/policies/breaker/breaker-options.js";
import { closedState } from "../../../src/policies/breaker/breaker-state.js";
import { createPendingOutcomes } from "../../../src/policies/breaker/pending-outcomes.js";
import { totals } from "../../../src/policies/breaker/trip-statistics.js";

const policy = breakerSchema.parse({ trip: { kind: "ratio", ratio: 1, window: { ms: 1_000_000 } } });
const ended = (outcome: "success" | "failure") =>
  ({ kind: "call_ended", generation: 0, outcome, durationMs: 1, times: 1 }) as const;

/** The calls in the window after what is pending. */
function applied(pending: ReturnType<typeof createPendingOutcomes>) {
  const state = pending.applyTo(closedState(0, 0), policy, (localMs) => localMs);
  if (state.kind !== "closed" || state.statistics[0]?.kind !== "time") throw new Error("no window");
  return totals(state.statistics[0]);
}

describe("outcomes that the store has not been told yet", () => {
  it("are all counted, however many are alike", () => {
    const pending = createPendingOutcomes(policy);
    pending.add(ended("success"), 0);
    for (let call = 0; call < 100_000; call += 1) pending.add(ended("failure"), call);
    expect(applied(pending)).toEqual({ calls: 100_001, marked: 100_000 });
  });

  it("are given up, oldest first, when they are thousands and no two in a row are alike", () => {
    const pending = createPendingOutcomes(policy);
    for (let call = 0; call < 50_000; call += 1) pending.add(ended(call % 2 === 0 ? "success" : "failure"), call);
    for (let call = 0; call < 900; call += 1) pending.add(ended("failure"), 50_000);
    const { calls, marked } = applied(pending);
    expect(calls).toBeLessThanOrEqual(3000);
    expect(calls).toBeGreaterThanOrEqual(1900);
    expect(marked).toBeGreaterThanOrEqual(900 + 499);
  });

  it("are gone once they have arrived, and those that came after they were sent are not", () => {
    const pending = createPendingOutcomes(policy);
    pending.add(ended("success"), 0);
    pending.add(ended("success"), 0);
    const sent = pending.seal();
    pending.add(ended("success"), 0);
    pending.forget(sent);
    expect(applied(pending)).toEqual({ calls: 1, marked: 0 });
  });
});
