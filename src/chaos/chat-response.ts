/**
 * What an OpenAI-compatible server sends back, as plain values: completions, stream chunks, errors and the model list.
 * Everything says that it is offline: the model name, the system fingerprint and a header.
 */
import type { ChatRequest } from "./chat-request.js";

const OFFLINE_FINGERPRINT = "offline-langgraph-resilience";
export const OFFLINE_HEADERS: Readonly<Record<string, string>> = { "x-offline-provider": "langgraph-resilience" };

export type FinishReason = "stop" | "length" | "content_filter";

export interface Answer {
  readonly id: string;
  /** Seconds since the Unix epoch, as the protocol has it. */
  readonly created: number;
  readonly content: string;
}

function offlineModelName(model: string): string {
  return model.startsWith("offline-") ? model : `offline-${model}`;
}

/** A rough count: about four characters a token, OpenAI's own rule of thumb for English text. */
function tokensIn(text: string): number {
  return Math.ceil(text.length / 4);
}

function usageOf(request: ChatRequest, content: string) {
  const prompt = tokensIn(request.messages.map((message) => message.text).join("\n"));
  const completion = tokensIn(content);
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

export function completion(request: ChatRequest, answer: Answer, finishReason: FinishReason = "stop") {
  return {
    id: answer.id,
    object: "chat.completion",
    created: answer.created,
    model: offlineModelName(request.model),
    system_fingerprint: OFFLINE_FINGERPRINT,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: answer.content, refusal: null },
        logprobs: null,
        finish_reason: finishReason,
      },
    ],
    usage: usageOf(request, answer.content),
  };
}

interface Delta {
  readonly role?: "assistant";
  readonly content?: string;
}

/** The events of a streamed answer, in order and without the closing `[DONE]`. */
export interface ChunkStream {
  readonly opening: object;
  readonly content: readonly object[];
  readonly closing: readonly object[];
}

export function chunkStream(request: ChatRequest, answer: Answer, finishReason: FinishReason = "stop"): ChunkStream {
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
  const usage = request.includeUsage ? [{ ...envelope, choices: [], usage: usageOf(request, answer.content) }] : [];
  return {
    opening: chunk({ role: "assistant", content: "" }, null),
    content: pieces(answer.content).map((content) => chunk({ content }, null)),
    closing: [chunk({}, finishReason), ...usage],
  };
}

/** Text in pieces of a few words, as a model streams it; joined they are the text again. */
function pieces(text: string): string[] {
  return text.match(/(?:\s*\S+){1,4}\s*$|(?:\s*\S+){1,4}|\s+/g) ?? [];
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
