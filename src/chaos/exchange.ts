/** One request and the ways to send something back, in good order or not. */
import type { ServerResponse } from "node:http";
import { systemClock } from "../core/clock.js";
import type { Answer } from "./chat-answer.js";
import type { ChatRequest } from "./chat-request.js";
import {
  type ChunkStream,
  chunkStream,
  completion,
  type ErrorFields,
  errorBody,
  type FinishReason,
  OFFLINE_HEADERS,
} from "./chat-response.js";

/** How fast an answer comes. */
export interface Pace {
  /** Before the first token of a stream, once it is open; before a whole answer. */
  readonly firstTokenMs: number;
  /** Before the next event of a stream. */
  readonly betweenMs: () => number;
}

/** A request and the means to answer it; a fault gets this and does something else with it. */
export interface Exchange {
  readonly request: ChatRequest;
  readonly response: ServerResponse;
  /** The right answer. */
  readonly answer: Answer;
  readonly pace: Pace;
  /** Aborts when the client has gone or the provider closes. */
  readonly signal: AbortSignal;
  /** Resets the connection. */
  readonly reset: () => void;
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

/** Sends headers that leave at once, whatever the body waits for. */
export function beginBody(response: ServerResponse, contentType: string): void {
  response.writeHead(200, { "content-type": contentType, ...OFFLINE_HEADERS });
  response.flushHeaders();
}

/** What comes between the opening of a stream and its closing events, and how it ends. */
export interface StreamPlan {
  readonly chunks: ChunkStream;
  /** Raw events; default those of the answer. */
  readonly content?: readonly string[];
  /** Default all of them. */
  readonly closing?: readonly object[];
}

/** Sends a stream up to its closing events, each at its pace; it is left open. */
export async function sendStream(exchange: Exchange, { chunks, content, closing }: StreamPlan): Promise<void> {
  const { response, pace, signal } = exchange;
  const pause = async (ms: number) => (ms > 0 ? await systemClock.sleep(ms, signal) : undefined);
  const send = (data: string) => void response.write(`data: ${data}\n\n`);
  response.setHeader("cache-control", "no-cache");
  beginBody(response, "text/event-stream");
  await pause(pace.betweenMs());
  send(JSON.stringify(chunks.opening));
  await pause(pace.firstTokenMs);
  const rest = [...(content ?? rawEvents(chunks.content)), ...rawEvents(closing ?? chunks.closing)];
  for (const data of rest) {
    await pause(pace.betweenMs());
    send(data);
  }
}

export function rawEvents(events: readonly object[]): string[] {
  return events.map((event) => JSON.stringify(event));
}

/** Ends a stream as the protocol has it. */
export function endStream(response: ServerResponse): void {
  response.end("data: [DONE]\n\n");
}

/** Answers as a provider in good health does, streamed or whole as the request asks. */
export async function answerFully(exchange: Exchange, finishReason?: FinishReason): Promise<void> {
  const { request, response, answer } = exchange;
  if (!request.stream) {
    await answerWhole(exchange, finishReason);
    return;
  }
  await sendStream(exchange, { chunks: chunkStream(request, answer, finishReason) });
  endStream(response);
}

/** Answers with one JSON body, whatever the request asks. */
export async function answerWhole(exchange: Exchange, finishReason?: FinishReason): Promise<void> {
  await beginWhole(exchange);
  exchange.response.end(wholeText(exchange, finishReason));
}

/** The headers of a JSON body, once it is time for the body. */
export async function beginWhole({ response, pace, signal }: Exchange): Promise<void> {
  if (pace.firstTokenMs > 0) await systemClock.sleep(pace.firstTokenMs, signal);
  beginBody(response, "application/json");
}

export function wholeText({ request, answer }: Exchange, finishReason?: FinishReason): string {
  return JSON.stringify(completion(request, answer, finishReason));
}

/** Begins the answer and stops in the middle of it: some of the events of a stream, or half of a whole body. */
export async function answerHalf(exchange: Exchange): Promise<void> {
  const { request, response, answer } = exchange;
  if (!request.stream) {
    await beginWhole(exchange);
    response.write(halfOf(wholeText(exchange)));
    return;
  }
  const chunks = chunkStream(request, answer);
  const some = chunks.content.slice(0, Math.ceil(chunks.content.length / 2));
  await sendStream(exchange, { chunks, content: rawEvents(some), closing: [] });
}

/** The first half of a text, at least one character short of it. */
export function halfOf(text: string): string {
  return text.slice(0, Math.floor(text.length / 2));
}
