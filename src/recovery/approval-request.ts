/** The question whether an effect may be begun, and what may be answered to it. */
import { z } from "zod";
import type { EffectEntry, EffectKind, StoredEffect } from "../core/effect-ports.js";
import { redact } from "../core/redact.js";
import { shellQuote } from "../core/shell-quote.js";
import { DecisionRefusedError } from "../errors/own-errors.js";
import { aboutRequest, ownAnswer } from "./answer-formats.js";
import { type ShownEffect, shownEffects } from "./effects-so-far.js";
import type { ForeignFields } from "./foreign-fields.js";

export const APPROVAL_ACTIONS = ["approve", "reject"] as const;
export type ApprovalAction = (typeof APPROVAL_ACTIONS)[number];

/** Everything a person needs to approve an effect. This is the value of the interrupt: plain data, redacted, versioned. */
export interface ApprovalRequest extends Partial<ForeignFields> {
  readonly v: 1;
  readonly kind: "approval";
  /** Of the question, among those of all threads; the inbox knows it by this. */
  readonly id: string;
  /** Until when the people who are asked have time; ISO 8601. Absent: for ever. */
  readonly deadline?: string;
  /** What happens then. */
  readonly atDeadline?: string;
  /** Which of the questions of its task it is; absent for the first. */
  readonly question?: number;
  /** Name of the effect. */
  readonly effect: string;
  readonly effectKind: EffectKind;
  /** Which effect of the thread it is, as its ledger has it. */
  readonly key: string;
  /** The node that is about to do it. */
  readonly node: string;
  /** The nodes of the graphs around, outermost first; absent for a node of the root graph. */
  readonly within?: readonly string[];
  readonly threadId?: string;
  readonly graph?: string;
  /** One sentence: what would be done. */
  readonly summary: string;
  /** What the effect would be given; secrets hidden, long values shortened. */
  readonly input: unknown;
  /** What the thread did to the outside world: the last 20, oldest first. */
  readonly effects?: readonly ShownEffect[];
  /** Of what exactly is asked about. An answer that names it as `of` counts for nothing else. */
  readonly hash: string;
  readonly actions: readonly {
    readonly action: ApprovalAction;
    readonly description: string;
    readonly schema: object;
  }[];
  /** A command line that approves it. */
  readonly resumeCommand: string;
}

/** What may be answered to an {@link ApprovalRequest}. */
export interface ApprovalAnswer {
  readonly action: ApprovalAction;
  /** Who answers; for the ledger and the audit log. */
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
  /** `hash` of the question it was shown with. */
  readonly of?: string | undefined;
}

const answerSchemas = APPROVAL_ACTIONS.map((action) =>
  z.strictObject({
    action: z.literal(action),
    by: z.string().optional(),
    reason: z.string().optional(),
    of: z.string().optional(),
  }),
);

export const approvalSchema = z.discriminatedUnion(
  "action",
  answerSchemas as never,
) as unknown as z.ZodType<ApprovalAnswer>;

const texts: Readonly<Record<ApprovalAction, string>> = {
  approve: "let it be done, as it is shown",
  reject: "do not do it; the step fails, and a retry of it asks again",
};

const consequences: Readonly<Record<EffectKind, string>> = {
  read: "",
  idempotent: "once, however often it is repeated",
  reversible: "which can be undone",
  irreversible: "which nothing undoes",
};

export interface ApprovalContext {
  readonly node: string;
  readonly within?: readonly string[] | undefined;
  /** The alias people use; the thread ID where there is none. */
  readonly threadName?: string | undefined;
  readonly graph?: string | undefined;
  /** Of the thread, in the order of intent. */
  readonly effects: readonly StoredEffect[];
  readonly question: number;
  readonly hash: string;
  readonly id: string;
}

/** @param entry of what is to be approved */
export function approvalRequest(entry: EffectEntry, context: ApprovalContext): ApprovalRequest {
  const { node, within = [], threadName, graph, effects, question, hash, id } = context;
  const { effect, kind, key, epoch, threadId, input } = entry;
  const others = effects.filter((other) => other.key !== key || other.epoch !== epoch);
  return {
    v: 1,
    kind: "approval",
    id,
    ...(question === 0 ? {} : { question }),
    effect,
    effectKind: kind,
    key,
    node,
    ...(within.length === 0 ? {} : { within }),
    threadId,
    ...(graph === undefined ? {} : { graph }),
    summary: `Node "${node}" is about to do "${effect}", ${consequences[kind]}, and waits for approval`,
    input: redact(input),
    ...(others.length === 0 ? {} : { effects: shownEffects(others) }),
    hash,
    actions: APPROVAL_ACTIONS.map((action, index) => ({
      action,
      description: texts[action],
      schema: z.toJSONSchema(answerSchemas[index] as z.ZodType),
    })),
    resumeCommand: `npx lgr resume ${shellQuote(threadName ?? threadId)} --action approve --of ${hash}`,
  };
}

/** Whether an interrupt's value is one of these; other interrupts of the same graph are not touched. */
export function isApprovalRequest(value: unknown): value is ApprovalRequest {
  const candidate = value as { kind?: unknown; v?: unknown } | null | undefined;
  return typeof candidate === "object" && candidate !== null && candidate.kind === "approval" && candidate.v === 1;
}

/**
 * The answer, if it fits the request, for nothing but what that shows.
 *
 * @throws DecisionRefusedError naming what does not fit and what would
 */
export function checkApproval(request: ApprovalRequest, given: unknown): ApprovalAnswer {
  const parsed = approvalSchema.safeParse(ownAnswer(given, aboutRequest(request)));
  const what = `Effect "${request.effect}" of node "${request.node}"`;
  if (!parsed.success) throw new DecisionRefusedError(`${what}: ${unfitApproval(parsed.error)}`);
  const { of = request.hash } = parsed.data;
  if (of !== request.hash)
    throw new DecisionRefusedError(`${what}: what was shown has changed since; look at it again, and answer that`);
  return { ...parsed.data, of };
}

/** What of an answer does not fit, and what would. */
export function unfitApproval({ issues }: z.ZodError): string {
  const faults = issues.map(({ path, message }) => `${path.join(".") || "answer"}: ${message}`).join("; ");
  return `it can be answered with { "action": "approve" } or { "action": "reject" }, and "by", "reason" and "of" if you like (${faults})`;
}
