import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { z } from "zod";
import { offOr } from "../core/options.js";
import type { EffectCall } from "../effects/effect.js";
import { type BudgetOptions, budgetSchema } from "../policies/budget.js";
import { checkLadder, type LadderFallback, type LadderOptions, ladderShape } from "../policies/ladder-options.js";
import { ROLLBACK_SCOPES, type RollbackScope } from "../recovery/rollback-target.js";

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
  /**
   * Which rung a person comes after. "retry": the fallbacks are left for them to choose; "fallback": the rollback is;
   * default "rollback": after all that is declared.
   */
  readonly humanAfter?: "retry" | "fallback" | "rollback";
  /** Off by default. What is taken back by itself, after the fallbacks and before a person is asked. */
  readonly rollback?: AutomaticRollback | false;
  /**
   * Undoes what the node did, when it is taken back: given what it returned. The node counts as one effect then, which
   * is repeated under the same key (`attempt(config).idempotencyKey`) after a failure or a crash; for one that must not
   * be, or several, use defineEffect. It returns an update, not a Command.
   */
  readonly compensate?: (result: O, call: EffectCall) => unknown;
  /**
   * The named transaction that the node is part of: what its nodes have done is undone together, by a rollback of scope
   * "transaction". One begins with the run, or with a node that says `begins`.
   */
  readonly transaction?: string | { readonly name: string; readonly begins?: boolean };
}

export interface AutomaticRollback {
  /**
   * "step": what the node did is undone, and it is run again. "transaction": what the nodes of its transaction did in
   * this run, which are run again. "process": this run. "session": back to the last barrier of this run, or its input.
   * All but "step" need a run by `runThread`, `resumeThread` or `lgr`; by other means a person is asked.
   */
  readonly scope: RollbackScope;
  /** How often in one run of the thread, with scope "step" how often one step; default 1. */
  readonly max?: number;
  /** Also where something would stay in the world that cannot be undone; default false: then a person is asked. */
  readonly acceptStanding?: boolean;
}

const rollbackSchema = z.strictObject({
  scope: z.enum(ROLLBACK_SCOPES),
  max: z.int().min(1).max(100).default(1),
  acceptStanding: z.boolean().default(false),
});

const name = z.string().min(1);
const transactionSchema = z.union([
  name.transform((given) => ({ name: given, begins: false })),
  z.strictObject({ name, begins: z.boolean().default(false) }),
]);

export const resilientSchema = z
  .strictObject({
    ...ladderShape,
    budget: offOr(budgetSchema).default(false),
    maxDegradations: z.int().min(0).optional(),
    humanAfter: z.enum(["retry", "fallback", "rollback"]).default("rollback"),
    rollback: offOr(rollbackSchema).default(false),
    compensate: z
      .custom<(...parameters: never[]) => unknown>((value) => typeof value === "function", "must be a function")
      .optional(),
    transaction: transactionSchema.optional(),
  })
  .superRefine(checkLadder)
  .superRefine(({ rollback, transaction, compensate, cache }, context) => {
    if (compensate !== undefined && cache !== false)
      context.addIssue({
        code: "custom",
        path: ["cache"],
        message: 'does not go with "compensate": an answer from before it was undone would be given again',
      });
    if (rollback === false || rollback.scope !== "transaction" || transaction !== undefined) return;
    context.addIssue({
      code: "custom",
      path: ["transaction"],
      message: 'is missing: rollback.scope is "transaction", and the node is part of none',
    });
  });

export type ResilientPolicy = z.output<typeof resilientSchema>;
