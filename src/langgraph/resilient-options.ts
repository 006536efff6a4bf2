import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { z } from "zod";
import { type Clock, systemClock } from "../core/clock.js";
import { offOr } from "../core/options.js";
import { NODE_STEP } from "../core/records.js";
import { CATEGORIES, type Category } from "../errors/categories.js";
import type { ErrorReport } from "../errors/report.js";
import { type RetryOptions, retrySchema } from "../policies/retry-options.js";
import { type TimeoutOptions, timeoutSchema } from "../policies/timeout.js";

/** A simpler way to do the step. Runs with the node's own input, under its own policies: one attempt by default. */
export interface FallbackStep<I, O> {
  /** Shown to people, written into `degradations`, and what `{ action: "fallback", step }` names. Unique in the node. */
  readonly name: string;
  readonly run: (input: I, config: LangGraphRunnableConfig, failure: ErrorReport) => O | Promise<O>;
  /** Categories it answers for. Default: every category whose next rung is `fallback`. */
  readonly when?: readonly Category[];
  /** Default: no retry. */
  readonly retry?: RetryOptions | false;
  /** Default: the node's. */
  readonly timeout?: TimeoutOptions | false;
}

export interface ResilientOptions<I, O, F = O> {
  /** For messages outside of a graph; inside, the node's name in the graph is used. Default: the function's name. */
  readonly name?: string;
  /** `false`: one attempt. */
  readonly retry?: RetryOptions | false;
  /** `false`: no time limit. */
  readonly timeout?: TimeoutOptions | false;
  readonly fallback?: readonly FallbackStep<I, F>[];
  /** Throws, or returns what is wrong, for a plausible but unusable result: that attempt is `malformed_output`. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a validator that only throws returns nothing
  readonly validate?: (result: O | F) => string | undefined | void | Promise<string | undefined | void>;
  /** Ask a person after the retries already, leaving the fallbacks for them to choose; default after the fallbacks. */
  readonly humanAfter?: "retry" | "fallback";
  /** Default: the system clock. Tests pass a fake one. */
  readonly clock?: Clock;
  /** Uniform in [0, 1), for jitter; default Math.random. */
  readonly random?: () => number;
}

const func = z.custom<(...parameters: never[]) => unknown>(
  (value) => typeof value === "function",
  "must be a function",
);

const fallbackSchema = z.strictObject({
  name: z.string().min(1),
  run: func,
  when: z.array(z.enum(CATEGORIES)).optional(),
  retry: offOr(retrySchema).default(false),
  timeout: offOr(timeoutSchema).optional(),
});

export const resilientSchema = z
  .strictObject({
    name: z.string().min(1).optional(),
    retry: offOr(retrySchema).prefault({}),
    timeout: offOr(timeoutSchema).prefault({}),
    fallback: z.array(fallbackSchema).default([]),
    validate: func.optional(),
    humanAfter: z.enum(["retry", "fallback"]).default("fallback"),
    clock: z
      .custom<Clock>((value) => typeof value === "object" && value !== null, "must be a clock")
      .default(systemClock),
    random: z
      .custom<() => number>((value) => typeof value === "function", "must be a function")
      .default(() => Math.random),
  })
  .superRefine((options, context) => {
    const names = options.fallback.map((step) => step.name);
    const taken = names.find((name, index) => name === NODE_STEP || names.indexOf(name) !== index);
    if (taken === undefined) return;
    const message =
      taken === NODE_STEP
        ? `a fallback step cannot be called "${NODE_STEP}"`
        : `two fallback steps are called "${taken}"`;
    context.addIssue({ code: "custom", path: ["fallback"], message });
  });

export type ResilientPolicy = z.output<typeof resilientSchema>;
export type FallbackPolicy = ResilientPolicy["fallback"][number];
