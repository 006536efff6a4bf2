/** What the provider does with one HTTP request. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { systemClock } from "../core/clock.js";
import { toAnswer } from "./chat-answer.js";
import { parseChatRequest } from "./chat-request.js";
import { modelList } from "./chat-response.js";
import { sample } from "./distributions.js";
import { type Exchange, sendError, sendJson } from "./exchange.js";
import type { FaultPlan } from "./fault-plan.js";
import { describeFault, isProper, playFault } from "./faults.js";
import { type CompiledOptions, ofModel } from "./provider-options.js";
import type { RequestLog } from "./request-log.js";
import { seededRandom } from "./seeded-random.js";

const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** What all requests share. */
export interface Service {
  readonly options: CompiledOptions;
  readonly plan: FaultPlan;
  readonly log: RequestLog;
  readonly startedAtMs: number;
  /** Aborts when the provider closes. */
  readonly closing: AbortSignal;
}

/** Never rejects: what goes wrong in the provider itself is told to the client. */
export async function serve(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const signal = AbortSignal.any([service.closing, gone.signal]);
  try {
    await route(service, request, response, signal);
  } catch (error) {
    if (signal.aborted) return;
    if (response.headersSent) response.destroy();
    else sendError(response, 500, { message: `The offline provider failed: ${String(error)}`, type: "server_error" });
  }
}

async function route(service: Service, request: IncomingMessage, response: ServerResponse, signal: AbortSignal) {
  const path = new URL(request.url ?? "/", "http://localhost").pathname;
  if (path === "/v1/models" && request.method === "GET") {
    sendJson(response, 200, modelList(service.options.models, nowSeconds()));
  } else if (path === "/v1/chat/completions" && request.method === "POST") {
    await complete(service, request, response, signal);
  } else {
    sendError(response, 404, { message: `Invalid URL (${request.method} ${path})` });
  }
}

async function complete(service: Service, request: IncomingMessage, response: ServerResponse, signal: AbortSignal) {
  const body = await readBody(request);
  if (body === undefined) {
    const message = `The request is larger than ${MAX_BODY_BYTES} bytes.`;
    sendError(response, 413, { message }, { connection: "close" });
    return;
  }
  const parsed = parseChatRequest(body);
  if (parsed.kind === "refused") {
    sendError(response, 400, { message: parsed.message, param: parsed.param });
    return;
  }
  const { options, plan, log, startedAtMs, closing } = service;
  const chat = parsed.request;
  const number = log.requests.length + 1;
  const random = seededRandom(options.seed, number);
  const fault = plan.faultFor(chat, systemClock.now() - startedAtMs, random);
  const { firstTokenMs, betweenMs } = ofModel(options, chat.model);
  const pace = { firstTokenMs: sample(firstTokenMs, random), betweenMs: () => sample(betweenMs, random) };

  const entry = log.begin(chat, fault);
  let proper = false;
  let ours = false;
  const onClose = () => {
    if (response.writableFinished) entry.end(proper ? "answered" : "faulted");
    else entry.end(ours || closing.aborted ? "faulted" : "client_gone");
  };
  if (response.closed) onClose();
  else response.on("close", onClose);

  response.setHeader("x-request-id", entry.id);
  response.setHeader("x-offline-fault", describeFault(fault));
  const answer = toAnswer(await options.answer(chat), number, nowSeconds());
  const reset = () => {
    ours = true;
    response.socket?.resetAndDestroy();
  };
  const exchange: Exchange = { request: chat, response, answer, pace, signal, reset };
  proper = isProper(exchange, fault);
  await playFault(exchange, fault);
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

function nowSeconds(): number {
  return Math.floor(systemClock.now() / 1000);
}
