/**
 * The ways the provider misbehaves, by name. A new fault is a member of {@link Fault} and a row of the table in
 * fault-rows/ that its topic belongs to; the compiler asks for both.
 */
import type { z } from "zod";
import type { FinishReason } from "./chat-response.js";
import type { Exchange } from "./exchange.js";

export type ArgumentDamage = "invalid" | "cut" | "missing" | "not_object";
export type FilterReason = "hate" | "self_harm" | "sexual" | "violence" | "jailbreak";

export type Fault =
  /** Answers properly: a place in the script where nothing goes wrong. */
  | { readonly kind: "none" }

  // refusals

  /** An HTTP error with an OpenAI error body. `code` and `type` default to what OpenAI sends with that status. */
  | {
      readonly kind: "status";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly message?: string;
      readonly code?: string;
      readonly type?: string;
    }
  /** A 400 as OpenAI sends it for a prompt that is too long. `limitTokens` is the limit it names, default 8192. */
  | { readonly kind: "context_length"; readonly limitTokens?: number }
  /** A 400 as Azure OpenAI sends it for a prompt its content filter holds back; `reason` defaults to `violence`. */
  | { readonly kind: "content_filter"; readonly reason?: FilterReason }
  /** A model that takes no prefill: a 400 where the last message is the assistant's, otherwise the right answer. */
  | { readonly kind: "rejects_prefill" }

  // transport

  /** The connection is reset before any byte of the answer. */
  | { readonly kind: "reset" }
  /** The connection is reset in the middle of the answer. */
  | { readonly kind: "reset_stream" }
  /** No byte of an answer, ever. */
  | { readonly kind: "hang" }
  /** The answer begins and then nothing more comes; the connection stays open. */
  | { readonly kind: "stall" }
  /** The stream ends cleanly in the middle: no finish_reason, no `[DONE]`. */
  | { readonly kind: "cut_stream" }
  /**
   * Every event of the stream, but no `[DONE]`; the connection stays open (the default) or is closed cleanly. Of a whole
   * answer the body is complete and, where the connection stays open, without an end.
   */
  | { readonly kind: "no_terminator"; readonly connection?: "open" | "close" }

  // time

  /** The right answer, all of it late. */
  | { readonly kind: "slow"; readonly delayMs: number }
  /** Headers and the opening event at once, the first token after `delayMs`; of a whole answer the body. */
  | { readonly kind: "late_first_token"; readonly delayMs: number }
  /** A slow stream that is alive: a pause of `delayMs` before every event. A whole answer is not late. */
  | { readonly kind: "drip"; readonly delayMs: number }

  // form

  /**
   * One event of a stream that is complete otherwise is not JSON. `data` replaces the default damage, a chunk cut off in
   * the middle; with `instead` it takes the place of an event of the content (default false: it is one more). The body
   * of a whole answer is cut in the middle.
   */
  | { readonly kind: "malformed_event"; readonly data?: string; readonly instead?: boolean }
  /** Status 200 with something that is not the protocol: an HTML page by default. */
  | { readonly kind: "junk_body"; readonly body?: string; readonly contentType?: string }
  /** Status 200 with `choices: []`, in every event of a stream. */
  | { readonly kind: "empty_choices" }
  /** One whole JSON body although a stream was asked for. */
  | { readonly kind: "ignores_stream" }

  // content

  /**
   * A complete, valid response whose content does not fit the schema asked for; of tool calls, the arguments. `content`
   * replaces the default damage.
   */
  | { readonly kind: "invalid_structure"; readonly content?: string }
  /**
   * The arguments of the answer's tool calls are not JSON, end in the middle, are missing, or are no object. The
   * finish_reason is `tool_calls` all the same. An answer that calls no tool is sent as it is.
   */
  | { readonly kind: "tool_arguments"; readonly damage: ArgumentDamage }
  /** A complete response that says the answer itself is not: the token limit or the content filter. */
  | { readonly kind: "finish"; readonly reason: Extract<FinishReason, "length" | "content_filter"> }
  /** A complete response with no text and no tool call in it. */
  | { readonly kind: "empty" };

export type FaultKind = Fault["kind"];
export type FaultOf<K extends FaultKind> = Extract<Fault, { kind: K }>;

/** What a fault takes, says and does. */
export interface FaultRow<K extends FaultKind> {
  readonly options: { readonly [O in Exclude<keyof FaultOf<K>, "kind">]-?: z.ZodType };
  describe(fault: FaultOf<K>): string;
  play(exchange: Exchange, fault: FaultOf<K>): void | Promise<void>;
  /** Whether the client gets the right answer all the same; default false. */
  proper?(exchange: Exchange): boolean;
}

export type FaultRows<K extends FaultKind> = { readonly [One in K]: FaultRow<One> };
