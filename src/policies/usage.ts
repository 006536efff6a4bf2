/** What was spent: plain sums, and how they are written down. */
import { z } from "zod";

/** What one model call used, in tokens. */
export interface ModelUsage {
  /** As the provider names it; "" when it does not. */
  readonly model: string;
  readonly inputTokens: number;
  /** Reasoning included. */
  readonly outputTokens: number;
  /** Part of `inputTokens`. */
  readonly cachedInputTokens: number;
  readonly totalTokens: number;
  /** The call broke off, or answered without saying what it used: more was used than is known. */
  readonly unmeasured?: true;
}

const amount = z.number().min(0);

const usageSchema = z.object({
  inputTokens: amount,
  outputTokens: amount,
  /** Part of `inputTokens`. */
  cachedInputTokens: amount,
  totalTokens: amount,
  /** US dollars, for the tokens whose price is known. */
  usd: amount,
  /** Tokens of models that are not in the price table: not in `usd`. */
  unpricedTokens: amount,
  /** Model calls that did not say, or not to the end, what they used: more was spent than these sums say. */
  unmeasuredCalls: amount,
  /** Attempts at nodes and fallback steps. */
  attempts: amount,
  /** Milliseconds in which at least one attempt was under way; parallel ones share them. */
  activeMs: amount,
});

export type Usage = Readonly<z.output<typeof usageSchema>>;

/** What a thread has spent, by what came of it. The three together are all of it. */
export interface Spending {
  /** By attempts that succeeded. */
  readonly useful: Usage;
  /** By attempts that failed. */
  readonly wasted: Usage;
  /** So far, by attempts that are under way. */
  readonly inFlight: Usage;
}

export const NO_USAGE: Usage = Object.freeze({
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  totalTokens: 0,
  usd: 0,
  unpricedTokens: 0,
  unmeasuredCalls: 0,
  attempts: 0,
  activeMs: 0,
});

export const NOTHING_SPENT: Spending = Object.freeze({ useful: NO_USAGE, wasted: NO_USAGE, inFlight: NO_USAGE });

/**
 * To the millionth of a millionth of a dollar, which holds every price of up to six decimals per million tokens: sums
 * are then those of decimal arithmetic, in any order, and 0.7 + 0.1 reaches a limit of 0.8.
 */
export function roundUsd(usd: number): number {
  return Math.round(usd * 1e12) / 1e12;
}

export function addUsage(a: Usage, b: Usage): Usage {
  return combine(a, b, plus);
}

/** What `a` has beyond `b`, field by field; never negative. */
export function usageBeyond(a: Usage, b: Usage): Usage {
  return combine(a, b, beyond);
}

/** The larger of each field. */
export function largerUsage(a: Usage, b: Usage): Usage {
  return combine(a, b, Math.max);
}

export function totalUsage({ useful, wasted, inFlight }: Spending): Usage {
  return addUsage(addUsage(useful, wasted), inFlight);
}

/** The same once its process is gone: nothing came of the attempts that were under way. */
export function settled({ useful, wasted, inFlight }: Spending): Spending {
  return { useful, wasted: addUsage(wasted, inFlight), inFlight: NO_USAGE };
}

const recordSchema = z.object({
  v: z.literal(1),
  useful: usageSchema,
  wasted: usageSchema,
  /** Absent when no attempt was under way. */
  inFlight: usageSchema.optional(),
});

/** A {@link Spending} as it is stored: plain JSON. */
export type SpendingRecord = Readonly<z.output<typeof recordSchema>>;

export function spendingRecord({ useful, wasted, inFlight }: Spending): SpendingRecord {
  return { v: 1, useful, wasted, ...(isNothing(inFlight) ? {} : { inFlight }) };
}

/** @returns undefined for what is no record of this version */
export function spendingOf(record: unknown): Spending | undefined {
  const parsed = recordSchema.safeParse(record);
  if (!parsed.success) return undefined;
  const { useful, wasted, inFlight } = parsed.data;
  return { useful, wasted, inFlight: inFlight ?? NO_USAGE };
}

function isNothing(usage: Usage): boolean {
  return Object.values(usage).every((value) => value === 0);
}

const plus = (a: number, b: number): number => a + b;
const beyond = (a: number, b: number): number => Math.max(0, a - b);

function combine(a: Usage, b: Usage, by: (a: number, b: number) => number): Usage {
  return {
    inputTokens: by(a.inputTokens, b.inputTokens),
    outputTokens: by(a.outputTokens, b.outputTokens),
    cachedInputTokens: by(a.cachedInputTokens, b.cachedInputTokens),
    totalTokens: by(a.totalTokens, b.totalTokens),
    usd: roundUsd(by(a.usd, b.usd)),
    unpricedTokens: by(a.unpricedTokens, b.unpricedTokens),
    unmeasuredCalls: by(a.unmeasuredCalls, b.unmeasuredCalls),
    attempts: by(a.attempts, b.attempts),
    activeMs: by(a.activeMs, b.activeMs),
  };
}
