import type { AttemptRecord } from "../core/records.js";
import type { ErrorReport } from "../errors/report.js";
import { backoffDelayMs } from "./backoff.js";
import { heard } from "./heard.js";
import { categoryPolicy, type RetryPolicy } from "./retry-options.js";

/** Either the wait before the next attempt, or none and perhaps why. */
export type NextAttempt = Pick<AttemptRecord, "delayMs" | "gaveUp">;

export interface Circumstances {
  readonly error: unknown;
  readonly random: () => number;
  /** Ends the wait for the user's `retryOn`. */
  readonly signal?: AbortSignal | undefined;
  /** Since the first attempt began. */
  readonly elapsedMs: () => number;
  /** Until the deadline of everything; infinite where there is none. */
  readonly deadlineInMs: () => number;
  readonly budget?: { tryRetry(): boolean } | undefined;
  readonly fallbackLeft?: ((report: ErrorReport) => boolean) | undefined;
}

const NO_MORE: NextAttempt = {};

/** Whether there is another attempt after `failed`, and when. */
export async function nextAttempt(
  policy: RetryPolicy,
  before: readonly AttemptRecord[],
  failed: AttemptRecord,
  circumstances: Circumstances,
): Promise<NextAttempt> {
  const { report, effects } = failed;
  if (before.length + 1 >= policy.maxAttempts || report.category === "cancelled") return NO_MORE;
  if (effects !== undefined)
    return { gaveUp: `the attempt had begun ${effects.join(", ")}, which must not happen twice` };
  const ask = () => policy.retryOn?.(report, circumstances.error);
  const wanted = policy.retryOn === undefined ? undefined : await heard("retryOn", ask, circumstances.signal);
  if (wanted === false) return { gaveUp: "retryOn said no" };
  const row = categoryPolicy(policy, report.category, wanted === true);
  const sameKind = before.filter((record) => record.report.category === report.category).length;
  const retryable = report.retryable || policy.categories[report.category]?.retries !== undefined;
  if (wanted !== true && (!retryable || sameKind >= row.retries)) return NO_MORE;
  if (wanted !== true && report.code === "FIRST_TOKEN_TIMEOUT" && circumstances.fallbackLeft?.(report) === true)
    return { gaveUp: "it stayed silent, and a fallback may answer sooner" };
  if (wanted !== true && report.code === "COOLING_DOWN" && circumstances.fallbackLeft?.(report) === true)
    return { gaveUp: "it asked to be left alone, and a fallback is left" };
  const grown = backoffDelayMs(
    {
      strategy: row.backoff,
      initialDelayMs: row.initialDelayMs,
      factor: policy.backoffFactor,
      maxDelayMs: policy.maxDelayMs,
      jitter: policy.jitter,
    },
    sameKind + 1,
    before.at(-1)?.delayMs ?? 0,
    circumstances.random,
  );
  const delayMs = Math.max(grown, report.retryAfterMs ?? 0);
  const { patienceMs } = policy;
  if (patienceMs !== undefined && delayMs > patienceMs && circumstances.fallbackLeft?.(report) === true)
    return { gaveUp: `a wait of ${delayMs} ms is longer than patienceMs (${patienceMs}), and a fallback is left` };
  if (circumstances.elapsedMs() + delayMs > policy.maxElapsedMs)
    return { gaveUp: `a wait of ${delayMs} ms would end after maxElapsedMs (${policy.maxElapsedMs})` };
  if (delayMs >= circumstances.deadlineInMs())
    return { gaveUp: `a wait of ${delayMs} ms would end after the deadline` };
  if (circumstances.budget?.tryRetry() === false) return { gaveUp: "the retry budget of the service is used up" };
  return { delayMs };
}
