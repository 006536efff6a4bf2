import { z } from "zod";
import type { StoredEffect } from "../core/effect-ports.js";
import type { AttemptRecord, DecisionRecord, FailureRecord } from "../core/records.js";
import { redact, redactText } from "../core/redact.js";
import { shellQuote } from "../core/shell-quote.js";
import { DecisionRefusedError } from "../errors/own-errors.js";
import type { ErrorReport } from "../errors/report.js";
import { ACTION_TEXTS, type Action, actionSchema, type Decision, decisionSchema } from "./decision.js";
import { openEffects, type ShownEffect, shownEffects } from "./effects-so-far.js";
import { type Suggestion, suggestAction } from "./suggestion.js";

/** Everything a person needs to decide. This is the value of the interrupt: plain data, redacted, versioned. */
export interface InterventionRequest {
  readonly v: 1;
  readonly kind: "intervention";
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

export interface RequestContext {
  readonly threadId?: string | undefined;
  /** The alias people use; the thread ID where there is none. */
  readonly threadName?: string | undefined;
  readonly graph?: string | undefined;
  readonly within?: readonly string[] | undefined;
  readonly checkpoint?: { readonly id: string; readonly step?: number } | undefined;
  /** Of the thread, in the order of intent. */
  readonly effects?: readonly StoredEffect[] | undefined;
}

export function interventionRequest(
  failure: FailureRecord,
  offered: readonly Action[],
  context: RequestContext,
): InterventionRequest {
  const actions = offered.filter((action) => isPossible(action, failure));
  const thread = context.threadName ?? context.threadId ?? "THREAD";
  const { effects = [] } = context;
  const suggestion = suggestAction(failure, actions, { thread, effects: openEffects(failure, effects) });
  const tried = [
    ...new Set(failure.attempts.filter((attempt) => attempt.step !== "node").map((attempt) => attempt.step)),
  ];
  return {
    v: 1,
    kind: "intervention",
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
    decisions: failure.decisions,
    input: redact(failure.input),
    ...(context.checkpoint === undefined ? {} : { checkpoint: context.checkpoint }),
    suggestion,
    actions: actions.map((action) => ({
      action,
      description: ACTION_TEXTS[action],
      schema: z.toJSONSchema(actionSchema(action, failure.fallbacks)),
    })),
    resumeCommand: `npx lgr resume ${shellQuote(thread)} ${suggestedFlags(suggestion, failure)}`,
  };
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
export function checkDecision(request: InterventionRequest, given: unknown): Decision {
  const offered = request.actions.map((offer) => offer.action);
  const parsed = decisionSchema(offered, request.fallbacks).safeParse(given);
  if (parsed.success) return parsed.data;
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

function suggestedFlags({ action, parameters }: Suggestion, failure: FailureRecord): string {
  if (action === "adjust") return `--action adjust --parameters ${shellQuote(JSON.stringify(parameters ?? {}))}`;
  return action === "fallback"
    ? `--action fallback --step ${shellQuote(failure.fallbacks[0] ?? "")}`
    : `--action ${action}`;
}

function isPossible(action: Action, { fallbacks, routesByItself }: FailureRecord): boolean {
  return action === "fallback" ? fallbacks.length > 0 : action !== "provide" || routesByItself !== true;
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
