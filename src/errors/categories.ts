/**
 * What a failure means, and the default ladder for each meaning: how often it is tried again, how long to wait,
 * and which rung comes when the retries are used up.
 */

export const CATEGORIES = [
  "network",
  "timeout",
  "rate_limit",
  "server_error",
  "model_unavailable",
  "malformed_output",
  "tool_execution",
  "conflict",
  "environment",
  "context_length",
  "content_policy",
  "stuck",
  "auth",
  "permission",
  "quota",
  "not_found",
  "invalid_input",
  "bug",
  "cancelled",
  "unknown",
] as const;

export type Category = (typeof CATEGORIES)[number];

/** How the wait before the next attempt grows. `none` tries again at once. */
export type BackoffStrategy = "none" | "fixed" | "linear" | "exponential" | "decorrelated";

/**
 * The rung after the retries.
 * - `fallback`: any declared fallback step, then a person
 * - `declared_fallback`: only a fallback step whose `when` names this category, then a person
 * - `human`: straight to a person, fallbacks are not tried
 * - `fail`: the run is refused at once with the error itself
 * - `stop`: the run ends because someone asked it to
 */
export type NextRung = "fallback" | "declared_fallback" | "human" | "fail" | "stop";

export interface CategoryPolicy {
  /** Retries after the first attempt; `maxAttempts` bounds all categories together. */
  readonly retries: number;
  readonly backoff: BackoffStrategy;
  /** Base of the back-off in milliseconds; the retry options' `initialDelayMs` scales it (see policies/retry). */
  readonly initialDelayMs: number;
  readonly next: NextRung;
}

const never = (next: NextRung): CategoryPolicy => ({ retries: 0, backoff: "none", initialDelayMs: 0, next });
const grows = (retries: number, initialDelayMs: number): CategoryPolicy => ({
  retries,
  backoff: "exponential",
  initialDelayMs,
  next: "fallback",
});

/** The default matrix. docs/errors.md says where the sources disagree and why each number was chosen. */
export const CATEGORY_POLICIES: Readonly<Record<Category, CategoryPolicy>> = {
  network: grows(3, 1000),
  timeout: grows(2, 500),
  rate_limit: grows(3, 2000),
  server_error: grows(3, 1000),
  model_unavailable: never("fallback"),
  malformed_output: { retries: 2, backoff: "none", initialDelayMs: 0, next: "fallback" },
  tool_execution: grows(2, 1000),
  conflict: grows(3, 1000),
  environment: never("fallback"),
  context_length: never("declared_fallback"),
  content_policy: never("declared_fallback"),
  stuck: never("human"),
  auth: never("human"),
  permission: never("human"),
  quota: never("fallback"),
  not_found: never("fail"),
  invalid_input: never("fail"),
  bug: never("human"),
  cancelled: never("stop"),
  unknown: grows(3, 1000),
};

export function isCategory(value: unknown): value is Category {
  return typeof value === "string" && (CATEGORIES as readonly string[]).includes(value);
}
