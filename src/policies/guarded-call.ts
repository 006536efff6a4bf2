import { type Cancellation, cancellationOf, unlessAborted } from "../core/abort.js";
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
  /** The work that the call is part of; default the one that `signal` belongs to. */
  readonly within?: Cancellation | undefined;
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
  if (breaker === undefined || isHeld(guards, call)) return await slotted(work, attempt, call, guards);
  if (guards.ready !== undefined) await unlessAborted(guards.ready, call.signal);
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
  guards: Guards,
): Promise<T> {
  const { rateLimit, retryBudget } = guards;
  const bulkhead = isHeld(guards, call) ? undefined : guards.bulkhead;
  const slot = bulkhead?.acquire(call.signal);
  if (slot !== undefined) await slot;
  try {
    const estimated = rateLimit === undefined ? 0 : (call.estimatedTokens?.() ?? 0);
    const room = rateLimit?.acquire(estimated, call.signal);
    if (room !== undefined) await room;
    attempt.calledAt = call.clock.now();
    if (attempt.number === 1) retryBudget?.call();
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
  { what, timeout, clock, signal, within, guards }: GuardedCall,
): Promise<T> {
  const limitMs = timeout === false ? undefined : attemptTimeoutMs(timeout, attempt.number);
  const limited = withTimeLimit(
    (scope) => {
      attempt.scope = scope;
      attempt.liveness = timeout === false ? undefined : watchLiveness(timeout, what, scope, clock);
      return work(attempt);
    },
    {
      limitMs,
      onLimit: () => new AttemptTimeoutError(what(), limitMs ?? 0),
      clock,
      outer: signal,
      within,
      holds: guards?.service,
    },
  );
  const { liveness } = attempt;
  // Not when the work ends: what was given up on may never end, and its watch would keep the process alive.
  return liveness === undefined ? limited : limited.finally(() => liveness.stop());
}

/**
 * A call within a call of the same service rides on the admission of that one: a second slot of the same bulkhead could
 * never come free, and what it finds of the service is counted once, further out. Each is a request all the same.
 */
function isHeld({ service }: Guards, { within, signal }: GuardedCall): boolean {
  return (within ?? cancellationOf(signal))?.holds(service) === true;
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

/** What speaks against the service, if anything. A caller that gave up, for want of time too, says nothing about it. */
function reportAgainst(
  breaker: Breaker,
  error: unknown,
  { classify = classifyError, signal }: GuardedCall,
): ErrorReport | undefined {
  if (isControlFlow(error) || signal?.aborted === true) return undefined;
  const report = classify(error);
  // Refused by a circuit further in: nothing was asked of the service.
  if (report.code === "CIRCUIT_OPEN") return undefined;
  return breaker.counts(report.category) ? report : undefined;
}
