import { z } from "zod";
import { CATEGORIES, CATEGORY_POLICIES, type Category, type CategoryPolicy } from "../errors/categories.js";
import type { ErrorReport } from "../errors/report.js";
import { JITTERS } from "./backoff.js";

const callback = <F>() => z.custom<F>((value) => typeof value === "function", "must be a function");
const STRATEGIES = ["none", "fixed", "linear", "exponential", "decorrelated"] as const;

const categoryOverride = z.strictObject({
  /** Retries after the first attempt. */
  retries: z.int().min(0).max(100).optional(),
  backoff: z.enum(STRATEGIES).optional(),
  initialDelayMs: z.number().min(0).optional(),
});

/** Returns false to give up, true to try again although the category says no, undefined to let the category decide. */
export type RetryOn = (report: ErrorReport, error: unknown) => boolean | undefined | Promise<boolean | undefined>;
/** Awaited before the wait begins. */
export type OnRetry = (report: ErrorReport, attempt: number, delayMs: number) => void | Promise<void>;

export const retrySchema = z.strictObject({
  /** First attempt included; bounds all categories together. */
  maxAttempts: z.int().min(1).max(100).default(4),
  /** The waits of every category scale with it: the matrix is written for 1000 ms. */
  initialDelayMs: z.number().min(0).default(1000),
  backoffFactor: z.number().min(1).max(100).default(2),
  /** Cap of one wait, jitter included. A Retry-After may exceed it. */
  maxDelayMs: z.number().min(0).default(60_000),
  /** No wait is begun that would end later than this after the first attempt began. */
  maxElapsedMs: z.number().min(0).default(120_000),
  /** While a fallback is left, no wait is begun that is longer than this: the fallback may answer sooner. No limit by default. */
  patienceMs: z.number().min(0).optional(),
  /** Overrides every category's own growth. */
  strategy: z.enum(STRATEGIES).optional(),
  jitter: z.enum(JITTERS).default("proportional"),
  categories: z.partialRecord(z.enum(CATEGORIES), categoryOverride).default({}),
  retryOn: callback<RetryOn>().optional(),
  onRetry: callback<OnRetry>().optional(),
});

export type RetryOptions = z.input<typeof retrySchema>;
export type RetryPolicy = z.output<typeof retrySchema>;

/** One attempt and no more. */
export const NO_RETRY: RetryPolicy = retrySchema.parse({ maxAttempts: 1 });

/** What a category grows by that the matrix does not retry, once an option says that it is to be retried. */
const UNFORESEEN = { backoff: "exponential", initialDelayMs: 1000 } as const;

/**
 * The row of the matrix that applies under this policy.
 *
 * @param isWanted a retry is to be made although the row may have none
 */
export function categoryPolicy(policy: RetryPolicy, category: Category, isWanted = false): CategoryPolicy {
  const override = policy.categories[category];
  const standard = CATEGORY_POLICIES[category];
  const row =
    standard.retries === 0 && (override?.retries !== undefined || isWanted) ? { ...standard, ...UNFORESEEN } : standard;
  return {
    next: row.next,
    retries: override?.retries ?? row.retries,
    backoff: override?.backoff ?? (row.backoff === "none" ? "none" : (policy.strategy ?? row.backoff)),
    initialDelayMs: override?.initialDelayMs ?? (row.initialDelayMs * policy.initialDelayMs) / 1000,
  };
}
