/** Whether what a model sent is an answer: whole, willing, and with tool calls that can be used. */
import type { AIMessageChunk, BaseMessage } from "@langchain/core/messages";
import {
  AnswerCutError,
  ContentFilteredError,
  InvalidToolCallError,
  UnusableResponseError,
} from "../../errors/model-errors.js";
import { MalformedOutputError } from "../../errors/own-errors.js";
import { requiredArguments } from "./tool-arguments.js";

export interface AnswerCheck {
  /** For messages. */
  readonly model: string;
  /** Whether an answer without a reason for its end is taken for cut. */
  readonly needsFinishReason: boolean;
  /** What was asked; a model may have nothing to add to the result of a tool. */
  readonly messages: readonly BaseMessage[];
  /** As they were bound to the model or given with the call; for the arguments they cannot do without. */
  readonly tools: readonly unknown[];
}

/** What providers say when their model, or the filter before it, would not answer. */
const DECLINED: ReadonlySet<string> = new Set([
  // OpenAI and Azure; Mistral; Bedrock
  "content_filter",
  "content_filtered",
  "guardrail_intervened",
  // Anthropic
  "refusal",
  // Google
  "safety",
  "recitation",
  "blocklist",
  "prohibited_content",
  "spii",
  "image_safety",
  "language",
]);

/** What they say when it failed in the middle: OpenRouter and Mistral, vLLM, DeepSeek, Google. */
const GAVE_UP: ReadonlySet<string> = new Set([
  "error",
  "abort",
  "aborted",
  "cancelled",
  "insufficient_system_resource",
  "other",
]);

/** What they say when it had to stop: the answer is as long as it was allowed to be, and no longer whole. */
const RAN_OUT: ReadonlySet<string> = new Set(["length", "max_tokens", "max_output_tokens", "model_length"]);

/** @throws UnusableResponseError, AnswerCutError, ContentFilteredError, InvalidToolCallError; MalformedOutputError for an empty answer */
export function checkAnswer(answer: AIMessageChunk, check: AnswerCheck): void {
  const { model } = check;
  const reason = finishReasonOf(answer);
  const refusal = text(answer.additional_kwargs.refusal);
  if (refusal !== undefined) throw new ContentFilteredError(model, refusal);
  if (reason !== undefined && DECLINED.has(reason.toLowerCase()))
    throw new ContentFilteredError(model, `${filterDetails(answer) ?? "its answer was withheld"} (${reason})`);
  if (reason !== undefined && GAVE_UP.has(reason.toLowerCase()))
    throw new UnusableResponseError(`Model "${model}" gave up its answer: finish reason "${reason}"`);
  if (reason?.toLowerCase() === "malformed_function_call")
    throw new InvalidToolCallError("(unknown)", `model "${model}" could not write it (${reason})`);
  if (reason === undefined && check.needsFinishReason)
    throw new AnswerCutError(
      `The answer of model "${model}" ended after ${answer.text.length} characters without a finish reason: it was cut`,
    );
  const ranOut = reason !== undefined && RAN_OUT.has(reason.toLowerCase());
  const [call] = ranOut ? rawToolCalls(answer) : [];
  if (call !== undefined)
    throw new InvalidToolCallError(call.name ?? "(without a name)", `the answer ended at its limit (${reason})`);
  checkToolCalls(answer, check);
  if (isEmpty(answer) && (ranOut || check.messages.at(-1)?.type !== "tool"))
    throw new MalformedOutputError(`The answer of model "${model}" is empty (finish reason: ${reason ?? "none"})`);
}

/** Why the answer ended, in the provider's own word; each puts it elsewhere. */
export function finishReasonOf({ response_metadata, additional_kwargs }: AIMessageChunk): string | undefined {
  const said = response_metadata as Record<string, unknown>;
  const bedrock = said.messageStop as { readonly stopReason?: unknown } | null | undefined;
  const incomplete = said.incomplete_details as { readonly reason?: unknown } | null | undefined;
  return (
    text(said.finish_reason) ??
    text(said.stop_reason) ??
    text(said.finishReason) ??
    text(said.stopReason) ??
    text(said.done_reason) ??
    text(bedrock?.stopReason) ??
    text(additional_kwargs.stop_reason) ??
    text(additional_kwargs.finishReason) ??
    text(incomplete?.reason) ??
    // The Responses API of OpenAI names no reason for an answer that came to its end.
    (said.status === "completed" ? "completed" : undefined)
  );
}

/** Azure says which filter it was. */
function filterDetails({ response_metadata }: AIMessageChunk): string | undefined {
  const results = (response_metadata as { readonly content_filter_results?: unknown }).content_filter_results;
  if (typeof results !== "object" || results === null) return undefined;
  const filtered = Object.entries(results as Record<string, { readonly filtered?: unknown }>)
    .filter(([, result]) => result?.filtered === true)
    .map(([name]) => name);
  return filtered.length === 0 ? undefined : `filtered for ${filtered.join(", ")}`;
}

function checkToolCalls(answer: AIMessageChunk, { tools }: AnswerCheck): void {
  for (const { name, args } of rawToolCalls(answer)) {
    const called = name ?? "";
    if (called === "") throw new InvalidToolCallError("(without a name)", "the call names no tool");
    const given = args?.trim() ?? "";
    if (given === "") {
      const required = requiredArguments(tools, called);
      if (required === undefined || required.length > 0)
        throw new InvalidToolCallError(called, "it came without arguments");
      continue;
    }
    const fault = faultIn(given);
    if (fault !== undefined) throw new InvalidToolCallError(called, `${fault}: ${given.slice(0, 200)}`);
  }
}

interface RawToolCall {
  readonly name?: string | undefined;
  readonly args?: string | undefined;
}

/** As the model wrote them: LangChain completes arguments that were cut. */
function rawToolCalls({ tool_call_chunks, tool_calls, invalid_tool_calls }: AIMessageChunk): readonly RawToolCall[] {
  if ((tool_call_chunks?.length ?? 0) > 0) return tool_call_chunks as readonly RawToolCall[];
  const parsed = (tool_calls ?? []).map(({ name, args }) => ({ name, args: JSON.stringify(args) }));
  return [...parsed, ...(invalid_tool_calls ?? [])];
}

function faultIn(args: string): string | undefined {
  try {
    const value: unknown = JSON.parse(args);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? undefined
      : "its arguments are no JSON object";
  } catch (error) {
    return `its arguments are no JSON (${(error as Error).message})`;
  }
}

function isEmpty({ text: said, content, tool_calls, additional_kwargs }: AIMessageChunk): boolean {
  const hasOtherContent = Array.isArray(content) && content.some((block) => block.type !== "text");
  return (
    said.trim() === "" &&
    !hasOtherContent &&
    (tool_calls?.length ?? 0) === 0 &&
    additional_kwargs.audio === undefined &&
    additional_kwargs.function_call === undefined
  );
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
