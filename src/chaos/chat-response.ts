/**
 * What an OpenAI-compatible server sends back, as plain values: completions, stream chunks, errors and the model list.
 * Everything says that it is offline: the model name, the system fingerprint and a header.
 */
import type { Answer } from "./chat-answer.js";
import type { ChatRequest, ToolCall } from "./chat-request.js";

const OFFLINE_FINGERPRINT = "offline-langgraph-resilience";
export const OFFLINE_HEADERS: Readonly<Record<string, string>> = { "x-offline-provider": "langgraph-resilience" };

export type FinishReason = "stop" | "length" | "content_filter" | "tool_calls";

function offlineModelName(model: string): string {
  return model.startsWith("offline-") ? model : `offline-${model}`;
}

/** A rough count: about four characters a token, OpenAI's own rule of thumb for English text. */
function tokensIn(text: string): number {
  return pieces(text).length;
}

/** Tokens of the messages, by the same rough count as `usage`. */
export function promptTokens(request: ChatRequest): number {
  return tokensIn(request.messages.map((message) => message.text).join("\n"));
}

function usageOf(request: ChatRequest, { content, toolCalls }: Answer) {
  const prompt = promptTokens(request);
  const completion = [content, ...toolCalls.map((call) => call.arguments)].reduce(
    (sum, text) => sum + tokensIn(text),
    0,
  );
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

/** How an answer ends that nothing has cut. */
function finishOf({ toolCalls }: Answer): FinishReason {
  return toolCalls.length === 0 ? "stop" : "tool_calls";
}

export function completion(request: ChatRequest, answer: Answer, finishReason: FinishReason = finishOf(answer)) {
  const { content, toolCalls } = answer;
  return {
    id: answer.id,
    object: "chat.completion",
    created: answer.created,
    model: offlineModelName(request.model),
    system_fingerprint: OFFLINE_FINGERPRINT,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: saysNothing(answer) ? null : content,
          refusal: null,
          ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(wholeCall) }),
        },
        logprobs: null,
        finish_reason: finishReason,
      },
    ],
    usage: usageOf(request, answer),
  };
}

/** Beside calls the protocol has null for no text. */
function saysNothing({ toolCalls, content }: Answer): boolean {
  return toolCalls.length > 0 && content === "";
}

function wholeCall({ id, name, arguments: text }: ToolCall) {
  return { id, type: "function", function: { name, arguments: text } };
}

interface Delta {
  readonly role?: "assistant";
  readonly content?: string | null;
  readonly tool_calls?: readonly object[];
}

/** The events of a streamed answer, in order and without the closing `[DONE]`. */
export interface ChunkStream {
  readonly opening: object;
  /** Text and tool calls, piece by piece. */
  readonly content: readonly object[];
  readonly closing: readonly object[];
}

export function chunkStream(
  request: ChatRequest,
  answer: Answer,
  finishReason: FinishReason = finishOf(answer),
): ChunkStream {
  const envelope = {
    id: answer.id,
    object: "chat.completion.chunk",
    created: answer.created,
    model: offlineModelName(request.model),
    system_fingerprint: OFFLINE_FINGERPRINT,
  };
  const chunk = (delta: Delta, finish: FinishReason | null) => ({
    ...envelope,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    ...(request.includeUsage ? { usage: null } : {}),
  });
  const usage = request.includeUsage ? [{ ...envelope, choices: [], usage: usageOf(request, answer) }] : [];
  const deltas = [...pieces(answer.content).map((content) => ({ content })), ...callDeltas(answer.toolCalls)];
  return {
    opening: chunk({ role: "assistant", content: saysNothing(answer) ? null : "" }, null),
    content: deltas.map((delta) => chunk(delta, null)),
    closing: [chunk({}, finishReason), ...usage],
  };
}

/** Text token by token, as a model streams it: who counts the pieces can tell that none is missing. */
function pieces(text: string): string[] {
  return text.match(/.{1,4}/gsu) ?? [];
}

/** Each call opens with its id and name and no arguments yet; these follow in pieces, all under the call's index. */
function callDeltas(toolCalls: readonly ToolCall[]): Delta[] {
  return toolCalls.flatMap((call, index) => [
    { tool_calls: [{ index, ...wholeCall({ ...call, arguments: "" }) }] },
    ...pieces(call.arguments).map((text) => ({ tool_calls: [{ index, function: { arguments: text } }] })),
  ]);
}

export interface ErrorFields {
  readonly message: string;
  readonly type?: string;
  readonly code?: string | null;
  readonly param?: string | null;
}

export function errorBody({ message, type = "invalid_request_error", code = null, param = null }: ErrorFields) {
  return { error: { message, type, code, param } };
}

export function modelList(models: readonly string[], created: number) {
  return {
    object: "list",
    data: models.map((id) => ({ id: offlineModelName(id), object: "model", created, owned_by: OFFLINE_FINGERPRINT })),
  };
}
