import type { BaseLanguageModelInput } from "@langchain/core/language_models/base";
import type { AIMessageChunk, UsageMetadata } from "@langchain/core/messages";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { attempt, MalformedOutputError } from "langgraph-resilience";

/** Any LangChain chat model: what is needed of it is that it streams. */
export interface StreamingModel {
  stream(input: BaseLanguageModelInput, options?: object): Promise<AsyncIterable<AIMessageChunk>>;
}

export interface PromptMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface ModelRequest {
  readonly model: StreamingModel;
  readonly messages: readonly PromptMessage[];
  /** Passed on to the model's call, such as `response_format`. */
  readonly callOptions?: object;
}

export interface ModelAnswer {
  readonly text: string;
  /** The model that answered, as the provider names it. */
  readonly model: string;
  /** In tokens; absent when the provider reports none. */
  readonly usage?: { readonly inputTokens: number; readonly outputTokens: number };
}

/** The model or the provider's filter declined; another attempt would get the same answer. */
export class ContentFilteredError extends Error {
  override readonly name = "ContentFilteredError";
  /** OpenAI's own code, by which the error is classified as content_policy. */
  readonly code = "content_filter";
}

/**
 * Asks a model for text and returns it only when it is complete. The answer is streamed, so that an abort by
 * `config.signal` stops it at any point. When the attempt before this one gave a malformed answer, the request says
 * what was wrong with it.
 *
 * @throws MalformedOutputError for an answer that is empty, was cut or is no answer at all
 * @throws ContentFilteredError when the provider withheld the answer
 */
export async function callModel(request: ModelRequest, config: LangGraphRunnableConfig): Promise<ModelAnswer> {
  try {
    return complete(await collect(request, config));
  } catch (error) {
    // LangChain reports an abort as a plain Error("AbortError"); the signal knows why.
    config.signal?.throwIfAborted();
    throw error;
  }
}

/** The message that tells a model what was wrong with its last answer; none when nothing was. */
export function feedback(config: LangGraphRunnableConfig): PromptMessage[] {
  const previous = attempt(config).previous;
  if (previous?.category !== "malformed_output") return [];
  return [
    {
      role: "user",
      content: `${FEEDBACK_OPENING} ${previous.message}\nAnswer the request again, complete and without that fault.`,
    },
  ];
}

/** How the feedback begins: an answerer can tell by it that it is asked again. */
export const FEEDBACK_OPENING = "Your previous answer was refused:";

interface Collected {
  readonly text: string;
  readonly finishReason: string | undefined;
  readonly model: string | undefined;
  readonly usage: ModelAnswer["usage"];
}

async function collect(
  { model, messages, callOptions }: ModelRequest,
  config: LangGraphRunnableConfig,
): Promise<Collected> {
  const stream = await model.stream(
    [...messages, ...feedback(config)].map((message) => ({ ...message })),
    { ...config, ...callOptions },
  );
  let text = "";
  let finishReason: string | undefined;
  let answeredBy: string | undefined;
  let usage: ModelAnswer["usage"];
  for await (const chunk of stream) {
    text += chunk.text;
    finishReason = textOf(chunk.response_metadata.finish_reason) ?? finishReason;
    answeredBy = textOf(chunk.response_metadata.model_name) ?? answeredBy;
    const counted = chunk.usage_metadata as UsageMetadata | undefined;
    if (counted !== undefined) usage = { inputTokens: counted.input_tokens, outputTokens: counted.output_tokens };
  }
  return { text, finishReason, model: answeredBy, usage };
}

function complete({ text, finishReason, model, usage }: Collected): ModelAnswer {
  if (finishReason === "content_filter") {
    throw new ContentFilteredError("The provider's content filter withheld the answer (finish_reason content_filter)");
  }
  if (finishReason === undefined) {
    throw new MalformedOutputError(
      text === ""
        ? "The model's response held no answer: no text and no finish_reason"
        : `The answer was cut after ${text.length} characters: the stream ended without a finish_reason`,
      { details: { characters: text.length } },
    );
  }
  if (finishReason === "length") {
    throw new MalformedOutputError(
      `The answer was cut at the token limit after ${text.length} characters; it has to be shorter`,
    );
  }
  if (text.trim() === "") {
    throw new MalformedOutputError(`The answer is empty (finish_reason ${finishReason})`);
  }
  return { text, model: model ?? "unknown model", ...(usage === undefined ? {} : { usage }) };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
