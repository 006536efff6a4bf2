import type { ToolMessage } from "@langchain/core/messages";
import type { Command, LangGraphRunnableConfig } from "@langchain/langgraph";
import { z } from "zod";
import type { Category } from "../../errors/categories.js";
import type { ErrorReport } from "../../errors/report.js";
import { checkLadder, ladderShape } from "../../policies/ladder-options.js";
import type { RetryOptions } from "../../policies/retry-options.js";
import { type CallGuards, guardsShape } from "../../policies/service-choice.js";
import type { TimeoutOptions } from "../../policies/timeout.js";

/** The arguments a model has called a tool with, as it wrote them. */
export type ToolArguments = Readonly<Record<string, unknown>>;

/** Another way to answer a tool call. */
export interface ToolFallback extends CallGuards {
  /** Shown to people, and to the model where everything failed. Unique in the tool. */
  readonly name: string;
  /** Answers with the text the model is given, a message of its own, or a command. */
  readonly run: (
    args: ToolArguments,
    config: LangGraphRunnableConfig,
    failure: ErrorReport,
  ) => ToolAnswer | Promise<ToolAnswer>;
  /** Categories it answers for. Default: every category whose next rung is `fallback`. */
  readonly when?: readonly Category[];
  /** Default: no retry. */
  readonly retry?: RetryOptions | false;
  /** Default: the tool's. */
  readonly timeout?: TimeoutOptions | false;
}

export type ToolAnswer = string | ToolMessage | Command;

/** What becomes of a tool call that no rung could help. */
export type ToolFailureMode = "tell_model" | "throw";

/** How the calls of a tool are protected. */
export interface ToolPolicyOptions extends CallGuards {
  /** `false`: one attempt. */
  readonly retry?: RetryOptions | false;
  /** `false`: no time limit. */
  readonly timeout?: TimeoutOptions | false;
  /** In order. */
  readonly fallback?: readonly ToolFallback[];
  /** Throws, or returns what is wrong, for a plausible but unusable answer: that attempt is `malformed_output`. */
  readonly validate?: (
    answer: ToolMessage | Command,
    // biome-ignore lint/suspicious/noConfusingVoidType: a validator that only throws returns nothing
  ) => string | undefined | void | Promise<string | undefined | void>;
  /** Tokens that a call will use, for a service's tokens a minute. */
  readonly estimateTokens?: (args: ToolArguments) => number;
  /**
   * What a message with status "error" is that a tool returns by itself: an answer that goes to the model as it is
   * (default), or a failure like one that is thrown.
   */
  readonly errorMessages?: "answer" | "failure";
  /** Default: `onToolFailure` of the middleware. */
  readonly onFailure?: ToolFailureMode;
}

export const FAILURE_MODES = ["tell_model", "throw"] as const satisfies readonly ToolFailureMode[];

export const toolPolicySchema = z
  .strictObject({
    retry: ladderShape.retry,
    timeout: ladderShape.timeout,
    fallback: ladderShape.fallback,
    validate: ladderShape.validate,
    estimateTokens: ladderShape.estimateTokens,
    ...guardsShape,
    errorMessages: z.enum(["answer", "failure"]).default("answer"),
    onFailure: z.enum(FAILURE_MODES).optional(),
  })
  .superRefine((options, context) => checkLadder({ fallback: options.fallback, cache: false }, context));

export type ToolPolicy = z.output<typeof toolPolicySchema>;
