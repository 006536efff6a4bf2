/** What is thrown where a model answered, but not with an answer. */
import type { Category } from "./categories.js";
import { ResilienceError, type ResilienceErrorOptions } from "./own-errors.js";

/** The answer ended in the middle: what came of it is no answer. Category `malformed_output`. */
export class AnswerCutError extends ResilienceError {
  readonly category = "malformed_output";

  constructor(message: string, options?: ResilienceErrorOptions) {
    super("ANSWER_CUT", message, options);
  }
}

/** A part of the answer came damaged, and text may be missing. Category `malformed_output`. */
export class AnswerDamagedError extends ResilienceError {
  readonly category = "malformed_output";

  constructor(message: string, options?: ResilienceErrorOptions) {
    super("ANSWER_DAMAGED", message, options);
  }
}

/**
 * Status 200 with something that is no answer of the protocol: a page of a proxy, an empty list of choices. Category
 * `server_error`, for it speaks of whoever answered and not of the model.
 */
export class UnusableResponseError extends ResilienceError {
  readonly category = "server_error";

  constructor(message: string, options?: ResilienceErrorOptions) {
    super("UNUSABLE_RESPONSE", message, options);
  }
}

/** The model called a tool with arguments that cannot be used. Category `malformed_output`; the model is told. */
export class InvalidToolCallError extends ResilienceError {
  readonly category = "malformed_output";
  readonly tool: string;

  constructor(tool: string, why: string, options?: ResilienceErrorOptions) {
    super("INVALID_TOOL_CALL", `The call of tool "${tool}" cannot be used: ${why}`, {
      ...options,
      details: { tool, ...options?.details },
    });
    this.tool = tool;
  }
}

/** The model, or a filter in front of it, declined to answer. Category `content_policy`; another attempt would get the same. */
export class ContentFilteredError extends ResilienceError {
  readonly category = "content_policy";
  /** In the provider's words. */
  readonly reason: string;

  constructor(model: string, reason: string, options?: ResilienceErrorOptions) {
    super("CONTENT_FILTERED", `Model "${model}" declined to answer: ${reason}`, {
      ...options,
      details: { model, reason, ...options?.details },
    });
    this.reason = reason;
  }
}

export interface FailedModel {
  readonly model: string;
  readonly category: Category;
  readonly message: string;
}

/**
 * Every model of a chain that was asked has failed. Carries the category, status and Retry-After of the failure that says
 * most: that of the first model that was really asked. Its error is the `cause`.
 */
export class ModelsFailedError extends ResilienceError {
  readonly category: Category;
  readonly failures: readonly FailedModel[];
  readonly status?: number;
  readonly retryAfterMs?: number;

  constructor(
    failures: readonly FailedModel[],
    {
      category,
      status,
      retryAfterMs,
      cause,
    }: {
      readonly category: Category;
      readonly status?: number | undefined;
      readonly retryAfterMs?: number | undefined;
      readonly cause: unknown;
    },
  ) {
    const lines = failures.map(({ model, category, message }) => `${model} (${category}): ${message}`);
    super("MODELS_FAILED", `No model answered. ${lines.join("; ")}`, { cause, details: { failures } });
    this.category = category;
    this.failures = failures;
    if (status !== undefined) this.status = status;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
  }
}
