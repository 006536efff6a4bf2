/**
 * The rungs of one call: attempt → retry → fallback, each attempt within its guards and time limits. What a call is, and
 * where it runs, is the climber's: a graph node, a tool, or any function.
 */
import type { Cancellation } from "../core/abort.js";
import type { Clock } from "../core/clock.js";
import { type AttemptRecord, NODE_STEP } from "../core/records.js";
import { CATEGORY_POLICIES } from "../errors/categories.js";
import { rethrowControlFlow } from "../errors/control-flow.js";
import { NoStaleAnswerError } from "../errors/policy-errors.js";
import type { ErrorReport } from "../errors/report.js";
import type { Found } from "./cache.js";
import { eligibleFallbacks, type FallbackCandidate, firstAnswer, STALE } from "./fallback.js";
import { guardedCall } from "./guarded-call.js";
import { retry } from "./retry.js";
import type { RetryPolicy } from "./retry-options.js";
import type { RunningAttempt } from "./running-attempt.js";
import type { BreakerHome, Service } from "./service.js";
import type { TimeoutPolicy } from "./timeout.js";

/** One way to do it: the node itself (named {@link NODE_STEP}), or a fallback. */
export interface LadderStep extends FallbackCandidate {
  readonly retry: RetryPolicy;
  readonly timeout: TimeoutPolicy | false;
  readonly service: (() => Service) | undefined;
}

/** What runs the steps of one call. */
export interface Climber<S extends LadderStep> {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly signal: AbortSignal | undefined;
  /** The work that the call is part of; default the one that `signal` belongs to. */
  readonly within?: Cancellation | undefined;
  /** Where shared breakers are kept. */
  readonly home: BreakerHome | undefined;
  /** No policy further out could repeat the call. */
  readonly outermost: boolean;
  /** Every failed attempt so far, of whichever step. */
  readonly attempts: readonly AttemptRecord[];
  classify(error: unknown): ErrorReport;
  /** For messages: `Node "write"`. */
  what(step: S): string;
  /** @param because the failure that a fallback answers for */
  attempt(step: S, running: RunningAttempt, because: ErrorReport | undefined): Promise<unknown>;
  /** Adds to {@link attempts}; awaited before the next attempt. */
  failed(step: S, record: AttemptRecord, error: Error): void | Promise<void>;
  sleep(ms: number): Promise<void>;
  /** Failed attempts of a process that died; undefined where there can be none. */
  readonly earlier?: ((step: S) => Promise<readonly AttemptRecord[]> | undefined) | undefined;
  /** Asked before each attempt, and before anything is taken for it. @throws when there is to be none */
  readonly allow?: ((step: S) => Promise<void> | undefined) | undefined;
  estimatedTokens?: (() => number) | undefined;
  /** An answer that is outdated. */
  stale?: (() => Found | undefined | Promise<Found | undefined>) | undefined;
  fallbackStarted?(step: S, because: ErrorReport): void;
  fallbackSucceeded?(step: S): void;
}

export interface Answer {
  readonly result: unknown;
  /** "node", "person", "cache", "stale", or the name of a fallback step. */
  readonly answeredBy: string;
  /** The failure that made something simpler answer. */
  readonly because?: ErrorReport;
  /** How old an answer from the cache is. */
  readonly ageMs?: number;
}

/**
 * @param fallbacks those that may answer at all, in order
 * @throws the node's own failure when nothing answers; LangGraph's control flow
 */
export async function climbLadder<S extends LadderStep>(
  node: S,
  fallbacks: readonly S[],
  climber: Climber<S>,
): Promise<Answer> {
  const eligible = (report: ErrorReport) =>
    fallbacks.length === 0
      ? fallbacks
      : eligibleFallbacks(fallbacks, report.category, CATEGORY_POLICIES[report.category].next);
  try {
    const result = await runStep(node, climber, undefined, eligible);
    return { result, answeredBy: NODE_STEP };
  } catch (error) {
    rethrowControlFlow(error);
    if (climber.signal?.aborted) throw error;
    // Not the last attempt of all: a decorator further in may have tried fallbacks of its own after it.
    const ofNode = climber.attempts.findLast((record) => record.step === NODE_STEP);
    const because = ofNode?.report ?? climber.classify(error);
    // What must not happen twice must not be done in another way either.
    const mayGoOn = () => climber.signal?.aborted !== true && climber.attempts.at(-1)?.effects === undefined;
    const steps = mayGoOn() ? eligible(because) : [];
    const after = (step: S) => steps.slice(steps.indexOf(step) + 1);
    // A step that failed for what only declared steps may answer for (a content filter) is not gone past by others.
    const suits = (step: S) => {
      const category = climber.attempts.at(-1)?.report.category ?? because.category;
      return CATEGORY_POLICIES[category].next !== "declared_fallback" || step.when?.includes(category) === true;
    };
    const run = (step: S) => answerInstead(step, because, climber, after(step));
    const found = await firstAnswer(steps, run, mayGoOn, suits);
    if (found === undefined) throw error;
    return found.answer;
  }
}

/**
 * A fallback's answer.
 *
 * @param others the fallbacks that are left if this one fails
 * @throws its last failure
 */
export async function answerInstead<S extends LadderStep>(
  step: S,
  because: ErrorReport,
  climber: Climber<S>,
  others: readonly S[] = [],
): Promise<Answer> {
  climber.fallbackStarted?.(step, because);
  const answer: Answer =
    step.name === STALE
      ? { ...(await outdated(step, climber)), answeredBy: STALE, because }
      : { result: await runStep(step, climber, because, () => others), answeredBy: step.name, because };
  climber.fallbackSucceeded?.(step);
  return answer;
}

async function outdated<S extends LadderStep>(step: S, climber: Climber<S>): Promise<Pick<Answer, "result" | "ageMs">> {
  const found = await climber.stale?.();
  if (found === undefined) throw new NoStaleAnswerError(climber.what(step));
  return { result: found.value, ageMs: found.ageMs };
}

function runStep<S extends LadderStep>(
  step: S,
  climber: Climber<S>,
  because: ErrorReport | undefined,
  eligible?: (report: ErrorReport) => readonly S[],
): Promise<unknown> {
  const earlier = climber.earlier?.(step);
  if (earlier === undefined) return tryStep(step, climber, because, eligible);
  return earlier.then((attempts) => tryStep(step, climber, because, eligible, attempts));
}

function tryStep<S extends LadderStep>(
  step: S,
  climber: Climber<S>,
  because: ErrorReport | undefined,
  eligible?: (report: ErrorReport) => readonly S[],
  earlier?: readonly AttemptRecord[],
): Promise<unknown> {
  const { clock, signal, within, allow } = climber;
  const guards = step.service?.().guards(climber.home);
  const call = {
    what: () => climber.what(step),
    timeout: step.timeout,
    guards,
    clock,
    signal,
    within,
    classify: climber.classify,
    estimatedTokens: climber.estimatedTokens,
  };
  const attempt = (running: RunningAttempt) => climber.attempt(step, running, because);
  const guarded = (running: RunningAttempt) => {
    const allowed = allow?.(step);
    return allowed === undefined
      ? guardedCall(attempt, running, call)
      : allowed.then(() => guardedCall(attempt, running, call));
  };
  return retry(guarded, step.retry, {
    clock,
    signal,
    within,
    random: climber.random,
    step: step.name,
    classify: climber.classify,
    outermost: climber.outermost,
    earlier,
    budget: guards?.retryBudget,
    sleep: (ms) => climber.sleep(ms),
    onFailure: (record, error) => climber.failed(step, record, error),
    fallbackLeft: eligible === undefined ? undefined : (report) => eligible(report).length > 0,
  });
}
