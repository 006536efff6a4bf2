/** A model that streams what it is told to, and texts whose length in tokens is known. */
import { AIMessageChunk, type AIMessageChunkFields, type BaseMessage } from "@langchain/core/messages";

/** What one call of the model streams: pieces of text, or whole chunks. */
export type Call = (
  messages: readonly BaseMessage[],
  signal: AbortSignal | undefined,
) => AsyncIterable<string | AIMessageChunk> | Iterable<string | AIMessageChunk>;

/** Streams by one call after the other; when none is left, by the last. */
export function streamingModel(...calls: Call[]) {
  const requests: BaseMessage[][] = [];
  return {
    /** What it was asked, call by call. */
    requests,
    model: "scripted",
    async stream(input: unknown, config: { signal?: AbortSignal } = {}): Promise<AsyncIterable<AIMessageChunk>> {
      const messages = input as BaseMessage[];
      const call = calls[Math.min(requests.length, calls.length - 1)] as Call;
      requests.push(messages);
      return (async function* () {
        for await (const piece of call(messages, config.signal))
          yield typeof piece === "string" ? new AIMessageChunk(piece) : piece;
      })();
    },
  };
}

/** Words of eight characters, two tokens each, the space after them included. */
export function words(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `${`w${from + index}`.padEnd(7, ".")} `);
}

/** The piece by which a provider says that the answer is complete. */
export function finish(fields: { usage?: [input: number, output: number] } = {}): AIMessageChunk {
  const [input_tokens = 0, output_tokens = 0] = fields.usage ?? [];
  return new AIMessageChunk({
    content: "",
    response_metadata: { model_provider: "scripted", finish_reason: "stop" },
    ...(fields.usage && {
      usage_metadata: { input_tokens, output_tokens, total_tokens: input_tokens + output_tokens },
    }),
  } as object as AIMessageChunkFields);
}
