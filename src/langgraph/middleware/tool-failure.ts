/** What becomes of a tool call that no rung could help: the model is told, or the run ends with the error. */
import { ToolMessage } from "@langchain/core/messages";
import type { ToolCall } from "@langchain/core/messages/tool";
import { type AttemptRecord, NODE_STEP } from "../../core/records.js";
import { redact } from "../../core/redact.js";
import type { Category } from "../../errors/categories.js";
import { ResilienceError } from "../../errors/own-errors.js";
import type { ErrorReport } from "../../errors/report.js";

/**
 * Failures that a model can do nothing about: somebody asked for the stop, or people have to mend something first. All
 * others it is told of.
 */
const NEVER_TOLD: ReadonlySet<Category> = new Set([
  "cancelled",
  "auth",
  "permission",
  "quota",
  "environment",
  "stuck",
  "bug",
]);

/** Failures that other arguments may avoid. */
const OF_THE_ARGUMENTS: ReadonlySet<Category> = new Set([
  "malformed_output",
  "invalid_input",
  "not_found",
  "tool_execution",
  "context_length",
  "content_policy",
  "unknown",
]);

/** Characters of a failure's own words that a model is given. */
const MAX_WORDS = 1000;

/** What is known of a call that failed for good. */
export interface FailedCall {
  readonly call: ToolCall;
  readonly report: ErrorReport;
  /** Of the tool and of its fallbacks, oldest first. */
  readonly attempts: readonly AttemptRecord[];
}

/** Whether the model may be told. What is wrong with our own options is for whoever wrote them. */
export function mayBeTold({ category, code }: ErrorReport): boolean {
  return !NEVER_TOLD.has(category) && code !== "CONFIG";
}

/** The answer to a call that failed: what failed, which category, how often it was tried, and no secrets. */
export function failureMessage({ call, report, attempts }: FailedCall): ToolMessage {
  const tried = Math.max(1, attempts.filter((record) => record.step === NODE_STEP).length);
  const others = [...new Set(attempts.map((record) => record.step))].filter((step) => step !== NODE_STEP);
  const times = tried === 1 ? "once" : `${tried} times`;
  const also = others.length === 0 ? "" : `; instead of it, ${others.join(", ")} failed too`;
  const advice = OF_THE_ARGUMENTS.has(report.category)
    ? "Other arguments may help; if there are none, go on without it."
    : "Calling it again right away will not help: go on without it, or say so.";
  const words = `Tool "${call.name}" failed: ${shown(report.message)} (${report.category}, tried ${times}${also}). ${advice}`;
  return errorMessage(call, words, { category: report.category, attempts: tried });
}

/** The answer to a call whose arguments do not fit the tool's schema. */
export function refusalMessage(call: ToolCall, why: string): ToolMessage {
  const words = `Tool "${call.name}" was not called, its arguments do not fit: ${shown(why)}\nCall it again with arguments that do.`;
  return errorMessage(call, words, { category: "malformed_output", attempts: 0 });
}

function errorMessage(call: ToolCall, content: string, metadata: Record<string, unknown>): ToolMessage {
  return new ToolMessage({ content, tool_call_id: call.id ?? "", name: call.name, status: "error", metadata });
}

function shown(message: string): string {
  return redact(message, { maxText: MAX_WORDS }) as string;
}

/** A tool's own message that it failed, where such messages count as failures. */
export class ToolAnsweredError extends ResilienceError {
  constructor(message: string) {
    super("TOOL_ANSWERED_ERROR", message);
  }
}
