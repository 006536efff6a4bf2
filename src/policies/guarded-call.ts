import type { Clock } from "../core/clock.js";
import { classifyError } from "../errors/classify.js";
import { isControlFlow } from "../errors/control-flow.js";
import { AttemptTimeoutError } from "../errors/own-errors.js";
import type { ErrorReport } from "../errors/report.js";
import type { Breaker } from "./breaker/breaker.js";
import { watchLiveness } from "./liveness.js";
import type { RunningAttempt } from "./running-attempt.js";
import type { Guards } from "./service.js";
import { attemptTimeoutMs, type TimeoutPolicy, withTimeLimit } from "./timeout.js";

export interface GuardedCall {
  /** What is called, for messages. */
  readonly what: () => string;
  readonly timeout: TimeoutPolicy | false;
  readonly guards: Guards | undefined;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  /** Default: classifyError. */
  readonly classify?: (error: unknown) => ErrorReport;
  /** What the call will use of the service's tokens a minute; 0 when nobody can tell. */
  readonly estimatedTokens?: (() => number) | undefined;
}

/** One attempt within circuit breaker → bulkhead → rate limit → time limit. Time in a queue is not the attempt's. */
export function guardedCall<T>(
  work: (attempt: RunningAttempt) => Promise<T>,
  attempt: RunningAttempt,
  call: GuardedCall,
): Promise<T> {
  return call.guards === undefined ? timed(work, attempt, call) : admitted(work, attempt, call, call.guards);
}

/** Circuit breaker. */
async function admitted<T>(
  work: (attempt: RunningAttempt) => Promise<T>,
  attempt: RunningAttempt,
  call: GuardedCall,
  guards: Guards,
): Promise<T> {
  const { breaker } = guards;
  if (breaker === undefined) return await slotted(work, attempt, call, guards);
  if (guards.ready !== undefined) await guards.ready;
  const asked = breaker.admit(probeLeaseMs(call, guards, attempt.number));
  const admission = asked instanceof Promise ? await asked : asked;
  let result: T;
  try {
    result = await slotted(work, attempt, call, guards);
  } catch (error) {
    const report = attempt.calledAt === undefined ? undefined : reportAgainst(breaker, error, call);
    const settled = breaker.settle(admission, report ? "failure" : "neutral", durationMs(attempt, call), report);
    if (settled !== undefined) await settled;
    throw error;
  }
  const settled = breaker.settle(admission, "success", durationMs(attempt, call));
  if (settled !== undefined) await settled;
  return result;
}

/** Bulkhead and rate limit. */
async function slotted<T>(
  work: (attempt: RunningAttempt) => Promise<T>,
  attempt: RunningAttempt,
  call: GuardedCall,
  { bulkhead, rateLimit }: Guards,
): Promise<T> {
  const slot = bulkhead?.acquire(call.signal);
  if (slot !== undefined) await slot;
  try {
    const estimated = rateLimit === undefined ? 0 : (call.estimatedTokens?.() ?? 0);
    const room = rateLimit?.acquire(estimated, call.signal);
    if (room !== undefined) await room;
    attempt.calledAt = call.clock.now();
    try {
      return await timed(work, attempt, call);
    } finally {
      if (attempt.scope === undefined) rateLimit?.refund(estimated);
      else if (attempt.usedTokens !== undefined) rateLimit?.settle(estimated, attempt.usedTokens);
    }
  } finally {
    bulkhead?.release();
  }
}

/** Attempt time limit. */
function timed<T>(
  work: (attempt: RunningAttempt) => Promise<T>,
  attempt: RunningAttempt,
  { what, timeout, clock, signal }: GuardedCall,
): Promise<T> {
  const limitMs = timeout === false ? undefined : attemptTimeoutMs(timeout, attempt.number);
  const limited = withTimeLimit(
    (scope) => {
      attempt.scope = scope;
      attempt.liveness = timeout === false ? undefined : watchLiveness(timeout, what, scope, clock);
      return work(attempt);
    },
    { limitMs, onLimit: () => new AttemptTimeoutError(what(), limitMs ?? 0), clock, outer: signal },
  );
  const { liveness } = attempt;
  // Not when the work ends: what was given up on may never end, and its watch would keep the process alive.
  return liveness === undefined ? limited : limited.finally(() => liveness.stop());
}

/** A probe may take as long as its attempt may, and wait for its turn; later another is looked for. */
function probeLeaseMs({ timeout }: GuardedCall, { maxQueueMs }: Guards, attempt: number): number | undefined {
  return timeout === false ? undefined : attemptTimeoutMs(timeout, attempt) + maxQueueMs + PROBE_GRACE_MS;
}

/** For the way from the end of an attempt to the store that is told of it. */
const PROBE_GRACE_MS = 5000;

function durationMs({ calledAt }: RunningAttempt, { clock }: GuardedCall): number {
  return calledAt === undefined ? 0 : clock.now() - calledAt;
}

/**
 * What speaks against the service, if anything. A caller that gave up says nothing about it, unless it gave up because
 * the time was up: what is thrown then is the reason of its signal.
 */
function reportAgainst(
  breaker: Breaker,
  error: unknown,
  { classify = classifyError }: GuardedCall,
): ErrorReport | undefined {
  if (isControlFlow(error)) return undefined;
  const report = classify(error);
  return breaker.counts(report.category) ? report : undefined;
}
