/** Failures as libraries throw them. */
import { z } from "zod";
import { CircuitOpenError } from "../../../src/errors/policy-errors.js";

class ConnectTimeoutError extends Error {}

class HttpProblem extends Error {
  get status(): number {
    return 429;
  }
}

/** The shape of the `openai` package's errors. */
class OpenAIError extends Error {}
class APIError extends OpenAIError {
  readonly status: number;
  readonly headers: Headers;
  readonly error: object;
  readonly code: string | undefined;
  readonly requestID = "req_1";

  constructor(status: number, error: { readonly code?: string }, message: string, headers: Headers) {
    super(message);
    this.status = status;
    this.headers = headers;
    this.error = error;
    this.code = error.code;
  }
}
class RateLimitError extends APIError {}
class APIConnectionTimeoutError extends OpenAIError {}

const withCode = (message: string, facts: object): Error => Object.assign(new Error(message), facts);

export const FAILURES: Readonly<Record<string, () => unknown>> = {
  "a status": () => withCode("no", { status: 401 }),
  "a status of the class": () => new HttpProblem("slow down"),
  "an errno": () => withCode("connect", { code: "ECONNREFUSED", errno: -111, syscall: "connect" }),
  "a class without a name of its own": () => new ConnectTimeoutError("nothing came"),
  "fetch failed around a network error": () =>
    new TypeError("fetch failed", { cause: withCode("socket", { code: "UND_ERR_SOCKET" }) }),
  "several at once": () => new AggregateError([withCode("v6", { code: "ENETUNREACH" }), new Error("v4")], "all failed"),
  "a rate limit of OpenAI, with headers": () =>
    new RateLimitError(429, { code: "rate_limit_exceeded" }, "slow", new Headers({ "retry-after": "7" })),
  "a quota of OpenAI": () => new RateLimitError(429, { code: "insufficient_quota" }, "pay", new Headers()),
  "a timeout of OpenAI": () => new APIConnectionTimeoutError("Request was cut off."),
  "a schema mismatch": () => z.object({ a: z.string() }).safeParse({ a: 1 }).error,
  "a programming error": () => new TypeError("x is not a function"),
  "invalid JSON": () => {
    try {
      return JSON.parse("{");
    } catch (error) {
      return error;
    }
  },
  "an abort": () => new DOMException("stop", "AbortError"),
  "a deadlock of PostgreSQL": () => withCode("deadlock detected", { code: "40P01", severity: "ERROR" }),
  "a refused recipient": () => withCode("no such user", { code: "EENVELOPE", responseCode: 550 }),
  "an open circuit": () => new CircuitOpenError("openai", 4200),
  "a full disk beneath two wrappers": () =>
    new Error("report", { cause: new Error("write", { cause: withCode("full", { code: "ENOSPC" }) }) }),
  "an error of a tool": () => withCode("tool failed", { toolError: withCode("inside", { status: 403 }) }),
  "words only": () => new Error("Rate limit reached, try again in 2.5s"),
  "a plain object": () => ({ status: 503, message: "unavailable" }),
  "a text": () => "HTTP 504 from upstream",
  nothing: () => undefined,
};
