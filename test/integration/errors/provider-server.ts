/** A server that answers whatever it is told to, and the four ways to ask it: ChatOpenAI and the openai SDK, whole and streamed. */
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { ChatOpenAI, OpenAIClient } from "@langchain/openai";
import { afterAll, beforeAll } from "vitest";

export interface Reply {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is when it is text, otherwise as JSON. */
  readonly body?: unknown;
  /**
   * How the answer ends. `silent` never begins, `reset` is cut before the headers, `cut` after the body with more
   * promised, `reset when reused` answers the first request of each connection and resets it at the second.
   */
  readonly ends?: "whole" | "silent" | "reset" | "cut" | "reset when reused";
}

export interface Asked {
  readonly signal?: AbortSignal;
  /** The client's own limit in milliseconds. */
  readonly timeout?: number;
}

export interface Provider {
  baseUrl: string;
  reply: Reply;
  /** Called at each request that has arrived. */
  onRequest: () => void;
}

/** One server for the test file. */
export function provider(): Provider {
  const state: Provider = { baseUrl: "", reply: {}, onRequest: () => undefined };
  const used = new WeakSet<Socket>();
  const server = createServer((request, response) => {
    const { status = 200, headers, body = {}, ends = "whole" } = state.reply;
    request.resume();
    state.onRequest();
    const reused = used.has(request.socket);
    used.add(request.socket);
    if (ends === "silent") return;
    if (ends === "reset" || (ends === "reset when reused" && reused)) {
      request.socket.resetAndDestroy();
      return;
    }
    response.writeHead(status, { "content-type": "application/json", ...headers });
    const text = typeof body === "string" ? body : JSON.stringify(body);
    if (ends === "cut") response.write(text, () => setImmediate(() => request.socket.resetAndDestroy()));
    else response.end(text);
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    state.baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return state;
}

const QUESTION = { model: "gpt-4.1", messages: [{ role: "user" as const, content: "hello" }] };

export const chatOpenAi = (baseURL: string, { timeout }: Asked = {}) =>
  new ChatOpenAI({
    model: QUESTION.model,
    apiKey: "test",
    maxRetries: 0,
    useResponsesApi: false,
    ...(timeout === undefined ? {} : { timeout }),
    configuration: { baseURL },
  });

const openAi = (baseURL: string, { timeout }: Asked) =>
  new OpenAIClient({ apiKey: "test", maxRetries: 0, baseURL, ...(timeout === undefined ? {} : { timeout }) });

const signalOf = ({ signal }: Asked) => (signal === undefined ? {} : { signal });

async function drained(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

type Ask = (baseUrl: string, asked?: Asked) => Promise<unknown>;

export const WAYS: readonly (readonly [name: string, ask: Ask])[] = [
  ["ChatOpenAI", (url, asked = {}) => chatOpenAi(url, asked).invoke("hello", signalOf(asked))],
  [
    "ChatOpenAI, streamed",
    async (url, asked = {}) => drained(await chatOpenAi(url, asked).stream("hello", signalOf(asked))),
  ],
  ["the openai SDK", (url, asked = {}) => openAi(url, asked).chat.completions.create(QUESTION, signalOf(asked))],
  [
    "the openai SDK, streamed",
    async (url, asked = {}) =>
      drained(await openAi(url, asked).chat.completions.create({ ...QUESTION, stream: true }, signalOf(asked))),
  ],
];

/** The events of a stream, without its end. */
export const eventStream = (...events: unknown[]): Reply => ({
  headers: { "content-type": "text/event-stream" },
  body: events.map((event) => `data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`).join(""),
});

/** A whole answer with this message. */
export const completion = (message: object, finishReason = "stop"): Reply => ({
  body: {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: QUESTION.model,
    choices: [{ index: 0, message: { role: "assistant", refusal: null, ...message }, finish_reason: finishReason }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  },
});
