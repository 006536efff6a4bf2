import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { z } from "zod";
import { systemClock } from "../core/clock.js";
import { parseOptions } from "../core/options.js";
import { type ChatRequest, parseChatRequest } from "./chat-request.js";
import { modelList } from "./chat-response.js";
import { sendError, sendJson } from "./exchange.js";
import { createFaultScript, describeScript, type FaultScript, type ScriptEntry } from "./fault-script.js";
import { describeFault, type Fault, playFault } from "./faults.js";

const MAX_BODY_BYTES = 16 * 1024 * 1024;

const Limits = z.object({
  port: z.int().min(0).max(65_535).default(0),
  chunkDelayMs: z.number().min(0).max(60_000).default(0),
  models: z.array(z.string()).min(1).default(["offline-model"]),
});

export interface FaultyProviderOptions {
  /** Computes the right answer: text, or an object that is sent as JSON. It labels its text as offline itself. */
  readonly answer: (request: ChatRequest) => string | object | Promise<string | object>;
  /** Faults in order, each used once; see {@link ScriptEntry}. Default: none. */
  readonly script?: readonly ScriptEntry[];
  /** Default 0: any free port. */
  readonly port?: number;
  /** Pause between stream events in milliseconds; default 0. */
  readonly chunkDelayMs?: number;
  /** What `GET /v1/models` lists; default `["offline-model"]`. Requests may name any model. */
  readonly models?: readonly string[];
}

/** What the provider saw, in order of arrival. Holds no credentials. */
export interface SeenRequest extends ChatRequest {
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly fault: Fault;
}

export interface FaultyProvider {
  /** For `baseURL`: `http://127.0.0.1:<port>/v1`. */
  readonly baseUrl: string;
  readonly port: number;
  readonly requests: readonly SeenRequest[];
  /** The whole script as printable lines, used entries included. */
  describeScript(): string[];
  /** Entries no request has met yet. */
  remaining(): readonly ScriptEntry[];
  /** Stops listening and ends every open connection, hanging ones too. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts an OpenAI-compatible server on 127.0.0.1 that misbehaves on a script and otherwise answers properly:
 * `POST /v1/chat/completions` (whole and streamed, `response_format`, `tools` accepted) and `GET /v1/models`.
 * Every answer says that it is offline. An idle server does not keep the process alive.
 *
 * @throws ConfigError for an option out of range
 */
export async function startFaultyProvider(options: FaultyProviderOptions): Promise<FaultyProvider> {
  const { port, chunkDelayMs, models } = parseOptions("startFaultyProvider", Limits, options);
  const entries = [...(options.script ?? [])];
  const script = createFaultScript(entries);
  const seen: SeenRequest[] = [];
  const closing = new AbortController();
  const sockets = new Set<Socket>();

  const server = createServer((request, response) => {
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    const signal = AbortSignal.any([closing.signal, gone.signal]);
    route({ request, response, signal, script, seen, chunkDelayMs, models, answer: options.answer }).catch(
      (error: unknown) => {
        if (signal.aborted) return;
        if (response.headersSent) response.destroy();
        else
          sendError(response, 500, { message: `The offline provider failed: ${String(error)}`, type: "server_error" });
      },
    );
  });
  server.on("connection", (socket) => {
    socket.unref();
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await listen(server, port);
  server.unref();

  const actualPort = (server.address() as AddressInfo).port;
  const close = async () => {
    closing.abort();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return {
    baseUrl: `http://127.0.0.1:${actualPort}/v1`,
    port: actualPort,
    requests: seen,
    describeScript: () => describeScript(entries),
    remaining: script.remaining,
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Routing {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
  readonly script: FaultScript;
  readonly seen: SeenRequest[];
  readonly chunkDelayMs: number;
  readonly models: readonly string[];
  readonly answer: FaultyProviderOptions["answer"];
}

async function route(routing: Routing): Promise<void> {
  const { request, response } = routing;
  const path = new URL(request.url ?? "/", "http://localhost").pathname;
  if (path === "/v1/models" && request.method === "GET") {
    sendJson(response, 200, modelList(routing.models, nowSeconds()));
  } else if (path === "/v1/chat/completions" && request.method === "POST") {
    await complete(routing);
  } else {
    sendError(response, 404, { message: `Invalid URL (${request.method} ${path})` });
  }
}

async function complete({ request, response, signal, script, seen, chunkDelayMs, answer }: Routing): Promise<void> {
  const body = await readBody(request);
  if (body === undefined) {
    sendError(
      response,
      413,
      { message: `The request is larger than ${MAX_BODY_BYTES} bytes.` },
      { connection: "close" },
    );
    return;
  }
  const parsed = parseChatRequest(body);
  if (parsed.kind === "refused") {
    sendError(response, 400, { message: parsed.message, param: parsed.param });
    return;
  }
  const chat = parsed.request;
  const fault = script.next(chat);
  seen.push({ ...chat, atMs: systemClock.now(), fault });
  response.setHeader("x-request-id", `offline-${seen.length}`);
  response.setHeader("x-offline-fault", describeFault(fault));
  const answered = await answer(chat);
  const content = typeof answered === "string" ? answered : JSON.stringify(answered);
  await playFault(
    {
      request: chat,
      response,
      answer: { id: `chatcmpl-offline-${seen.length}`, created: nowSeconds(), content },
      chunkDelayMs,
      signal,
    },
    fault,
  );
}

/** @returns undefined when it is too large */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  // Leaving the loop early must not destroy the socket: the refusal still has to go out over it.
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function nowSeconds(): number {
  return Math.floor(systemClock.now() / 1000);
}
