import type { ToolCall } from "./chat-request.js";

/** What the provider sends when nothing goes wrong, and what most faults damage. */
export interface Answer {
  readonly id: string;
  /** Seconds since the Unix epoch, as the protocol has it. */
  readonly created: number;
  readonly content: string;
  readonly toolCalls: readonly ToolCall[];
}

export interface ToolCallRequest {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** Default: made of the number of the request and the place of the call. */
  readonly id?: string;
}

// Symbol.for: an answer made by another copy of this package is known as well.
const TOOL_CALLS = Symbol.for("langgraph-resilience.toolCalls");

/** Made by {@link toolCalls}. */
export interface ToolCallsAnswer {
  readonly [TOOL_CALLS]: readonly ToolCallRequest[];
  readonly content: string;
}

/**
 * An answer that calls tools, several of them side by side where several are given; for the `answer` of a provider.
 * The finish_reason is `tool_calls`.
 *
 * @param content text said along with the calls; default none
 */
export function toolCalls(calls: readonly ToolCallRequest[], content = ""): ToolCallsAnswer {
  return { [TOOL_CALLS]: calls, content };
}

/** @param number which request this is, from 1: the ids are made of it */
export function toAnswer(given: string | object, number: number, created: number): Answer {
  const base = { id: `chatcmpl-offline-${number}`, created };
  if (typeof given === "string") return { ...base, content: given, toolCalls: [] };
  if (!isToolCalls(given)) return { ...base, content: JSON.stringify(given), toolCalls: [] };
  const calls = given[TOOL_CALLS].map(({ id, name, args }, index) => ({
    id: id ?? `call_offline_${number}_${index + 1}`,
    name,
    arguments: JSON.stringify(args),
  }));
  return { ...base, content: given.content, toolCalls: calls };
}

function isToolCalls(given: object): given is ToolCallsAnswer {
  return TOOL_CALLS in given;
}
