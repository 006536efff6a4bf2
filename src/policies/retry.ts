import type { Clock } from "../core/clock.js";
import { markExhausted, takeExhausted } from "../core/failures.js";
import type { AttemptRecord } from "../core/records.js";
import { classifyError } from "../errors/classify.js";
import { rethrowControlFlow } from "../errors/control-flow.js";
import { asError } from "../errors/own-errors.js";
import type { ErrorReport } from "../errors/report.js";
import { backoffDelayMs } from "./backoff.js";
import { categoryPolicy, type RetryPolicy } from "./retry-options.js";

/** What an attempt is told. */
export interface AttemptInfo {
  /** 1 for the first. */
  readonly number: number;
  /** The failed attempts before this one, oldest first. */
  readonly failures: readonly AttemptRecord[];
}

export interface RetryEnvironment {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Ends waits and forbids further attempts. */
  readonly signal?: AbortSignal;
  /** Waits between attempts; may end early by throwing. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Name of what is tried: "node", or a fallback step. */
  readonly step: string;
  /** Called after each failed attempt, the last one included. */
  readonly onFailure?: (record: AttemptRecord, error: Error) => void;
  /** Nothing further out could repeat the call, so that its last failure need not be marked. */
  readonly outermost?: boolean;
  /** The same failure with another meaning, for instance an abort that was our own time limit. */
  readonly classify?: (error: unknown) => ErrorReport;
}

/**
 * Calls `run` until it succeeds, the category's retries or `maxAttempts` are used up, or no wait fits into
 * `maxElapsedMs` any more. LangGraph's control flow passes through untouched.
 *
 * A Retry-After is a floor under the wait. If it does not fit into `maxElapsedMs` it is not waited for. A `retryOn` or
 * `onRetry` that throws is reported as a process warning; the category decides, and the wait begins, without it.
 *
 * @throws the last failure, marked so that no outer policy repeats it; the signal's reason when it aborts
 */
export async function retry<T>(
  run: (info: AttemptInfo) => Promise<T>,
  policy: RetryPolicy,
  environment: RetryEnvironment,
): Promise<T> {
  const { clock, signal } = environment;
  const classify = environment.classify ?? classifyError;
  const startedAt = clock.now();
  const failures: AttemptRecord[] = [];
  for (let number = 1; ; number += 1) {
    const attemptStartedAt = clock.now();
    try {
      return await run({ number, failures });
    } catch (thrown) {
      rethrowControlFlow(thrown);
      if (signal?.aborted) throw thrown;
      const error = asError(thrown);
      const report = classify(error);
      const givenUpWithin = takeExhausted(error);
      const before = [...failures];
      let record: AttemptRecord = {
        number,
        step: environment.step,
        startedAt: attemptStartedAt,
        durationMs: clock.now() - attemptStartedAt,
        report,
      };
      failures.push(record);
      try {
        const elapsedMs = () => clock.now() - startedAt;
        const delayMs = givenUpWithin
          ? undefined
          : await nextDelayMs(policy, before, report, error, elapsedMs, environment.random);
        if (delayMs !== undefined) record = { ...record, delayMs };
      } finally {
        // Also when retryOn steers the graph: the attempt has failed all the same.
        failures[before.length] = record;
        environment.onFailure?.(record, error);
      }
      const { delayMs } = record;
      if (delayMs === undefined) {
        // A policy of one attempt has not tried in vain; whoever is further out may still try again.
        if (environment.outermost !== true && (givenUpWithin || policy.maxAttempts > 1)) markExhausted(error);
        throw error;
      }
      await heard("onRetry", () => policy.onRetry?.(report, number, delayMs));
      signal?.throwIfAborted();
      if (delayMs > 0) await environment.sleep(delayMs);
    }
  }
}

/** The wait before the next attempt, or undefined when there is to be none. */
async function nextDelayMs(
  policy: RetryPolicy,
  before: readonly AttemptRecord[],
  report: ErrorReport,
  error: unknown,
  elapsedMs: () => number,
  random: () => number,
): Promise<number | undefined> {
  if (before.length + 1 >= policy.maxAttempts || report.category === "cancelled") return undefined;
  const wanted = await heard("retryOn", () => policy.retryOn?.(report, error));
  if (wanted === false) return undefined;
  const row = categoryPolicy(policy, report.category);
  const sameKind = before.filter((record) => record.report.category === report.category).length;
  const retryable = report.retryable || policy.categories[report.category]?.retries !== undefined;
  if (wanted !== true && (!retryable || sameKind >= row.retries)) return undefined;
  const waits = before.map((record) => record.delayMs ?? 0);
  const grown = backoffDelayMs(
    {
      strategy: row.backoff,
      initialDelayMs: row.initialDelayMs,
      factor: policy.backoffFactor,
      maxDelayMs: policy.maxDelayMs,
      jitter: policy.jitter,
    },
    sameKind + 1,
    waits.at(-1) ?? 0,
    random,
  );
  const delayMs = Math.max(grown, report.retryAfterMs ?? 0);
  return elapsedMs() + delayMs > policy.maxElapsedMs ? undefined : delayMs;
}

/** What the user's callback answers, or undefined where it is broken: it must not hide the failure it was told of. */
async function heard<T>(option: string, call: () => T): Promise<Awaited<T> | undefined> {
  try {
    return await call();
  } catch (broken) {
    rethrowControlFlow(broken);
    process.emitWarning(`${option} threw and was passed over: ${String(asError(broken))}`, "ResilienceWarning");
    return undefined;
  }
}
