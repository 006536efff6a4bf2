import type { AIMessage, AIMessageChunk, BaseMessage } from "@langchain/core/messages";

type Block = Readonly<Record<string, unknown>>;

/**
 * Streamed by Anthropic's client, the input of a tool call stays in pieces beside its opening, and blocks keep their
 * numbers. Its own parser, and the clients of others, read blocks as they are in a whole answer.
 */
export function settledContent(message: AIMessage | AIMessageChunk): AIMessage["content"] | undefined {
  const { content, tool_calls } = message;
  if (!Array.isArray(content) || !content.some((block) => (block as Block).type === "input_json_delta"))
    return undefined;
  const settled = (content as readonly Block[])
    .filter(({ type }) => type !== "input_json_delta")
    .map(({ index: _, ...block }) => {
      const call = block.type === "tool_use" ? tool_calls?.find(({ id }) => id === block.id) : undefined;
      return call === undefined ? block : { ...block, input: call.args };
    });
  return settled as unknown as AIMessage["content"];
}

/** The same messages, as any model takes them. Those given stay as they are. */
export function settledMessages(messages: readonly BaseMessage[]): readonly BaseMessage[] {
  return messages.map((message) => {
    if (message.type !== "ai") return message;
    const content = settledContent(message as AIMessage);
    return content === undefined
      ? message
      : (Object.create(message, { content: { value: content, enumerable: true } }) as BaseMessage);
  });
}
