import { z } from "zod";
import { CATEGORIES, CATEGORY_POLICIES, type Category, isCategory } from "./categories.js";
import type { ErrorFacts } from "./facts.js";
import { ConfigError } from "./own-errors.js";
import { field, printed } from "./reading.js";

/** When a rule is asked; see `rules.ts` for the order. */
export const PASSES = ["own", "typed", "message"] as const;
export type Pass = (typeof PASSES)[number];

/** One row of the table: which facts it is about, and what they mean. */
export interface ErrorRule {
  /** Unique, for messages and for replacing the rule. */
  readonly name: string;
  /** What a matching error means; a function may look closer and return undefined to leave it to the next rule. */
  readonly category: Category | ((facts: ErrorFacts) => Category | undefined);
  /**
   * `false`: no retry although the category has some. Default: whatever the category says. `true` cannot give retries
   * to a category that has none; name another category, or give it some in `retry.categories`.
   */
  readonly retryable?: boolean | ((facts: ErrorFacts) => boolean | undefined);
  /** Default "typed". */
  readonly pass?: Pass;
  /** Asked for an error and for each cause beneath it, with the facts of that one. */
  readonly when: (facts: ErrorFacts) => boolean;
}

const isFunction = (value: unknown) => typeof value === "function";

const ruleSchema = z
  .strictObject({
    name: z.string().min(1),
    category: z.custom<ErrorRule["category"]>(
      (value) => isCategory(value) || isFunction(value),
      `must be a function or one of ${CATEGORIES.join(", ")}`,
    ),
    retryable: z
      .custom<NonNullable<ErrorRule["retryable"]>>(
        (value) => typeof value === "boolean" || isFunction(value),
        "must be true, false or a function",
      )
      .optional(),
    pass: z.enum(PASSES).default("typed"),
    when: z.custom<ErrorRule["when"]>(isFunction, "must be a function"),
  })
  .refine(({ category, retryable }) => retryable !== true || !isCategory(category) || isRetried(category), {
    path: ["retryable"],
    error: "its category is never retried; name one that is, or set retries for it in retry.categories",
  });

/** A rule with its defaults. */
export type CompiledRule = z.output<typeof ruleSchema>;

/** @throws ConfigError naming the rule, each field at fault and what would do */
export function compileRule(rule: ErrorRule): CompiledRule {
  const parsed = ruleSchema.safeParse(rule);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => {
    const [option] = path;
    return option === undefined ? message : `"${String(option)}" is ${shown(field(rule, String(option)))}: ${message}`;
  });
  throw new ConfigError(`defineErrorRule(${shown(field(rule, "name"))}): ${faults.join("; ")}`, {
    details: { issues: parsed.error.issues },
  });
}

export function isRetried(category: Category): boolean {
  return CATEGORY_POLICIES[category].retries > 0;
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "function" ? "a function" : printed(value);
}
