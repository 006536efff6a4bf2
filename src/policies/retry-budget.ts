import { z } from "zod";
import type { Clock } from "../core/clock.js";

export const retryBudgetSchema = z.strictObject({
  /** Retries per call. */
  ratio: z.number().min(0).max(100).default(0.2),
  /** Retries that a window may have however few its calls. */
  minRetries: z.int().min(0).default(10),
  windowMs: z.int().min(1).default(10_000),
});

export type RetryBudgetOptions = z.input<typeof retryBudgetSchema>;
export type RetryBudgetPolicy = z.output<typeof retryBudgetSchema>;

/** What counts right now. */
export interface RetryBudgetState {
  readonly service: string;
  readonly calls: number;
  readonly retries: number;
  /** Retries allowed for so many calls, those made already included. */
  readonly maxRetries: number;
}

export interface RetryBudget {
  readonly state: RetryBudgetState;
  /** A call begins: its first attempt, not its retries. */
  call(): void;
  /** Whether one more attempt may be made; if so, it is counted. */
  tryRetry(): boolean;
}

/** The window moves on in so many steps. */
const STEPS = 20;

interface Bucket {
  calls: number;
  retries: number;
  next: Bucket;
}

/**
 * Bounds the retries of all callers of one service together, so that they do not multiply the load of one that is down.
 *
 * Whenever a retry is granted, the retries of the last `windowMs`, that one included, are at most `minRetries` or
 * `ratio` × the calls begun in the last `windowMs`, whichever is more. So over any span there are at most `ratio` ×
 * calls + `minRetries` × (windows begun) of them. A call counts for up to a 20th of the window less than the window, and
 * a retry for up to a 20th more, never the other way round.
 *
 * Ratio and window are the defaults of Finagle's RetryBudget (https://finagle.github.io/blog/2016/02/08/retry-budgets),
 * which grants its 10 retries a second and on top of the ratio; here they are a floor for the whole window.
 *
 * @param service whose retries they are, for `state`
 */
export function createRetryBudget(
  service: string,
  policy: RetryBudgetPolicy,
  { clock }: { readonly clock: Clock },
): RetryBudget {
  const { ratio, minRetries, windowMs } = policy;
  let newest = createRing(STEPS + 1);
  let calls = 0;
  let retries = 0;
  let step = stepOf(clock.now());
  let setBackBy = 0;

  function stepOf(nowMs: number): number {
    return Math.floor((nowMs * STEPS) / windowMs);
  }

  /** Forgets what is too old. */
  function moveOn(): void {
    const now = stepOf(clock.now()) + setBackBy;
    if (now === step) return;
    if (now < step) {
      // The clock was set back: what was counted must age all the same.
      setBackBy += step - now;
      return;
    }
    for (let passed = Math.min(now - step, STEPS + 1); passed > 0; passed -= 1) {
      newest = newest.next;
      retries -= newest.retries;
      newest.retries = 0;
      newest.calls = 0;
      // The oldest bucket reaches out of the window: its retries still count, its calls no longer do.
      calls -= newest.next.calls;
    }
    step = now;
  }

  const maxRetries = () => Math.max(minRetries, ratio * calls);

  return {
    get state() {
      moveOn();
      return { service, calls, retries, maxRetries: Math.floor(maxRetries()) };
    },
    call() {
      moveOn();
      newest.calls += 1;
      calls += 1;
    },
    tryRetry() {
      moveOn();
      if (retries + 1 > maxRetries()) return false;
      newest.retries += 1;
      retries += 1;
      return true;
    },
  };
}

function createRing(size: number): Bucket {
  const first = { calls: 0, retries: 0 } as Bucket;
  first.next = first;
  for (let added = 1; added < size; added += 1) first.next = { calls: 0, retries: 0, next: first.next };
  return first;
}
