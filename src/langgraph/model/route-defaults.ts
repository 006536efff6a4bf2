/**
 * How patient a model of a chain is, where nobody has said: a model that another can stand in for is given up on quickly,
 * the last one is not.
 */
import type { Category } from "../../errors/categories.js";
import { CATEGORIES, CATEGORY_POLICIES } from "../../errors/categories.js";
import type { BreakerOptions } from "../../policies/breaker/breaker-options.js";
import type { RetryOptions } from "../../policies/retry-options.js";
import type { TimeoutOptions } from "../../policies/timeout.js";

export interface Position {
  /** Whether no other model comes after it. */
  readonly isLast: boolean;
  /** Whether its answers come piece by piece, so that a silent one can be told from a slow one. */
  readonly streams: boolean;
  /** Whether it thinks before it says anything. */
  readonly reasons: boolean;
}

/** One retry of what passes quickly; a wait that the fallback need not wait for is left to it. */
const WHILE_ANOTHER_IS_LEFT: RetryOptions = {
  maxAttempts: 3,
  initialDelayMs: 500,
  patienceMs: 5000,
  categories: {
    network: { retries: 1 },
    timeout: { retries: 1 },
    rate_limit: { retries: 1 },
    server_error: { retries: 1 },
    conflict: { retries: 1 },
    unknown: { retries: 1 },
  },
};

/** As the matrix has it, except that waiting for a silent model a third time helps nobody. */
const AS_THE_LAST: RetryOptions = { categories: { timeout: { retries: 1 } } };

export function defaultRetry({ isLast, streams }: Position): RetryOptions {
  if (isLast) return AS_THE_LAST;
  if (streams) return WHILE_ANOTHER_IS_LEFT;
  // Of a whole answer nothing is heard before its end: past its time it counts as silent.
  return { ...WHILE_ANOTHER_IS_LEFT, categories: { ...WHILE_ANOTHER_IS_LEFT.categories, timeout: { retries: 0 } } };
}

const WHOLE_MS = 60_000;
const FIRST_TOKEN_MS = { last: 30_000, other: 15_000 };
const IDLE_MS = { last: 30_000, other: 15_000 };
/** Reasoning models think for up to minutes before they say a word. */
const REASONING_FACTOR = 4;

export function defaultTimeout({ isLast, streams, reasons }: Position): TimeoutOptions {
  // Of the same length each time: nothing is heard of a whole answer, and more patience would only wait longer for nothing.
  if (!streams) return { baseMs: WHOLE_MS * (reasons ? 2 : 1), maxMs: WHOLE_MS * (reasons ? 2 : 1) };
  const which = isLast ? "last" : "other";
  const factor = reasons ? REASONING_FACTOR : 1;
  return {
    // A long answer takes minutes; whether it is alive is known from its tokens.
    baseMs: 300_000,
    firstTokenMs: FIRST_TOKEN_MS[which] * factor,
    idleMs: IDLE_MS[which] * factor,
  };
}

/** Quick to let a sick model rest, and quick to look after it: a probe costs one request, a long rest a better answer. */
export const DEFAULT_BREAKER: BreakerOptions = {
  trip: { kind: "consecutive", failures: 3 },
  recoveryMs: 5000,
  halfOpenSuccesses: 2,
};

/** What a further model may answer for: all that a fallback is there for, and a question too long for a smaller one. */
export function defaultWhen(mayBeLarger: boolean): readonly Category[] {
  return CATEGORIES.filter(
    (category) => CATEGORY_POLICIES[category].next === "fallback" || (mayBeLarger && category === "context_length"),
  );
}

/** By the names under which their makers sell them. */
export function isReasoningModel(name: string): boolean {
  return /^o\d|\bgpt-5|reason|think|\br1\b|magistral|qwq/i.test(name);
}
