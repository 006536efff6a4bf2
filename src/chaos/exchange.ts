import type { ServerResponse } from "node:http";
import { systemClock } from "../core/clock.js";
import type { ChatRequest } from "./chat-request.js";
import {
  type Answer,
  chunkStream,
  completion,
  type ErrorFields,
  errorBody,
  type FinishReason,
  OFFLINE_HEADERS,
} from "./chat-response.js";

/** One request and the means to answer it; a fault gets this and does something else with it. */
export interface Exchange {
  readonly request: ChatRequest;
  readonly response: ServerResponse;
  /** The right answer. */
  readonly answer: Answer;
  /** Pause between stream events in milliseconds. */
  readonly chunkDelayMs: number;
  /** Aborts when the client has gone or the provider closes. */
  readonly signal: AbortSignal;
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...OFFLINE_HEADERS, ...headers });
  response.end(JSON.stringify(body));
}

export function sendError(
  response: ServerResponse,
  status: number,
  error: ErrorFields,
  headers?: Readonly<Record<string, string>>,
): void {
  sendJson(response, status, errorBody(error), headers);
}

function beginStream(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache", ...OFFLINE_HEADERS });
}

/** Sends events one by one, waiting between them as asked. */
async function sendEvents(exchange: Exchange, events: readonly object[]): Promise<void> {
  for (const event of events) {
    if (exchange.chunkDelayMs > 0) await systemClock.sleep(exchange.chunkDelayMs, exchange.signal);
    exchange.response.write(`data: ${JSON.stringify(event)}\n\n`);
  }
}

/** Answers as a provider in good health does, streamed or whole as the request asks. */
export async function answerFully(exchange: Exchange, finishReason: FinishReason = "stop"): Promise<void> {
  const { request, response, answer } = exchange;
  if (!request.stream) {
    sendJson(response, 200, completion(request, answer, finishReason));
    return;
  }
  const { opening, content, closing } = chunkStream(request, answer, finishReason);
  beginStream(response);
  await sendEvents(exchange, [opening, ...content, ...closing]);
  response.end("data: [DONE]\n\n");
}

/** Begins the answer and stops in the middle of it: some of the events of a stream, or half of a whole body. */
export async function answerHalf(exchange: Exchange): Promise<void> {
  const { request, response, answer } = exchange;
  if (!request.stream) {
    const body = JSON.stringify(completion(request, answer));
    response.writeHead(200, { "content-type": "application/json", ...OFFLINE_HEADERS });
    response.write(body.slice(0, Math.floor(body.length / 2)));
    return;
  }
  const { opening, content } = chunkStream(request, answer);
  beginStream(response);
  await sendEvents(exchange, [opening, ...content.slice(0, Math.ceil(content.length / 2))]);
}
