import { type Cancellation, cancellationOf } from "../core/abort.js";
import type { Clock } from "../core/clock.js";
import { exhaustedMarks, isExhausted, markExhausted } from "../core/failures.js";
import type { AttemptRecord } from "../core/records.js";
import { classifyError } from "../errors/classify.js";
import { rethrowControlFlow } from "../errors/control-flow.js";
import { asError } from "../errors/own-errors.js";
import { AttemptsUsedUpError, PROCESS_DIED } from "../errors/policy-errors.js";
import type { ErrorReport } from "../errors/report.js";
import { heard } from "./heard.js";
import { type Circumstances, type NextAttempt, nextAttempt } from "./next-attempt.js";
import type { RetryPolicy } from "./retry-options.js";
import type { RunningAttempt } from "./running-attempt.js";

export interface RetryEnvironment {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Ends waits and forbids further attempts. */
  readonly signal?: AbortSignal | undefined;
  /** The work that this is part of; no wait is begun that would end after its deadline. Default that of `signal`. */
  readonly within?: Cancellation | undefined;
  /** Waits between attempts; may end early by throwing. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Name of what is tried: "node", or a fallback step. */
  readonly step: string;
  /** Failed attempts of a process that died, oldest first: the count goes on after them. */
  readonly earlier?: readonly AttemptRecord[] | undefined;
  /** Awaited after each failed attempt, the last one included, before the wait begins. */
  readonly onFailure?: (record: AttemptRecord, error: Error) => void | Promise<void>;
  /** Nothing further out could repeat the call, so that its last failure need not be marked. */
  readonly outermost?: boolean;
  /** Default: classifyError. */
  readonly classify?: (error: unknown) => ErrorReport;
  /** Bounds the retries of all callers of a service together. */
  readonly budget?: { tryRetry(): boolean } | undefined;
  /** Whether something simpler could answer for this failure. */
  readonly fallbackLeft?: ((report: ErrorReport) => boolean) | undefined;
}

const NONE: readonly AttemptRecord[] = [];

/**
 * Calls `run` until it succeeds, the category's retries or `maxAttempts` are used up, or no wait fits into
 * `maxElapsedMs` or the deadline any more. LangGraph's control flow passes through untouched.
 *
 * A Retry-After is a floor under the wait. If it does not fit into `maxElapsedMs` it is not waited for. An attempt that
 * had begun an effect is not repeated. A `retryOn` or `onRetry` that throws is reported as a process warning; the
 * category decides, and the wait begins, without it.
 *
 * @throws the last failure, marked so that no outer policy repeats it; the signal's reason when it aborts;
 * AttemptsUsedUpError when the attempts of an earlier process have left none
 */
export async function retry<T>(
  run: (attempt: RunningAttempt) => Promise<T>,
  policy: RetryPolicy,
  environment: RetryEnvironment,
): Promise<T> {
  const { clock, signal, earlier = NONE } = environment;
  const within = environment.within ?? cancellationOf(signal);
  const began = clock.now();
  const startedAt = began - elapsedBefore(earlier);
  if (earlier.length > 0) await refuseUsedUp(policy, earlier, environment, startedAt);
  let failures = earlier;
  for (;;) {
    const attemptStartedAt = failures === earlier ? began : clock.now();
    const attempt: RunningAttempt = { number: failures.length + 1, failures };
    const marksBefore = exhaustedMarks();
    const effectsBefore = within?.effectsOfItsOwn ?? 0;
    try {
      return await run(attempt);
    } catch (thrown) {
      rethrowControlFlow(thrown);
      if (signal?.aborted) throw thrown;
      const error = asError(thrown);
      const givenUpWithin = isExhausted(error, marksBefore);
      const effects = effectsOf(attempt, within, effectsBefore);
      const failed: AttemptRecord = {
        number: attempt.number,
        step: environment.step,
        startedAt: attemptStartedAt,
        durationMs: clock.now() - attemptStartedAt,
        report: reportOf(error, attempt, environment),
        ...(effects === undefined ? {} : { effects }),
      };
      let next: NextAttempt = {};
      try {
        if (!givenUpWithin)
          next = await decide(policy, failures, failed, environment, {
            error,
            elapsedMs: () => clock.now() - startedAt,
            // What was refused before it was sent is no extra load.
            wasSent: attempt.calledAt !== undefined,
          });
      } finally {
        // Also when retryOn steers the graph: the attempt has failed all the same.
        failures = [...failures, { ...failed, ...next }];
        await environment.onFailure?.(failures.at(-1) ?? failed, error);
      }
      const { delayMs } = next;
      if (delayMs === undefined) {
        // A policy of one attempt has not tried in vain; whoever is further out may still try again.
        const triedInVain = givenUpWithin || policy.maxAttempts > 1 || failed.effects !== undefined;
        if (environment.outermost !== true && triedInVain) markExhausted(error);
        throw error;
      }
      await heard("onRetry", () => policy.onRetry?.(failed.report, failed.number, delayMs), signal);
      signal?.throwIfAborted();
      if (delayMs > 0) await environment.sleep(delayMs);
    }
  }
}

function decide(
  policy: RetryPolicy,
  before: readonly AttemptRecord[],
  failed: AttemptRecord,
  environment: RetryEnvironment,
  { wasSent, ...call }: Pick<Circumstances, "error" | "elapsedMs"> & { readonly wasSent: boolean },
): Promise<NextAttempt> {
  const { clock, signal, random, budget, fallbackLeft } = environment;
  const { deadlineAt = Number.POSITIVE_INFINITY } = environment.within ?? cancellationOf(signal) ?? {};
  return nextAttempt(policy, before, failed, {
    ...call,
    random,
    signal,
    deadlineInMs: () => deadlineAt - clock.now(),
    budget: wasSent ? budget : undefined,
    fallbackLeft,
  });
}

/** What it has begun itself, and what was begun beside it by someone who knew only of the work it is part of. */
function effectsOf(
  { scope }: RunningAttempt,
  within: Cancellation | undefined,
  before: number,
): readonly string[] | undefined {
  const effects = scope?.effects ?? ((within?.effectsOfItsOwn ?? 0) > before ? within?.effects : undefined);
  return effects === undefined ? undefined : [...effects];
}

/**
 * What a failure means. An abort that nobody here asked for, neither the caller nor a limit of ours, is that of a limit
 * within the call.
 */
function reportOf(error: Error, { scope }: RunningAttempt, environment: RetryEnvironment): ErrorReport {
  const report = (environment.classify ?? classifyError)(error);
  const foreign = /^(AbortError|APIUserAbortError)$/.test(error.name) && scope?.aborted !== true;
  return report.category === "cancelled" && foreign ? { ...report, category: "timeout", retryable: true } : report;
}

/** The time that attempts of an earlier process took and waited; what lies between two processes does not count. */
function elapsedBefore(earlier: readonly AttemptRecord[]): number {
  return earlier.reduce((sum, record) => sum + record.durationMs + (record.delayMs ?? 0), 0);
}

async function refuseUsedUp(
  policy: RetryPolicy,
  earlier: readonly AttemptRecord[],
  environment: RetryEnvironment,
  startedAt: number,
): Promise<void> {
  const last = earlier.at(-1);
  if (last === undefined) return;
  const error = new AttemptsUsedUpError(earlier.length, last.report);
  const { clock } = environment;
  const died = last.report.code === PROCESS_DIED;
  const circumstances = { error, elapsedMs: () => clock.now() - startedAt, wasSent: true };
  const left = died
    ? (await decide(policy, earlier.slice(0, -1), last, environment, circumstances)).delayMs
    : last.delayMs;
  if (left !== undefined && earlier.length < policy.maxAttempts && last.effects === undefined) return;
  if (environment.outermost !== true) markExhausted(error);
  throw error;
}
