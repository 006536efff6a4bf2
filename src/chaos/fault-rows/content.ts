/** Faults of the answer itself, in a response that is in order. */
import { z } from "zod";
import type { Answer } from "../chat-answer.js";
import type { ToolCall } from "../chat-request.js";
import { answerFully, type Exchange, halfOf } from "../exchange.js";
import type { ArgumentDamage, FaultRows } from "../fault.js";

export const CONTENT: FaultRows<"invalid_structure" | "tool_arguments" | "finish" | "empty"> = {
  invalid_structure: {
    options: { content: z.string().optional() },
    describe: () => "an answer that does not fit the schema",
    play: (exchange, { content }) => {
      const damaged = (text: string) => content ?? misshapen(text);
      if (exchange.answer.toolCalls.length > 0) return answerFully(withArguments(exchange, damaged));
      return answerFully(withAnswer(exchange, { content: damaged(exchange.answer.content) }));
    },
  },
  tool_arguments: {
    options: { damage: z.enum(["invalid", "cut", "missing", "not_object"]) },
    describe: ({ damage }) => `tool calls whose arguments ${DAMAGES[damage].says}`,
    proper: ({ answer }) => answer.toolCalls.length === 0,
    play: (exchange, { damage }) => answerFully(withArguments(exchange, DAMAGES[damage].of)),
  },
  finish: {
    options: { reason: z.enum(["length", "content_filter"]) },
    describe: ({ reason }) => `a complete response with finish_reason "${reason}"`,
    play: (exchange, { reason }) => answerFully(withAnswer(exchange, firstHalf(exchange.answer, reason)), reason),
  },
  empty: {
    options: {},
    describe: () => "a complete response with no text in it",
    play: (exchange) => answerFully(withAnswer(exchange, { content: "", toolCalls: [] })),
  },
};

const DAMAGES: Readonly<Record<ArgumentDamage, { readonly says: string; of(json: string): string }>> = {
  // What models that write Python give now and then.
  invalid: { says: "are not JSON", of: (json) => `dict(${json.slice(1, -1)})` },
  cut: { says: "end in the middle", of: halfOf },
  missing: { says: "are missing", of: () => "" },
  not_object: { says: "are no object", of: (json) => JSON.stringify(Object.values(JSON.parse(json) as object)) },
};

function withAnswer(exchange: Exchange, changed: Partial<Answer>): Exchange {
  return { ...exchange, answer: { ...exchange.answer, ...changed } };
}

function withArguments(exchange: Exchange, change: (json: string) => string): Exchange {
  const toolCalls = exchange.answer.toolCalls.map((call) => ({ ...call, arguments: change(call.arguments) }));
  return withAnswer(exchange, { toolCalls });
}

/** Text is cut in half; the token limit cuts the last tool call too, and the content filter lets none through. */
function firstHalf({ content, toolCalls }: Answer, reason: "length" | "content_filter"): Partial<Answer> {
  const last = toolCalls.at(-1);
  const cut: readonly ToolCall[] =
    last === undefined ? [] : [...toolCalls.slice(0, -1), { ...last, arguments: halfOf(last.arguments) }];
  return {
    content: content.slice(0, Math.ceil(content.length / 2)),
    toolCalls: reason === "length" ? cut : [],
  };
}

/**
 * The damage models really do to structured answers: a required field left out and numbers put into words.
 * Content that is no JSON object becomes prose, which fits no schema either.
 */
function misshapen(content: string): string {
  try {
    const [, ...kept] = Object.entries(JSON.parse(content) as Record<string, unknown>);
    return JSON.stringify(
      Object.fromEntries(kept.map(([key, value]) => [key, typeof value === "number" ? `about ${value}` : value])),
    );
  } catch {
    return "Certainly! Here is the answer you asked for.";
  }
}
