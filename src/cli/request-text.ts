/** An open question as text: what failed, what was tried, what may be done, and the exact commands to do it. */
import { NODE_STEP } from "../core/records.js";
import { redact } from "../core/redact.js";
import { shellQuote } from "../core/shell-quote.js";
import type { PendingInterrupt } from "../langgraph/threads/inspect-thread.js";
import type { ApprovalRequest } from "../recovery/approval-request.js";
import type { Action } from "../recovery/decision.js";
import { shortKey } from "../recovery/effects-so-far.js";
import { type InterventionRequest, rollbackFlags } from "../recovery/intervention-request.js";
import type { PlannedEffect } from "../recovery/rollback-plan.js";
import { commandName } from "./command-name.js";
import { effectResult } from "./effect-text.js";
import { valueLines } from "./value-lines.js";

/** The command line that answers a question, but for the answer: `lgr resume q3`, and what is to stand at its end. */
export interface AnswerCommand {
  readonly command: string;
  readonly ending: string;
}

/** @param oneOfSeveral whether the commands must say which question they answer */
export function requestLines(question: PendingInterrupt, thread: string, oneOfSeveral: boolean): string[] {
  const ending = oneOfSeveral ? ` --question ${question.id.slice(0, 8)}` : "";
  return questionLines(question, { command: `${commandName()} resume ${shellQuote(thread)}`, ending });
}

/** @param by undefined: it can be answered no more */
export function questionLines(question: PendingInterrupt, by: AnswerCommand | undefined): string[] {
  const { request, approval } = question;
  if (approval !== undefined) return approvalLines(approval, by);
  if (request === undefined) return foreignQuestion(question, by);
  return [
    `A person is needed: ${request.summary}`,
    "",
    "What was tried:",
    ...triedLines(request),
    "",
    ...effectLines(request),
    ...rollbackLines(request),
    ...decisionLines(request),
    "What the step was given:",
    ...inputLines(request.input).map((line) => `  ${line}`),
    "",
    ...(request.checkpoint === undefined
      ? []
      : [
          `Last checkpoint: ${request.checkpoint.id}${request.checkpoint.step === undefined ? "" : ` (step ${request.checkpoint.step})`}`,
        ]),
    ...(by === undefined ? [] : toDoLines(request, by)),
  ];
}

function triedLines(request: InterventionRequest): string[] {
  if (request.attempts.length === 0) return ["  nothing could be tried"];
  return request.attempts.map((attempt) => {
    const who =
      attempt.step === NODE_STEP ? `attempt ${attempt.number}` : `fallback ${attempt.step}, attempt ${attempt.number}`;
    const wait = attempt.delayMs === undefined || attempt.delayMs === 0 ? "" : `, then waited ${attempt.delayMs} ms`;
    return `  ${new Date(attempt.startedAt).toISOString()}  ${who}: ${attempt.report.category} after ${attempt.durationMs} ms${wait}: ${attempt.report.message}`;
  });
}

function decisionLines({ decisions }: InterventionRequest): string[] {
  if (decisions.length === 0) return [];
  const lines = decisions.map(
    ({ at, by, action, to, reason }) =>
      `  ${at}  ${by}: ${action}${to === undefined ? "" : ` to ${to}`}${reason === undefined ? "" : ` (${reason})`}`,
  );
  return ["What people decided:", ...lines, ""];
}

function approvalLines(approval: ApprovalRequest, by: AnswerCommand | undefined): string[] {
  const rows = approval.actions.map(({ action, description }) => {
    const why = action === "reject" ? ' --reason "why"' : "";
    return [`  ${by?.command} --action ${action} --of ${approval.hash}${why}${by?.ending}`, description] as const;
  });
  return [
    `Approval is needed: ${approval.summary}`,
    "",
    "What it would be given:",
    ...inputLines(approval.input).map((line) => `  ${line}`),
    "",
    ...effectLines(approval),
    ...(by === undefined ? [] : ["What you can do:", ...aligned(rows), ""]),
  ];
}

function effectLines({ effects = [] }: Pick<InterventionRequest, "effects">): string[] {
  if (effects.length === 0) return [];
  const lines = effects.map((effect) => {
    const result = effectResult(effect);
    return `  ${effect.at}  ${effect.state}: ${effect.effect} of ${effect.node} (${effect.key})${result === "" ? "" : `: ${result}`}`;
  });
  return ["What was done outside:", ...lines, ""];
}

/** What a rollback of the step would undo, or why none could be made. */
function rollbackLines({ rollback }: InterventionRequest): string[] {
  if (rollback === undefined) return [];
  const { undo, doubtful, stays, more, refused } = rollback;
  const part = (what: string, effects: readonly PlannedEffect[]) =>
    effects.map(
      ({ effect, key, why }) => `  ${what} ${effect} (${shortKey(key)})${why === undefined ? "" : `: ${why}`}`,
    );
  const lines = [
    ...(refused === undefined ? [] : [`  it was not rolled back: ${refused}`]),
    ...part("undoes", undo),
    ...part("looks up first", doubtful),
    ...part("leaves", stays),
    ...(more === undefined ? [] : [`  and ${more} more`]),
  ];
  return lines.length === 0 ? [] : ["A rollback of the step:", ...lines, ""];
}

function toDoLines(request: InterventionRequest, { command, ending }: AnswerCommand): string[] {
  const rows = request.actions.map(
    ({ action, description }) => [`  ${command} ${example(action, request)}${ending}`, description] as const,
  );
  const { action, reason } = request.suggestion;
  return [`Suggested:       ${action} (${reason})`, "", "What you can do:", ...aligned(rows), ""];
}

function aligned(rows: readonly (readonly [command: string, text: string])[]): string[] {
  const width = Math.max(...rows.map(([command]) => command.length));
  return rows.map(([command, text]) => `${command.padEnd(width)}  # ${text}`);
}

function example(action: Action, request: InterventionRequest): string {
  switch (action) {
    case "adjust":
      return `--action adjust --state '{"key":"value"}' --parameters '${JSON.stringify(request.suggestion.parameters ?? { maxAttempts: 6 })}'`;
    case "fallback":
      return `--action fallback --step ${shellQuote(request.fallbacks[0] ?? "")}`;
    case "provide":
      return `--action provide --result '{"key":"value"}'`;
    case "abort":
      return `--action abort --reason "why"`;
    case "rollback":
      return request.automatic === undefined ? "--action rollback" : rollbackFlags(request.automatic);
    case "escalate":
      return "--action escalate --to <whom>";
    case "retry":
      return "--action retry";
  }
}

function inputLines(input: unknown): string[] {
  return typeof input === "object" && input !== null
    ? valueLines(input as Record<string, unknown>)
    : [JSON.stringify(input) ?? String(input)];
}

function foreignQuestion({ node, value }: PendingInterrupt, by: AnswerCommand | undefined): string[] {
  return [
    `Node "${node}" asks: ${JSON.stringify(redact(value))}`,
    ...(by === undefined ? [] : [`  ${by.command} --answer '<json>'${by.ending}`]),
    "",
  ];
}
