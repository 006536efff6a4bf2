import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { z } from "zod";
import { systemClock } from "../core/clock.js";
import { parseOptions } from "../core/options.js";
import { serve } from "./chat-endpoint.js";
import { createFaultPlan } from "./fault-plan.js";
import { describeScript, type ScriptEntry } from "./fault-script.js";
import { type Fault, FaultSchema } from "./faults.js";
import { compileOptions, type FaultyProviderOptions } from "./provider-options.js";
import { createRequestLog, type SeenRequest } from "./request-log.js";

export type { FaultyProviderOptions } from "./provider-options.js";
export type { SeenRequest } from "./request-log.js";

export interface FaultyProvider {
  /** For `baseURL`: `http://127.0.0.1:<port>/v1`. */
  readonly baseUrl: string;
  readonly port: number;
  readonly requests: readonly SeenRequest[];
  /**
   * Every request from now on meets this fault, before any window and script, until it is set anew; undefined takes it
   * away. With `model` it holds for that model alone and goes before the one for all. Requests under way are not
   * touched.
   *
   * @throws ConfigError for a fault there is not
   */
  setFault(fault: Fault | undefined, options?: { readonly model?: string }): void;
  /**
   * The request of that number, from 1, as soon as it has come; or the first, past or to come, of which the condition
   * holds, which is looked at when a request comes and when it ends.
   *
   * @throws CancelledError when the provider closes before
   */
  waitForRequest(wanted: number | ((request: SeenRequest) => boolean)): Promise<SeenRequest>;
  /** The whole script as printable lines, used entries included. */
  describeScript(): string[];
  /** Entries of the script that are not used up, each with the `times` it has left. */
  remaining(): readonly ScriptEntry[];
  /** Stops listening and ends every open connection, hanging ones too. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const SetFault = z.strictObject({ fault: FaultSchema.optional(), model: z.string().optional() });

/**
 * Starts an OpenAI-compatible server on 127.0.0.1 that misbehaves as it is told and otherwise answers properly:
 * `POST /v1/chat/completions` (whole and streamed, `response_format`, `tools`) and `GET /v1/models`.
 * Every answer says that it is offline. An idle server does not keep the process alive.
 *
 * @throws ConfigError for an option out of range and for a fault there is not, by its place in the script
 */
export async function startFaultyProvider(given: FaultyProviderOptions): Promise<FaultyProvider> {
  const options = compileOptions(given);
  const plan = createFaultPlan(options);
  const log = createRequestLog(options.onEnded);
  const closing = new AbortController();
  const sockets = new Set<Socket>();
  const service = { options, plan, log, startedAtMs: systemClock.now(), closing: closing.signal };

  const server = createServer((request, response) => void serve(service, request, response));
  server.on("connection", (socket) => {
    socket.unref();
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await listen(server, options.port);
  server.unref();

  const { port } = server.address() as AddressInfo;
  const close = async () => {
    closing.abort();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    // A server is closed before the last of its sockets says so, and with it how the request on it ended.
    const ended = [...sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    for (const socket of sockets) socket.destroy();
    await Promise.all([closed, ...ended]);
    log.close();
  };
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    port,
    requests: log.requests,
    setFault(fault, which = {}) {
      const parsed = parseOptions("setFault", SetFault, { fault, ...which });
      plan.set(parsed.fault, parsed.model);
    },
    waitForRequest: log.waitFor,
    describeScript: () => describeScript(options.script),
    remaining: plan.remaining,
    close,
    [Symbol.asyncDispose]: close,
  };
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
