/** The errors this package throws. Guard them by `code`: instances do not survive a checkpoint, codes do. */

export interface ResilienceErrorOptions {
  readonly cause?: unknown;
  /** Typed facts that belong to the message, kept for machines. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export class ResilienceError extends Error {
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: ResilienceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.details = options.details ?? {};
  }

  toJSON(): Record<string, unknown> {
    const { category } = this as { readonly category?: unknown };
    return {
      name: this.name,
      code: this.code,
      ...(category === undefined ? {} : { category }),
      message: this.message,
      details: this.details,
    };
  }
}

/** An option, an environment variable or a configuration file that cannot be used as given. */
export class ConfigError extends ResilienceError {
  constructor(message: string, options?: ResilienceErrorOptions) {
    super("CONFIG", message, options);
  }
}

/** Input that no retry can mend: it is refused at once and nothing is lost. */
export class InvalidInputError extends ResilienceError {
  constructor(message: string, options?: ResilienceErrorOptions) {
    super("INVALID_INPUT", message, options);
  }
}

/** The node or model answered, but not with what was asked for: bad JSON, a cut stream, a failed `validate`. */
export class MalformedOutputError extends ResilienceError {
  constructor(message: string, options?: ResilienceErrorOptions) {
    super("MALFORMED_OUTPUT", message, options);
  }
}

const TIMEOUTS = {
  attempt: { code: "ATTEMPT_TIMEOUT", says: "did not finish" },
  first_token: { code: "FIRST_TOKEN_TIMEOUT", says: "gave no sign of life" },
  idle: { code: "IDLE_TIMEOUT", says: "went silent in the middle: it gave no further sign of life" },
} as const;

/** An attempt ran past one of its time limits and was aborted. */
export class AttemptTimeoutError extends ResilienceError {
  readonly category = "timeout";
  readonly timeoutMs: number;

  /** @param kind which limit: that of the whole attempt, until its first token, or between two of them */
  constructor(
    what: string,
    timeoutMs: number,
    { kind = "attempt", ...options }: ResilienceErrorOptions & { readonly kind?: keyof typeof TIMEOUTS } = {},
  ) {
    const { code, says } = TIMEOUTS[kind];
    super(code, `${what} ${says} within ${timeoutMs} ms; the attempt was aborted`, options);
    this.timeoutMs = timeoutMs;
  }
}

/** The caller or a drain asked for the work to stop. Never retried. */
export class CancelledError extends ResilienceError {
  constructor(message: string, options?: ResilienceErrorOptions) {
    super("CANCELLED", message, options);
  }
}

/** A node threw something that is not an Error; LangGraph and every log need one. */
export class NonErrorThrown extends ResilienceError {
  constructor(thrown: unknown) {
    super("NON_ERROR_THROWN", `A value that is not an Error was thrown: ${describe(thrown)}`, { cause: thrown });
  }
}

/** A fault put in on purpose (`lgr run --fail`, chaos tests), so that the way out of a failure can be rehearsed. */
export class InjectedFaultError extends ResilienceError {
  readonly category: string;

  constructor(node: string, category: string) {
    super("INJECTED_FAULT", `Injected fault: node "${node}" was told to fail with ${category}`, { details: { node } });
    this.category = category;
  }
}

/**
 * What a graph with recovery ends in when a step failed for good and no person is to be asked. Says what the cause says
 * and carries its category; the error the node threw is the `cause`.
 */
export class NodeFailedError extends ResilienceError {
  readonly category: string;

  constructor(node: string, category: string, cause: Error) {
    super("NODE_FAILED", cause.message, { cause, details: { node } });
    this.category = category;
  }
}

/** A person ended the run. Resuming the thread reports it again; fork from an earlier checkpoint to go on. */
export class RunAbortedError extends ResilienceError {
  constructor(node: string, by: string, reason: string) {
    super(
      "RUN_ABORTED",
      `Run aborted at node "${node}" by ${by}${reason === "" ? "" : `: ${reason}`}; to go on all the same, resume from an earlier checkpoint`,
      { details: { node, by, reason } },
    );
  }
}

/** An answer to an intervention request that does not fit it. The request stays open. */
export class DecisionRefusedError extends ResilienceError {
  constructor(message: string, options?: ResilienceErrorOptions) {
    super("DECISION_REFUSED", message, options);
  }
}

/** The thread named is not stored, or is not in a state that allows what was asked. */
export class ThreadError extends ResilienceError {
  constructor(
    code: "THREAD_NOT_FOUND" | "THREAD_EXISTS" | "THREAD_NOT_RESUMABLE",
    message: string,
    options?: ResilienceErrorOptions,
  ) {
    super(code, message, options);
  }
}

/** Another process owns what is asked for. */
export class OwnedElsewhereError extends ResilienceError {
  constructor(message: string, options?: ResilienceErrorOptions) {
    super("OWNED_ELSEWHERE", message, options);
  }
}

function describe(thrown: unknown): string {
  try {
    return typeof thrown === "string" ? thrown : (JSON.stringify(thrown) ?? String(thrown));
  } catch {
    // A value that cannot be printed (a cycle, a throwing getter) still has a type.
    return typeof thrown;
  }
}

/** The error to throw for whatever was thrown. */
export function asError(thrown: unknown): Error {
  return isError(thrown) ? thrown : new NonErrorThrown(thrown);
}

function isError(thrown: unknown): thrown is Error {
  try {
    return thrown instanceof Error;
  } catch {
    // A revoked proxy is no error, and a proxy may refuse to tell.
    return false;
  }
}
