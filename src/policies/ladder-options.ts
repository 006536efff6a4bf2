import { z } from "zod";
import { type Clock, systemClock } from "../core/clock.js";
import { offOr } from "../core/options.js";
import { NODE_STEP } from "../core/records.js";
import { CATEGORIES, type Category } from "../errors/categories.js";
import type { ErrorReport } from "../errors/report.js";
import { type CacheOptions, cacheSchema } from "./cache.js";
import { STALE } from "./fallback.js";
import { type RetryOptions, retrySchema } from "./retry-options.js";
import { type CallGuards, guardsShape } from "./service-choice.js";
import { type TimeoutOptions, timeoutSchema } from "./timeout.js";

/** A simpler way to do the step. Runs with the step's own input, under its own policies: one attempt by default. */
export interface LadderFallback<I, Context, O> extends CallGuards {
  /** Shown to people, written into `degradations`, and what `{ action: "fallback", step }` names. Unique in the node. */
  readonly name: string;
  readonly run: (input: I, context: Context, failure: ErrorReport) => O | Promise<O>;
  /** Categories it answers for. Default: every category whose next rung is `fallback`. */
  readonly when?: readonly Category[];
  /** Default: no retry. */
  readonly retry?: RetryOptions | false;
  /** Default: the node's. */
  readonly timeout?: TimeoutOptions | false;
}

/** What every decorated call may be given. */
export interface LadderOptions<I, Context, O, F = O> extends CallGuards {
  /** For messages; within a graph the node's name there is used. Default: the function's name. */
  readonly name?: string;
  /** `false`: one attempt. */
  readonly retry?: RetryOptions | false;
  /** `false`: no time limit. */
  readonly timeout?: TimeoutOptions | false;
  /** In order. `"stale"` stands for the cache's outdated answer; without it that comes last. */
  readonly fallback?: readonly (LadderFallback<I, Context, F> | "stale")[];
  /** Off by default. Answers by input, for a while, and outdated ones where all else fails. */
  readonly cache?: CacheOptions<I> | false;
  /** Throws, or returns what is wrong, for a plausible but unusable result: that attempt is `malformed_output`. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a validator that only throws returns nothing
  readonly validate?: (result: O | F) => string | undefined | void | Promise<string | undefined | void>;
  /** Tokens that a call will use, for a service's tokens a minute; corrected by what a model then reports. */
  readonly estimateTokens?: (input: I) => number;
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
  ...guardsShape,
});

/** A step of a chain with its defaults; the word stands for the cache's outdated answer. */
export type FallbackPolicy = z.output<typeof fallbackSchema>;

export const ladderShape = {
  name: z.string().min(1).optional(),
  retry: offOr(retrySchema).prefault({}),
  timeout: offOr(timeoutSchema).prefault({}),
  fallback: z
    .array(
      z.unknown().transform((given, context): FallbackPolicy | typeof STALE => {
        if (given === STALE) return STALE;
        const parsed = fallbackSchema.safeParse(given);
        if (parsed.success) return parsed.data;
        for (const issue of parsed.error.issues)
          context.addIssue({ ...issue } as Parameters<typeof context.addIssue>[0]);
        return z.NEVER;
      }),
    )
    .default([]),
  cache: offOr(cacheSchema).default(false),
  validate: func.optional(),
  estimateTokens: func.optional(),
  ...guardsShape,
  clock: z
    .custom<Clock>((value) => typeof value === "object" && value !== null, "must be a clock")
    .default(systemClock),
  random: z
    .custom<() => number>((value) => typeof value === "function", "must be a function")
    .default(() => Math.random),
};

const ladderSchema = z.strictObject(ladderShape);

export type LadderPolicy = z.output<typeof ladderSchema>;

/** What no single option can say. For `superRefine`. */
export function checkLadder(options: Pick<LadderPolicy, "fallback" | "cache">, context: z.RefinementCtx): void {
  const names = options.fallback.map((step) => (step === STALE ? STALE : step.name));
  const fault = (message: string) => context.addIssue({ code: "custom", path: ["fallback"], message });
  for (const [index, step] of options.fallback.entries()) {
    if (step !== STALE && step.timeout !== undefined && step.timeout !== false && step.timeout.deadlineMs !== undefined)
      fault(`fallback "${step.name}" has a deadlineMs; the deadline is that of the whole node, a step has baseMs`);
    if (step !== STALE && (step.name === NODE_STEP || step.name === STALE))
      fault(`a fallback step cannot be called "${step.name}"`);
    else if (names.indexOf(names[index] ?? "") !== index) fault(`two fallback steps are called "${names[index]}"`);
  }
  if (names.includes(STALE) && !servesStale(options.cache))
    fault('"stale" needs a cache with staleIfErrorMs, or there is no outdated answer to give');
}

/** Whether an outdated answer may stand in for a failed call. */
export function servesStale(cache: LadderPolicy["cache"]): boolean {
  return cache !== false && cache.staleIfErrorMs > 0;
}
