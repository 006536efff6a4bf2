/** Sums that are counted up in place: a meter counts with every attempt and every model call. */
import { type ModelUsage, NO_USAGE, roundUsd, type Usage } from "./usage.js";

export type UsageTally = { -readonly [field in keyof Usage]: Usage[field] };

export function emptyTally(): UsageTally {
  return { ...NO_USAGE };
}

/** @param usd what the call cost, where that is known */
export function countCall(tally: UsageTally, call: ModelUsage, usd: number | undefined): void {
  tally.inputTokens += call.inputTokens;
  tally.outputTokens += call.outputTokens;
  tally.cachedInputTokens += call.cachedInputTokens;
  tally.totalTokens += call.totalTokens;
  if (usd === undefined) tally.unpricedTokens += call.totalTokens;
  else tally.usd = roundUsd(tally.usd + usd);
  if (call.unmeasured === true) tally.unmeasuredCalls += 1;
}

export function addToTally(tally: UsageTally, usage: Usage): void {
  tally.inputTokens += usage.inputTokens;
  tally.outputTokens += usage.outputTokens;
  tally.cachedInputTokens += usage.cachedInputTokens;
  tally.totalTokens += usage.totalTokens;
  tally.usd = roundUsd(tally.usd + usage.usd);
  tally.unpricedTokens += usage.unpricedTokens;
  tally.unmeasuredCalls += usage.unmeasuredCalls;
  tally.attempts += usage.attempts;
  tally.activeMs += usage.activeMs;
}

/** @param usage part of what the tally has counted */
export function takeFromTally(tally: UsageTally, usage: Usage): void {
  tally.inputTokens -= usage.inputTokens;
  tally.outputTokens -= usage.outputTokens;
  tally.cachedInputTokens -= usage.cachedInputTokens;
  tally.totalTokens -= usage.totalTokens;
  tally.usd = roundUsd(tally.usd - usage.usd);
  tally.unpricedTokens -= usage.unpricedTokens;
  tally.unmeasuredCalls -= usage.unmeasuredCalls;
  tally.attempts -= usage.attempts;
  tally.activeMs -= usage.activeMs;
}
