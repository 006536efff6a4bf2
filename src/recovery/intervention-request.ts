import { createHash } from "node:crypto";
import { z } from "zod";
import type { EffectScope, StoredEffect } from "../core/effect-ports.js";
import type { AttemptRecord, DecisionRecord, DeclaredRollback, FailureRecord } from "../core/records.js";
import { redact, redactText } from "../core/redact.js";
import { shellQuote } from "../core/shell-quote.js";
import { DecisionRefusedError } from "../errors/own-errors.js";
import type { ErrorReport } from "../errors/report.js";
import { aboutRequest, ownAnswer } from "./answer-formats.js";
import { ACTION_TEXTS, type Action, actionSchema, type Decision, decisionSchema } from "./decision.js";
import { openEffects, type ShownEffect, shownEffects } from "./effects-so-far.js";
import type { ForeignFields } from "./foreign-fields.js";
import { inboxId } from "./inbox-life.js";
import { affectedBy, planned, type Reach, type RollbackPlan } from "./rollback-plan.js";
import { type Suggestion, suggestAction } from "./suggestion.js";

/** Everything a person needs to decide. This is the value of the interrupt: plain data, redacted, versioned. */
export interface InterventionRequest extends Partial<ForeignFields> {
  readonly v: 1;
  readonly kind: "intervention";
  /** Of the question, among those of all threads; the inbox knows it by this. */
  readonly id: string;
  /** Over what is shown and where the thread stands. An answer that names it as `of` counts for nothing else. */
  readonly hash: string;
  /** Until when the people who are asked have time; ISO 8601. Absent: for ever. */
  readonly deadline?: string;
  /** What happens then. */
  readonly atDeadline?: string;
  /** Which of the questions of its task it is; absent for the first. */
  readonly question?: number;
  /** The node that failed. */
  readonly node: string;
  /** The nodes of the graphs around, outermost first; absent for a node of the root graph. */
  readonly within?: readonly string[];
  readonly threadId?: string;
  readonly graph?: string;
  /** One sentence: what failed and how. */
  readonly summary: string;
  readonly failure: ErrorReport;
  readonly attempts: readonly AttemptRecord[];
  readonly fallbacksTried: readonly string[];
  readonly fallbacks: readonly string[];
  /** What the thread did to the outside world: the last 20, oldest first; absent where nothing is recorded. */
  readonly effects?: readonly ShownEffect[];
  /** The step at its first execution, as the ledger of effects knows it. */
  readonly scope?: EffectScope;
  /** What a rollback of the step would do; absent where nothing is recorded. */
  readonly rollback?: StepRollback;
  /** What the node has declared to be taken back by itself: whoever runs the thread does, before anybody is asked. */
  readonly automatic?: DeclaredRollback;
  /** What people have decided about this step so far, oldest first. */
  readonly decisions: readonly DecisionRecord[];
  /** The step's input, secrets hidden and long values shortened. */
  readonly input: unknown;
  /** Where the thread stood when the request was made. */
  readonly checkpoint?: { readonly id: string; readonly step?: number };
  readonly suggestion: Suggestion;
  readonly actions: readonly { readonly action: Action; readonly description: string; readonly schema: object }[];
  /** A command line that answers with the suggestion. */
  readonly resumeCommand: string;
}

/** The plan of a rollback of scope "step", and why one that was to be made by itself was not. */
export interface StepRollback extends Pick<RollbackPlan, "undo" | "doubtful" | "stays"> {
  /** How many effects there are beside those that are named: of each kind the first 20 are. */
  readonly more?: number;
  readonly refused?: string;
}

const maxNamed = 20;
const maxRefusal = 2000;

export interface RequestContext {
  /** The task that asks. */
  readonly task?: string;
  readonly threadId?: string | undefined;
  /** The alias people use; the thread ID where there is none. */
  readonly threadName?: string | undefined;
  readonly graph?: string | undefined;
  readonly within?: readonly string[] | undefined;
  readonly checkpoint?: { readonly id: string; readonly step?: number } | undefined;
  /** Of the thread, in the order of intent; absent where there is no ledger. */
  readonly effects?: readonly StoredEffect[] | undefined;
  /** How many questions its task has asked before. */
  readonly question?: number;
  /** Why the rollback that the node has declared was not made. */
  readonly refused?: string | undefined;
  /** The rollback that is to be made by whoever runs the thread. */
  readonly automatic?: DeclaredRollback | undefined;
}

export function interventionRequest(
  failure: FailureRecord,
  offered: readonly Action[],
  context: RequestContext,
): InterventionRequest {
  const { effects = [], automatic, refused, question = 0 } = context;
  const actions = offered.filter((action) => isPossible(action, failure, context));
  const thread = context.threadName ?? context.threadId ?? "THREAD";
  const suggestion =
    automatic === undefined || !actions.includes("rollback")
      ? suggestAction(failure, actions, { thread, effects: openEffects(failure, effects) })
      : declaredSuggestion(automatic);
  const rollback = context.effects === undefined ? undefined : stepRollback(failure, effects, refused);
  const tried = [
    ...new Set(failure.attempts.filter((attempt) => attempt.step !== "node").map((attempt) => attempt.step)),
  ];
  return {
    v: 1,
    kind: "intervention",
    id: inboxId(context.threadId ?? "", context.task ?? "", question),
    hash: hashOf(failure, context),
    ...(question === 0 ? {} : { question }),
    node: failure.node,
    ...(context.within === undefined ? {} : { within: context.within }),
    ...(context.threadId === undefined ? {} : { threadId: context.threadId }),
    ...(context.graph === undefined ? {} : { graph: context.graph }),
    summary: summaryOf(failure, tried),
    failure: shown(failure.report),
    attempts: failure.attempts.map((attempt) => ({ ...attempt, report: shown(attempt.report) })),
    fallbacksTried: tried,
    fallbacks: failure.fallbacks,
    ...(effects.length === 0 ? {} : { effects: shownEffects(effects) }),
    ...(failure.scope === undefined ? {} : { scope: failure.scope }),
    ...(rollback === undefined ? {} : { rollback }),
    ...(automatic === undefined ? {} : { automatic }),
    decisions: failure.decisions,
    input: redact(failure.input),
    ...(context.checkpoint === undefined ? {} : { checkpoint: context.checkpoint }),
    suggestion,
    actions: actions.map((action) => ({
      action,
      description: ACTION_TEXTS[action],
      schema: z.toJSONSchema(actionSchema(action, failure.fallbacks)),
    })),
    resumeCommand: `npx lgr resume ${shellQuote(thread)} ${suggestedFlags(suggestion, failure, automatic)}`,
  };
}

/** The checkpoint fixes what the step was given; as a value that may look different before and after it is stored. */
function hashOf(failure: FailureRecord, context: RequestContext): string {
  const { threadId, checkpoint, within = [], question = 0, task } = context;
  const { node, report, attempts, decisions } = failure;
  const place = [threadId, checkpoint?.id, task, within, node, question];
  const what = [report.category, report.message, attempts.length, decisions.length];
  return createHash("sha256")
    .update(JSON.stringify([place, what]))
    .digest("hex")
    .slice(0, 16);
}

const CHANGED = "what was shown has changed since; look at it again, and answer that";

/** The schema of answers that are for nothing else, where they say what they are for. */
export function boundTo(hash: string, schema: z.ZodType<Decision>): z.ZodType<Decision> {
  return schema.refine(({ of = hash }) => of === hash, { message: CHANGED, path: ["of"] });
}

/** Whether an interrupt's value is one of ours; other interrupts of the same graph are not touched. */
export function isInterventionRequest(value: unknown): value is InterventionRequest {
  const candidate = value as { kind?: unknown; v?: unknown } | null | undefined;
  return typeof candidate === "object" && candidate !== null && candidate.kind === "intervention" && candidate.v === 1;
}

/**
 * The decision, if it fits the request.
 *
 * @throws DecisionRefusedError naming what does not fit and what would
 */
export function checkDecision(request: InterventionRequest, answer: unknown): Decision {
  const given = ownAnswer(answer, aboutRequest(request));
  const offered = request.actions.map((offer) => offer.action);
  const parsed = decisionSchema(offered, request.fallbacks).safeParse(given);
  if (parsed.success) {
    const { of = request.hash } = parsed.data;
    if (of === request.hash) return parsed.data;
    throw new DecisionRefusedError(`Node "${request.node}": ${CHANGED}`);
  }
  const action = (given as { action?: unknown } | null | undefined)?.action;
  if (typeof action !== "string" || !offered.includes(action as Action)) {
    const what = typeof action === "string" ? `action "${action}" is not offered` : 'the answer names no "action"';
    throw new DecisionRefusedError(`Node "${request.node}": ${what}; choose one of ${offered.join(", ")}`);
  }
  const faults = parsed.error.issues.map((issue) => `${issue.path.join(".") || "answer"}: ${issue.message}`).join("; ");
  throw new DecisionRefusedError(`Node "${request.node}": "${action}" does not fit: ${faults}`, {
    details: { issues: parsed.error.issues },
  });
}

function suggestedFlags(
  { action, parameters }: Suggestion,
  failure: FailureRecord,
  automatic: DeclaredRollback | undefined,
): string {
  if (action === "rollback" && automatic !== undefined) return rollbackFlags(automatic);
  if (action === "adjust") return `--action adjust --parameters ${shellQuote(JSON.stringify(parameters ?? {}))}`;
  return action === "fallback"
    ? `--action fallback --step ${shellQuote(failure.fallbacks[0] ?? "")}`
    : `--action ${action}`;
}

/** Of the command line, for a rollback as the node declares it. */
export function rollbackFlags({ scope, transaction, acceptStanding }: DeclaredRollback): string {
  const which = transaction === undefined || scope !== "transaction" ? "" : ` --transaction ${shellQuote(transaction)}`;
  return `--action rollback --scope ${scope}${which}${acceptStanding ? " --accept-standing" : ""}`;
}

function isPossible(
  action: Action,
  { fallbacks, routesByItself }: FailureRecord,
  { effects }: Pick<RequestContext, "effects">,
): boolean {
  switch (action) {
    case "fallback":
      return fallbacks.length > 0;
    case "provide":
      return routesByItself !== true;
    case "rollback":
      return effects !== undefined;
    default:
      return true;
  }
}

function ofStep(scope: EffectScope | undefined): Reach {
  return { from: new Set(), only: { steps: scope === undefined ? [] : [scope] } };
}

/** The plan alone: what is looked up first may come out otherwise. */
function stepRollback(failure: FailureRecord, effects: readonly StoredEffect[], refused?: string): StepRollback {
  const { scope } = failure;
  const { undo, doubtful, stays } = affectedBy(effects, ofStep(scope));
  const named = <T>(all: readonly T[]) => all.slice(0, maxNamed);
  const more = [undo, doubtful, stays].reduce((sum, { length }) => sum + Math.max(0, length - maxNamed), 0);
  return {
    undo: named(undo).map((entry) => planned(entry)),
    doubtful: named(doubtful).map((entry) => planned(entry)),
    stays: named(stays).map(([entry, why]) => planned(entry, why)),
    ...(more === 0 ? {} : { more }),
    ...(refused === undefined ? {} : { refused: redactText(refused).slice(0, maxRefusal) }),
  };
}

function declaredSuggestion({ scope, transaction }: DeclaredRollback): Suggestion {
  const what = transaction === undefined ? scope : `${scope} "${transaction}"`;
  return {
    action: "rollback",
    reason: `The node declares that its ${what} is rolled back when it fails; runThread, resumeThread and lgr do so by themselves.`,
  };
}

function summaryOf(failure: FailureRecord, tried: readonly string[]): string {
  const own = failure.attempts.filter((attempt) => attempt.step === "node").length;
  const attempts = own === 0 ? "" : ` after ${own} attempt${own === 1 ? "" : "s"}`;
  const fallbacks =
    tried.length === 0 ? "" : ` and ${tried.length === 1 ? "the fallback" : "the fallbacks"} ${tried.join(", ")}`;
  return `Node "${failure.node}" failed${attempts}${fallbacks} (${failure.report.category}): ${redactText(failure.report.message)}`;
}

function shown(report: ErrorReport): ErrorReport {
  return {
    ...report,
    message: redactText(report.message),
    ...(report.cause === undefined ? {} : { cause: report.cause.map(redactText) }),
  };
}
