import type { BackoffStrategy } from "../errors/categories.js";

export const JITTERS = ["none", "full", "equal", "proportional"] as const;
export type Jitter = (typeof JITTERS)[number];

export interface BackoffPolicy {
  readonly strategy: BackoffStrategy;
  readonly initialDelayMs: number;
  readonly factor: number;
  readonly maxDelayMs: number;
  readonly jitter: Jitter;
}

/**
 * The wait before retry number `retry` (1 = the first retry), in milliseconds: finite, not negative, at most
 * `maxDelayMs`. Jitter is applied before the cap so that the cap holds.
 *
 * Jitter "full", "equal" and the strategy "decorrelated" are from "Exponential Backoff And Jitter", AWS Architecture
 * Blog, 2015; "proportional" is ±25 %.
 *
 * @param previousMs the wait before the previous retry, for "decorrelated"; 0 for the first
 * @param random uniform in [0, 1)
 */
export function backoffDelayMs(policy: BackoffPolicy, retry: number, previousMs: number, random: () => number): number {
  const base = Math.min(growth(policy, retry, previousMs, random), Number.MAX_SAFE_INTEGER);
  const jittered = policy.strategy === "decorrelated" ? base : withJitter(policy.jitter, base, random());
  return Math.max(0, Math.min(policy.maxDelayMs, Math.round(jittered)));
}

function growth(policy: BackoffPolicy, retry: number, previousMs: number, random: () => number): number {
  const { initialDelayMs: initial, factor } = policy;
  // Nothing grows to nothing, even where the factor has grown beyond all numbers.
  if (initial === 0 && policy.strategy !== "decorrelated") return 0;
  switch (policy.strategy) {
    case "none":
      return 0;
    case "fixed":
      return initial;
    case "linear":
      return initial * retry;
    case "exponential":
      return initial * factor ** (retry - 1);
    case "decorrelated":
      return (
        initial + random() * Math.max(0, Math.min(3 * Math.max(previousMs, initial), Number.MAX_SAFE_INTEGER) - initial)
      );
  }
}

function withJitter(jitter: Jitter, delayMs: number, random: number): number {
  switch (jitter) {
    case "none":
      return delayMs;
    case "full":
      return delayMs * random;
    case "equal":
      return delayMs / 2 + (delayMs / 2) * random;
    case "proportional":
      return delayMs * (0.75 + 0.5 * random);
  }
}
