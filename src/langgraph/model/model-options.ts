import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { AIMessage } from "@langchain/core/messages";
import type { Runnable } from "@langchain/core/runnables";
import { z } from "zod";
import { type Clock, systemClock } from "../../core/clock.js";
import { offOr } from "../../core/options.js";
import { CATEGORIES, type Category } from "../../errors/categories.js";
import { type BudgetOptions, budgetSchema } from "../../policies/budget.js";
import type { RetryOptions } from "../../policies/retry-options.js";
import { type CallGuards, guardsShape } from "../../policies/service-choice.js";
import type { TimeoutOptions } from "../../policies/timeout.js";

/** A chat model, or one with tools or options bound to it. */
// biome-ignore lint/suspicious/noExplicitAny: LangChain's own types of bound models have any in these places
export type AnyChatModel = BaseChatModel<any, any> | Runnable<any, any, any>;

/** A model of a chain, with what is to be different for it. */
export interface ModelRouteOptions extends CallGuards {
  readonly model: AnyChatModel;
  /** Shown to people and in `response_metadata.resilience`. Default: the model's own name. */
  readonly name?: string;
  /** Task types that it serves; default all. */
  readonly tasks?: readonly string[];
  /**
   * Failures of the models before it that it answers for. Default: every category whose next rung is `fallback`, and
   * `context_length` unless it is known to take no more than the first.
   */
  readonly when?: readonly Category[];
  /** How many tokens it takes. Default: what the model's profile says, if it does. */
  readonly contextTokens?: number;
  readonly retry?: RetryOptions | false;
  readonly timeout?: TimeoutOptions | false;
  /**
   * How its answers are fetched: in pieces, so that a silent model can be told from a slow one, or whole. Default: in
   * pieces where the model can, also for `invoke`.
   */
  readonly transport?: "stream" | "whole";
  /**
   * Whether an answer that does not say why it ended is taken for cut. Default: required of the providers known to say
   * it (OpenAI and compatible, Anthropic, Groq, Mistral), optional of others.
   */
  readonly finishReason?: "required" | "optional";
}

export type ModelRoute = AnyChatModel | ModelRouteOptions;

export interface ResilientModelOptions {
  /** For messages and events. Default: the name of the first model. */
  readonly name?: string;
  /** For every model of the chain that has none of its own. */
  readonly retry?: RetryOptions | false;
  /** For every model of the chain that has none of its own; `deadlineMs` is that of the whole call. */
  readonly timeout?: TimeoutOptions | false;
  /** Off by default. What the thread may spend, checked before each attempt of the first model. */
  readonly budget?: BudgetOptions | false;
  /** The task type of calls that name none. Default "default". */
  readonly taskType?: string;
  /**
   * `live`: tokens flow as they come, and a restart takes them back. `held`: only what is whole is handed out. `auto`
   * (default): live, but held in a pipe, where what comes next would not hear of a restart.
   */
  readonly streaming?: "auto" | "live" | "held";
  /** Throws, or returns what is wrong, for a plausible but unusable answer: it is `malformed_output`, and the model is told. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a validator that only throws returns nothing
  readonly validate?: (answer: AIMessage) => string | undefined | void | Promise<string | undefined | void>;
  /** Default: the system clock. Tests pass a fake one. */
  readonly clock?: Clock;
  /** Uniform in [0, 1), for jitter; default Math.random. */
  readonly random?: () => number;
}

/** Merged with the defaults of a route's place before it is parsed. */
const given = <T extends object>() => z.custom<T | false>((value) => value === false || isObject(value)).optional();

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

export const routeSchema = z.strictObject({
  model: z.custom<AnyChatModel>(isObject, "must be a chat model"),
  name: z.string().min(1).optional(),
  tasks: z.array(z.string().min(1)).min(1).optional(),
  when: z.array(z.enum(CATEGORIES)).optional(),
  contextTokens: z.int().positive().optional(),
  retry: given<RetryOptions>(),
  timeout: given<TimeoutOptions>(),
  transport: z.enum(["stream", "whole"]).optional(),
  finishReason: z.enum(["required", "optional"]).optional(),
  ...guardsShape,
});

export const resilientModelSchema = z.strictObject({
  name: z.string().min(1).optional(),
  retry: given<RetryOptions>(),
  timeout: given<TimeoutOptions>(),
  budget: offOr(budgetSchema).default(false),
  taskType: z.string().min(1).default("default"),
  streaming: z.enum(["auto", "live", "held"]).default("auto"),
  validate: z
    .custom<NonNullable<ResilientModelOptions["validate"]>>(
      (value) => typeof value === "function",
      "must be a function",
    )
    .optional(),
  clock: z.custom<Clock>(isObject, "must be a clock").default(systemClock),
  random: z
    .custom<() => number>((value) => typeof value === "function", "must be a function")
    .default(() => Math.random),
});

export type ModelPolicy = z.output<typeof resilientModelSchema>;
