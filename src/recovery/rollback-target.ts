/** How far a rollback goes: to which checkpoint, and what of the steps since it takes back. */
import { z } from "zod";

/**
 * `step`: what the failed step did; the thread stays before it. `process`: this run, from its input on. `transaction`:
 * the nodes of a named transaction in this run. `session`: the thread, to a checkpoint that is named, or else to the last
 * sound one where the newest is damaged, or to the last barrier.
 */
export const ROLLBACK_SCOPES = ["step", "process", "transaction", "session"] as const;
export type RollbackScope = (typeof ROLLBACK_SCOPES)[number];

/**
 * A checkpoint by its ID; so many checkpoints back; the last one on this branch from which this node is run; the last
 * one after a barrier of this name, or (`true`) of any.
 */
export type RollbackTarget =
  | string
  | number
  | { readonly checkpoint: string }
  | { readonly steps: number }
  | { readonly before: string }
  | { readonly barrier: string | true };

const name = z.string().min(1);

/** As it is given; this much of it can be said as a JSON schema too. */
export const givenTarget = z.union(
  [
    name,
    z.int().min(1),
    z.strictObject({ checkpoint: name }),
    z.strictObject({ steps: z.int().min(1) }),
    z.strictObject({ before: name }),
    z.strictObject({ barrier: z.union([name, z.literal(true)]) }),
  ],
  'must be a checkpoint ID, { checkpoint }, { steps }, { before: "node" } or { barrier: "name" }',
);

export const targetSchema = givenTarget.transform((given) =>
  typeof given === "string" ? { checkpoint: given } : typeof given === "number" ? { steps: given } : given,
);

export type ParsedTarget = z.output<typeof targetSchema>;

/** What is to be taken back. */
export interface RollbackRange {
  /** Where to go back to; with scope "session" alone. */
  readonly to?: RollbackTarget;
  /** Default "session". */
  readonly scope?: RollbackScope;
  /** With scope "transaction": its name. May be left out where the graph has one alone. */
  readonly transaction?: string;
  /** With scope "step": the node. May be left out where one alone has failed. */
  readonly step?: string;
}

export const rangeShape = {
  to: targetSchema.optional(),
  scope: z.enum(ROLLBACK_SCOPES).default("session"),
  transaction: name.optional(),
  step: name.optional(),
};

export interface ParsedRange {
  readonly to?: ParsedTarget | undefined;
  readonly scope: RollbackScope;
  readonly transaction?: string | undefined;
  readonly step?: string | undefined;
}

/** Each option goes with one scope: beside another it would mean something that is not done. */
export function checkRange({ to, scope, transaction, step }: ParsedRange, context: z.RefinementCtx): void {
  const fault = (path: string, wanted: RollbackScope) =>
    context.addIssue({ code: "custom", path: [path], message: `goes with scope "${wanted}", not with "${scope}"` });
  if (to !== undefined && scope !== "session") fault("to", "session");
  if (transaction !== undefined && scope !== "transaction") fault("transaction", "transaction");
  if (step !== undefined && scope !== "step") fault("step", "step");
}
