/** What a person may answer to an intervention request. One zod schema per request, so that only what fits it parses. */
import { z } from "zod";
import type { RetryParameters } from "../core/records.js";
import { givenTarget, ROLLBACK_SCOPES, type RollbackScope, type RollbackTarget } from "./rollback-target.js";

export const ACTIONS = ["retry", "adjust", "fallback", "provide", "rollback", "escalate", "abort"] as const;
export type Action = (typeof ACTIONS)[number];

export interface Signature {
  /** Who answers; for the audit. */
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
  /** `hash` of the request that it answers; one that has another is refused. */
  readonly of?: string | undefined;
}

export type Decision = Signature &
  (
    | { readonly action: "retry" }
    | {
        readonly action: "adjust";
        /** Merged over the step's input and written to the graph's state. */
        readonly state?: Record<string, unknown> | undefined;
        readonly parameters?: { readonly [K in keyof RetryParameters]?: RetryParameters[K] | undefined } | undefined;
      }
    | { readonly action: "fallback"; readonly step?: string | undefined }
    | { readonly action: "provide"; readonly result: unknown }
    | {
        readonly action: "rollback";
        /** Default "step": what the step did is undone, and it is run again. With `to` "session". */
        readonly scope?: RollbackScope | undefined;
        readonly to?: RollbackTarget | undefined;
        readonly transaction?: string | undefined;
        /** Whether something may stay in the world that cannot be undone. */
        readonly acceptStanding?: boolean | undefined;
      }
    | { readonly action: "escalate"; readonly to?: string | undefined }
    | {
        readonly action: "abort";
        /** Whether what the run did is undone, as far as it can be; default true. */
        readonly compensate?: boolean | undefined;
      }
  );

const signature = { by: z.string().optional(), reason: z.string().optional(), of: z.string().optional() };

const parameters = z.strictObject({
  maxAttempts: z.int().min(1).max(100).optional(),
  initialDelayMs: z.number().min(0).optional(),
  timeoutMs: z.number().positive().optional(),
});

/** The schema of one action, with the steps a fallback may name. */
export function actionSchema(action: Action, fallbacks: readonly string[]): z.ZodObject {
  switch (action) {
    case "adjust":
      return z.strictObject({
        action: z.literal(action),
        state: z.record(z.string(), z.unknown()).optional(),
        parameters: parameters.optional(),
        ...signature,
      });
    case "fallback":
      return z.strictObject({
        action: z.literal(action),
        step: z.enum(fallbacks as [string, ...string[]]).optional(),
        ...signature,
      });
    case "provide":
      return z.strictObject({ action: z.literal(action), result: z.record(z.string(), z.unknown()), ...signature });
    case "rollback":
      return z.strictObject({
        action: z.literal(action),
        scope: z.enum(ROLLBACK_SCOPES).optional(),
        to: givenTarget.optional(),
        transaction: z.string().optional(),
        acceptStanding: z.boolean().optional(),
        ...signature,
      });
    case "escalate":
      return z.strictObject({ action: z.literal(action), to: z.string().min(1).optional(), ...signature });
    case "abort":
      return z.strictObject({ action: z.literal(action), compensate: z.boolean().optional(), ...signature });
    case "retry":
      return z.strictObject({ action: z.literal(action), ...signature });
  }
}

/**
 * The schema of a whole decision for a request that offers these actions.
 *
 * @param isWithinRun whether it is answered by the run itself, beneath which a thread cannot be taken back
 */
export function decisionSchema(
  actions: readonly Action[],
  fallbacks: readonly string[],
  isWithinRun = false,
): z.ZodType<Decision> {
  const options = actions.map((action) =>
    action === "rollback" && isWithinRun ? stepRollback : actionSchema(action, fallbacks),
  ) as unknown as [z.ZodObject, ...z.ZodObject[]];
  return z.discriminatedUnion("action", options as never) as unknown as z.ZodType<Decision>;
}

const stepRollback = z.strictObject({
  action: z.literal("rollback"),
  scope: z.literal("step", 'can be "step" alone within a run; for more use resumeThread() or lgr resume').optional(),
  acceptStanding: z.boolean().optional(),
  ...signature,
});

/** What an action does, for people. */
export const ACTION_TEXTS: Readonly<Record<Action, string>> = {
  retry: "try the step again as it is",
  adjust: "change the step's state or its parameters, then try again",
  fallback: "do the step in a simpler, declared way",
  provide: "give the step's result yourself",
  rollback: "undo what the step did outside, or more, and go on from there",
  escalate: "hand the question on to someone else",
  abort: "end the run here, and undo what it did outside",
};
