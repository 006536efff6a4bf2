/** Model calls and usages that the tests of the budget are made of. */
import type { Clock } from "../../src/core/clock.js";
import type { ModelUsage, Usage } from "../../src/policies/usage.js";
import { NO_USAGE } from "../../src/policies/usage.js";

export function call(inputTokens: number, outputTokens: number, model = "gpt-4.1"): ModelUsage {
  return { model, inputTokens, outputTokens, cachedInputTokens: 0, totalTokens: inputTokens + outputTokens };
}

export function usage(fields: Partial<Usage>): Usage {
  return { ...NO_USAGE, ...fields };
}

/** A clock for what only looks at the time. */
export function settableClock(): Clock & { nowMs: number } {
  const never = (): never => {
    throw new Error("only the time is looked at here");
  };
  return {
    nowMs: 1_700_000_000_000,
    now() {
      return this.nowMs;
    },
    sleep: never,
    after: never,
  };
}
