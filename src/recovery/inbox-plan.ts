/** Who is asked, for how long, and what becomes of a question that nobody answers: options → plan. */
import { z } from "zod";
import type { InboxPlan } from "../core/inbox-ports.js";
import { ACTIONS, actionSchema, type Decision } from "./decision.js";

/** So that times stay within what a Date can hold: ten years. */
const longestMs = 10 * 365 * 24 * 3_600_000;
const ms = z.number().min(1000, "has to be a second at least: it is in milliseconds").max(longestMs);
const person = z.string().trim().min(1).max(200);

const levelSchema = z.strictObject({
  /** Mail addresses, or names that the channels know; none: whomever the channels tell by default. */
  to: z
    .union([person, z.array(person).max(50).readonly()])
    .default([])
    .transform((given) => (typeof given === "string" ? [given] : given)),
  /** How long they have; after it the next level is asked. Absent, and of the last level alone: for ever. */
  deadlineMs: ms.optional(),
  /** How often they are told again while nobody has answered. Absent: never. */
  remindEveryMs: ms.optional(),
});

export type InboxLevelOptions = z.input<typeof levelSchema>;

/** Of an intervention: which of its fallbacks there are is known when it is asked. */
const interventionExpiry = z
  .looseObject({ action: z.enum(ACTIONS.filter((action) => action !== "escalate")) })
  .superRefine((given, context) => {
    const step = (given as { step?: unknown }).step;
    const parsed = actionSchema(given.action, typeof step === "string" ? [step] : [""]).safeParse(given);
    for (const issue of parsed.error?.issues ?? []) context.addIssue({ ...issue } as never);
  })
  .transform((given) => given as unknown as Exclude<Decision, { action: "escalate" }>);

const approvalExpiry = z.strictObject({ action: z.enum(["approve", "reject"]), reason: z.string().optional() });

const shapeOf = <T extends z.ZodType>(onExpiry: T) => ({
  /** Who is asked, one level after the other. Default: one, without an end. */
  levels: z
    .array(levelSchema)
    .min(1)
    .max(20)
    .readonly()
    .default(() => [{ to: [] }]),
  /** What is answered when the time of the last level is over. Default: nothing, and the question stays open. */
  onExpiry: onExpiry.optional(),
});

export const interventionPlanShape = shapeOf(interventionExpiry);
export const approvalPlanSchema = z.strictObject(shapeOf(approvalExpiry)).superRefine(checkPlan);
export type ApprovalPlanOptions = z.input<typeof approvalPlanSchema>;

interface PlanOptions {
  readonly levels: readonly z.output<typeof levelSchema>[];
  readonly onExpiry?: { readonly action: string } | undefined;
  /** What may be answered at all, where that is an option. */
  readonly actions?: readonly string[];
}

function isJson(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}

/** Levels that would never be reached, and an end that would never come. */
export function checkPlan({ levels, onExpiry, actions }: PlanOptions, context: z.RefinementCtx): void {
  if (onExpiry !== undefined && !isJson(onExpiry))
    context.addIssue({ code: "custom", path: ["onExpiry"], message: "has to be JSON: it is kept with each question" });
  if (onExpiry !== undefined && actions !== undefined && !actions.includes(onExpiry.action))
    context.addIssue({
      code: "custom",
      path: ["onExpiry"],
      message: `names no action of "actions": ${actions.join(", ")}`,
    });
  const fault = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
  const endless = levels.findIndex(({ deadlineMs }) => deadlineMs === undefined);
  if (endless >= 0 && endless < levels.length - 1)
    fault(["levels", endless], `needs a "deadlineMs", or level ${endless + 2} is never asked`);
  if (onExpiry !== undefined && levels.at(-1)?.deadlineMs === undefined)
    fault(["onExpiry"], 'needs a "deadlineMs" of the last level: without one it never comes to that');
}

/** As it is kept with each question; undefined where it says nothing. */
export function inboxPlan({ levels, onExpiry }: PlanOptions): InboxPlan | undefined {
  const silent = levels.every(
    ({ to, deadlineMs, remindEveryMs }) => to.length === 0 && deadlineMs === undefined && remindEveryMs === undefined,
  );
  if (silent) return undefined;
  return {
    levels: levels.map(({ to, deadlineMs, remindEveryMs }) => ({
      to,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      ...(remindEveryMs === undefined ? {} : { remindEveryMs }),
    })),
    ...(onExpiry === undefined ? {} : { onExpiry }),
  };
}
