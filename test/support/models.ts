/** Chains of models against servers that misbehave, and what came of a call. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { AIMessageChunk, BaseMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { type ResilientChatModel, type Restart, restartOf } from "langgraph-resilience";
import { type FaultyProvider, type FaultyProviderOptions, startFaultyProvider } from "langgraph-resilience/chaos";
import { onTestFinished } from "vitest";
import type { FakeClock } from "./fake-clock.js";

export const ANSWER = "offline: one two three four five six seven eight nine ten eleven";

/** Closed when the test has finished. */
export async function misbehaving(options: Partial<FaultyProviderOptions> = {}): Promise<FaultyProvider> {
  const provider = await startFaultyProvider({ answer: () => ANSWER, ...options });
  onTestFinished(() => provider.close());
  return provider;
}

type OpenAiFields = NonNullable<ConstructorParameters<typeof ChatOpenAI>[0]>;

/** As a user would make it, retries and all. */
export function openAi(
  { baseUrl }: { readonly baseUrl: string },
  model: string,
  fields: OpenAiFields = {},
): ChatOpenAI {
  return new ChatOpenAI({
    model,
    apiKey: "x",
    useResponsesApi: false,
    configuration: { baseURL: baseUrl },
    ...fields,
  });
}

/** How often each model was asked. */
export function askedOf({ requests }: FaultyProvider, model: string): number {
  return requests.filter((request) => request.model === model).length;
}

/** Ends each wait between attempts as soon as it is begun, and nothing else: limits do not run out. */
export async function withoutWaiting<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let settled = false;
  const noted = work.finally(() => {
    settled = true;
  });
  noted.catch(() => undefined);
  while (!settled) {
    await new Promise((resolve) => setImmediate(resolve));
    const [next] = clock.pending;
    if (next !== undefined) await clock.advance(next);
  }
  return noted;
}

interface Streamed {
  /** All pieces, joined without a thought of restarts. */
  readonly whole: BaseMessage;
  readonly restarts: readonly Restart[];
  readonly pieces: readonly AIMessageChunk[];
}

export async function streamed(
  model: ResilientChatModel,
  question = "q",
  options: Parameters<ResilientChatModel["stream"]>[1] = {},
): Promise<Streamed> {
  const pieces: AIMessageChunk[] = [];
  for await (const piece of await model.stream(question, options)) pieces.push(piece);
  const [first, ...rest] = pieces;
  if (first === undefined) throw new Error("The stream was empty");
  return {
    whole: rest.reduce((before, piece) => before.concat(piece), first),
    restarts: pieces.map(restartOf).filter((restart) => restart !== undefined),
    pieces,
  };
}

/** A callback that counts what LangChain tells of a call. */
export function tally() {
  const told = { starts: 0, ends: 0, errors: 0 };
  const handler = {
    handleChatModelStart: () => {
      told.starts += 1;
    },
    handleLLMEnd: () => {
      told.ends += 1;
    },
    handleLLMError: () => {
      told.errors += 1;
    },
  };
  return { told, handler };
}

export interface RawServer {
  readonly baseUrl: string;
  /** Bodies of the requests. */
  readonly requests: readonly Readonly<Record<string, unknown>>[];
}

/** A server whose answers are written byte by byte by the test. Closed when the test has finished. */
export async function rawServer(
  answer: (response: ServerResponse, request: Readonly<Record<string, unknown>>) => void | Promise<void>,
): Promise<RawServer> {
  const requests: Record<string, unknown>[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    const parsed = JSON.parse(body) as Record<string, unknown>;
    requests.push(parsed);
    await answer(response, parsed);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  onTestFinished(
    () =>
      new Promise<void>((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  );
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, requests };
}

/** An event of a chat stream, as text. */
export function textEvent(content: string, finish: string | null = null): string {
  return event({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] });
}

export function finishEvent(reason = "stop"): string {
  return event({ choices: [{ index: 0, delta: {}, finish_reason: reason }] });
}

export function usageEvent(completion: number): string {
  const usage = { prompt_tokens: 3, completion_tokens: completion, total_tokens: completion + 3 };
  return event({ choices: [], usage });
}

export const OPENING = event({
  choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }],
});

function event(fields: object): string {
  return JSON.stringify({ id: "c-1", object: "chat.completion.chunk", created: 1, model: "m", ...fields });
}

/** Events as they go over the line. */
export function lines(...events: readonly string[]): string {
  return events.map((data) => `data: ${data}\n\n`).join("");
}

/** Answers with these bytes as a stream of events, and ends. */
export function sendEvents(response: ServerResponse, body: string): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end(body);
}
