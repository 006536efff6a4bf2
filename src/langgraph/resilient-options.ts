import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { z } from "zod";
import { offOr } from "../core/options.js";
import { type BudgetOptions, budgetSchema } from "../policies/budget.js";
import { checkLadder, type LadderFallback, type LadderOptions, ladderShape } from "../policies/ladder-options.js";

/** A simpler way to do the step. Runs with the node's own input, under its own policies: one attempt by default. */
export type FallbackStep<I, O> = LadderFallback<I, LangGraphRunnableConfig, O>;

export interface ResilientOptions<I, O, F = O> extends LadderOptions<I, LangGraphRunnableConfig, O, F> {
  /** Off by default. What the thread may spend, checked before each attempt of the node itself. */
  readonly budget?: BudgetOptions | false;
  /**
   * How many steps of the run may have been answered by something simpler, before this one's fallbacks are left to a
   * person. No limit by default.
   */
  readonly maxDegradations?: number;
  /** Ask a person after the retries already, leaving the fallbacks for them to choose; default after the fallbacks. */
  readonly humanAfter?: "retry" | "fallback";
}

export const resilientSchema = z
  .strictObject({
    ...ladderShape,
    budget: offOr(budgetSchema).default(false),
    maxDegradations: z.int().min(0).optional(),
    humanAfter: z.enum(["retry", "fallback"]).default("fallback"),
  })
  .superRefine(checkLadder);

export type ResilientPolicy = z.output<typeof resilientSchema>;
