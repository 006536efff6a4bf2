/**
 * The ways the provider misbehaves: one row a fault, with what to print about it and what it does to an exchange.
 * A new fault is a member of {@link Fault} and a row of the table; the compiler asks for both.
 */
import { STATUS_CODES } from "node:http";
import { systemClock } from "../core/clock.js";
import { type FinishReason, OFFLINE_HEADERS } from "./chat-response.js";
import { answerFully, answerHalf, type Exchange, sendError } from "./exchange.js";

export type Fault =
  /** Answers properly: a place in the script where nothing goes wrong. */
  | { readonly kind: "none" }
  /** An HTTP error with an OpenAI error body. `code` and `type` default to what OpenAI sends with that status. */
  | {
      readonly kind: "status";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly message?: string;
      readonly code?: string;
      readonly type?: string;
    }
  /** The stream ends cleanly in the middle: no finish_reason, no `[DONE]`. */
  | { readonly kind: "cut_stream" }
  /** The connection is reset in the middle of the answer. */
  | { readonly kind: "reset_stream" }
  /** The connection is reset before any byte of the answer. */
  | { readonly kind: "reset" }
  /** No byte of an answer, ever. */
  | { readonly kind: "hang" }
  /** The answer begins and then nothing more comes; the connection stays open. */
  | { readonly kind: "stall" }
  /** The right answer, late. */
  | { readonly kind: "slow"; readonly delayMs: number }
  /** A complete, valid response whose content does not fit the schema asked for. `content` replaces the default damage. */
  | { readonly kind: "invalid_structure"; readonly content?: string }
  /** Status 200 with something that is not the protocol: an HTML page by default. */
  | { readonly kind: "junk_body"; readonly body?: string; readonly contentType?: string }
  /** The stream carries an event that is not JSON. */
  | { readonly kind: "malformed_event" }
  /** A complete response that says the answer itself is not: the token limit or the content filter. */
  | { readonly kind: "finish"; readonly reason: Exclude<FinishReason, "stop"> }
  /** A complete response with no text in it. */
  | { readonly kind: "empty" };

export type FaultKind = Fault["kind"];
type FaultOf<K extends FaultKind> = Extract<Fault, { kind: K }>;

interface FaultRow<K extends FaultKind> {
  describe(fault: FaultOf<K>): string;
  play(exchange: Exchange, fault: FaultOf<K>): void | Promise<void>;
}

const JUNK_PAGE = "<!doctype html><title>502</title><h1>The proxy is having a moment</h1>";

/** OpenAI's own `type` and `code` for the statuses it documents: https://platform.openai.com/docs/guides/error-codes */
const STATUS_ERRORS: Readonly<Record<number, { readonly type: string; readonly code: string | null }>> = {
  401: { type: "invalid_request_error", code: "invalid_api_key" },
  403: { type: "invalid_request_error", code: "unsupported_country_region_territory" },
  404: { type: "invalid_request_error", code: "model_not_found" },
  429: { type: "requests", code: "rate_limit_exceeded" },
};

const FAULTS: { readonly [K in FaultKind]: FaultRow<K> } = {
  none: {
    describe: () => "a proper answer",
    play: (exchange) => answerFully(exchange),
  },
  status: {
    describe: ({ status, headers }) => {
      const printed = Object.entries(headers ?? {}).map(([name, value]) => `, ${name}: ${value}`);
      return `${status} ${STATUS_CODES[status] ?? ""}`.trimEnd() + printed.join("");
    },
    play: ({ response }, fault) => {
      const known = STATUS_ERRORS[fault.status] ?? {
        type: fault.status < 500 ? "invalid_request_error" : "server_error",
        code: null,
      };
      const message = fault.message ?? `${STATUS_CODES[fault.status] ?? "Error"} (injected by the offline provider)`;
      sendError(
        response,
        fault.status,
        { ...known, ...(fault.code && { code: fault.code }), ...(fault.type && { type: fault.type }), message },
        fault.headers,
      );
    },
  },
  cut_stream: {
    describe: () => "the stream is cut in the middle (clean end, no finish_reason)",
    play: async (exchange) => {
      await answerHalf(exchange);
      exchange.response.end();
    },
  },
  reset_stream: {
    describe: () => "the connection is reset in the middle of the answer",
    play: async (exchange) => {
      await answerHalf(exchange);
      // What was written must leave before the reset, or the client sees the same as with `reset`.
      await new Promise<void>((sent) => exchange.response.write("\n", () => sent()));
      exchange.response.socket?.resetAndDestroy();
    },
  },
  reset: {
    describe: () => "the connection is reset before any answer",
    play: ({ response }) => {
      response.socket?.resetAndDestroy();
    },
  },
  hang: {
    describe: () => "no answer at all, the connection stays open",
    play: () => undefined,
  },
  stall: {
    describe: () => "the answer stops in the middle, the connection stays open",
    play: (exchange) => answerHalf(exchange),
  },
  slow: {
    describe: ({ delayMs }) => `a proper answer after ${delayMs} ms`,
    play: async (exchange, { delayMs }) => {
      await systemClock.sleep(delayMs, exchange.signal);
      await answerFully(exchange);
    },
  },
  invalid_structure: {
    describe: () => "an answer that does not fit the schema",
    play: (exchange, { content }) =>
      answerFully({
        ...exchange,
        answer: { ...exchange.answer, content: content ?? misshapen(exchange.answer.content) },
      }),
  },
  junk_body: {
    describe: () => "200 with a body that is not the protocol",
    play: ({ response }, { body = JUNK_PAGE, contentType = "text/html" }) => {
      response.writeHead(200, { "content-type": contentType, ...OFFLINE_HEADERS });
      response.end(body);
    },
  },
  malformed_event: {
    describe: () => "the stream carries an event that is not JSON",
    play: async (exchange) => {
      await answerHalf(exchange);
      exchange.response.end('data: {"id": "chatcmpl-broken", "choices": [{"delta"\n\ndata: [DONE]\n\n');
    },
  },
  finish: {
    describe: ({ reason }) => `a complete response with finish_reason "${reason}"`,
    play: (exchange, { reason }) => {
      const { content } = exchange.answer;
      return answerFully(
        { ...exchange, answer: { ...exchange.answer, content: content.slice(0, Math.ceil(content.length / 2)) } },
        reason,
      );
    },
  },
  empty: {
    describe: () => "a complete response with no text in it",
    play: (exchange) => answerFully({ ...exchange, answer: { ...exchange.answer, content: "" } }),
  },
};

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

export function describeFault(fault: Fault): string {
  return rowOf(fault).describe(fault);
}

export async function playFault(exchange: Exchange, fault: Fault): Promise<void> {
  await rowOf(fault).play(exchange, fault);
}

// The table pairs each kind with its own fault, which an index by a union cannot express.
function rowOf(fault: Fault): FaultRow<FaultKind> {
  return FAULTS[fault.kind] as FaultRow<FaultKind>;
}
