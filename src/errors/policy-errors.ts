/** What the policies throw by themselves: the service was not asked, or was asked for too long. */
import type { Category } from "./categories.js";
import { ResilienceError, type ResilienceErrorOptions } from "./own-errors.js";
import type { ErrorReport } from "./report.js";

/** The circuit of a service is open: the call was not made. Category `model_unavailable`: not retried, a fallback may answer. */
export class CircuitOpenError extends ResilienceError {
  readonly category = "model_unavailable";
  readonly service: string;
  /** Until a call may be let through to try the service; absent when only an operator can close the circuit. */
  readonly nextProbeInMs?: number;

  constructor(service: string, nextProbeInMs: number | undefined, options?: ResilienceErrorOptions) {
    const next =
      nextProbeInMs === undefined
        ? "it was isolated by hand and stays open until it is closed by hand"
        : nextProbeInMs > 0
          ? `next probe in ${Math.ceil(nextProbeInMs)} ms`
          : "a probe is under way";
    super("CIRCUIT_OPEN", `Circuit "${service}" is open; ${next}`, {
      ...options,
      details: { service, ...(nextProbeInMs === undefined ? {} : { nextProbeInMs }), ...options?.details },
    });
    this.service = service;
    if (nextProbeInMs !== undefined) this.nextProbeInMs = nextProbeInMs;
  }
}

/** The store that processes share a circuit through failed. Only operators see it: calls go on without the store. */
export class BreakerStoreError extends ResilienceError {
  readonly service: string;
  /** What went wrong, without the advice that is for whoever asked for something. */
  readonly why: string;

  constructor(service: string, why: string, options?: ResilienceErrorOptions) {
    super(
      "BREAKER_STORE",
      `The store of the circuit "${service}" failed: ${why}. Look at the circuit before you try again: what you asked for may have been done`,
      { ...options, details: { service, ...options?.details } },
    );
    this.service = service;
    this.why = why;
  }
}

/** No slot was free and the queue was full, or none came free in time. Category `rate_limit`; no failure of the service. */
export class BulkheadFullError extends ResilienceError {
  readonly category = "rate_limit";
  readonly service: string;

  constructor(service: string, why: string, options?: ResilienceErrorOptions) {
    super("BULKHEAD_FULL", `No slot for "${service}": ${why}`, {
      ...options,
      details: { service, ...options?.details },
    });
    this.service = service;
  }
}

/** Our own limit of requests or tokens a minute left no room in time. Category `rate_limit`; no failure of the service. */
export class RateLimitedError extends ResilienceError {
  readonly category = "rate_limit";
  readonly service: string;
  /** When there will be room, in milliseconds from now. */
  readonly retryAfterMs: number;

  constructor(service: string, why: string, retryAfterMs: number, options?: ResilienceErrorOptions) {
    super("RATE_LIMITED", `No room for "${service}": ${why}; room in ${Math.ceil(retryAfterMs)} ms`, {
      ...options,
      details: { service, retryAfterMs, ...options?.details },
    });
    this.service = service;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The service asked to be left alone for a while (Retry-After), and was not asked. Category `rate_limit`. */
export class CoolingDownError extends ResilienceError {
  readonly category = "rate_limit";
  readonly service: string;
  /** When it may be asked again, in milliseconds from now. */
  readonly retryAfterMs: number;

  constructor(service: string, retryAfterMs: number, options?: ResilienceErrorOptions) {
    super(
      "COOLING_DOWN",
      `"${service}" asked to be left alone (Retry-After) and was not asked; it may be in ${Math.ceil(retryAfterMs)} ms`,
      { ...options, details: { service, retryAfterMs, ...options?.details } },
    );
    this.service = service;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The limit over all attempts, waits and fallbacks has passed. Category `timeout`. */
export class DeadlineExceededError extends ResilienceError {
  readonly deadlineMs: number;

  constructor(what: string, deadlineMs: number, options?: ResilienceErrorOptions) {
    super(
      "DEADLINE_EXCEEDED",
      `${what} did not finish within its deadline of ${deadlineMs} ms, retries and fallbacks included`,
      {
        ...options,
        details: { deadlineMs, ...options?.details },
      },
    );
    this.deadlineMs = deadlineMs;
  }
}

/** A budget is used up. Category `quota`: a fallback may answer, else a person decides. */
export class BudgetExceededError extends ResilienceError {
  readonly category = "quota";

  constructor(message: string, options?: ResilienceErrorOptions) {
    super("BUDGET_EXCEEDED", message, options);
  }
}

/** Code of the report that stands for an attempt which ended with its process. */
export const PROCESS_DIED = "PROCESS_DIED";

/** Processes that died, or gave up and then died, have left no attempt. Has the category of the last of them. */
export class AttemptsUsedUpError extends ResilienceError {
  readonly category: Category;
  readonly status?: number;

  constructor(attempts: number, last: ErrorReport) {
    super(
      "ATTEMPTS_USED_UP",
      `No attempt is left: ${attempts} were made before this process took over; the last failed with: ${last.message}`,
      { details: { attempts, last } },
    );
    this.category = last.category;
    if (last.status !== undefined) this.status = last.status;
  }
}

const ISOLATION = {
  ERR_WORKER_OUT_OF_MEMORY: "environment",
  WORKER_NOT_STARTED: "environment",
  WORKER_EXITED: "bug",
  NOT_CLONEABLE: "bug",
  CONTROL_FLOW_IN_WORKER: "bug",
} as const satisfies Record<string, Category>;

/** Work in a worker thread that came to no answer of its own. The category follows from the code; none is retried. */
export class IsolationError extends ResilienceError {
  readonly category: Category;

  constructor(code: keyof typeof ISOLATION, message: string, options?: ResilienceErrorOptions) {
    super(code, message, options);
    this.category = ISOLATION[code];
  }
}

/** A step that must not work on degraded input was given some. Category `environment`: a fallback may answer, else a person decides. */
export class DegradedInputError extends ResilienceError {
  readonly category = "environment";

  constructor(node: string, degraded: string, options?: ResilienceErrorOptions) {
    super(
      "DEGRADED_INPUT",
      `Node "${node}" refuses degraded input: ${degraded}. Have the full answer provided, or let the step be retried on what there is`,
      options,
    );
  }
}

/** Nothing is kept that may stand in for a failure. Category `environment`: another fallback may answer, else a person decides. */
export class NoStaleAnswerError extends ResilienceError {
  readonly category = "environment";

  constructor(what: string, options?: ResilienceErrorOptions) {
    super(
      "NO_STALE_ANSWER",
      `${what} has no outdated answer to give: none was kept, or it is too old; go on in another way`,
      options,
    );
  }
}
