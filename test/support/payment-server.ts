/**
 * The outside world of effect tests: an HTTP server that does things, takes them back, and keeps a durable log of both.
 *
 * - `POST /effects/:name` `{ input }` → 201 `{ id, name, input }`
 * - `POST /effects/:name/undo` `{ id }` → 201 `{ id, name, input: { id } }`; 404 for an unknown ID, 409 for one undone already
 * - `GET /effects/by-key/:key` → 200 with what was answered to that Idempotency-Key, or would have been; 404
 * - `GET /log` → all entries; `POST /faults` sets {@link PaymentFaults}
 *
 * An Idempotency-Key that came before is answered as the first time, if keys are honoured; for another request it is 422.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { isDeepStrictEqual } from "node:util";
import { systemClock } from "../../src/core/clock.js";
import { openPaymentLog, type PaymentEntry, type PaymentLog } from "./payment-log.js";

export interface PaymentServerOptions {
  /** Whether a key that came before is answered as the first time. Otherwise it is done again. */
  readonly honoursKeys: boolean;
  /** Is gone on with if it exists. Default: one that goes with the server. */
  readonly logFile?: string;
}

export interface PaymentFault {
  /** Of the answer; 0: the connection is closed without one. */
  readonly status: number;
  /** How many requests meet it; default 1. */
  readonly times?: number;
  /** Whether what was asked for is done all the same; default false. */
  readonly afterEffect?: boolean;
}

/** What is given replaces what was set before. */
export interface PaymentFaults {
  /** By what follows `/effects/`: "charge", "charge/undo", and "by-key" for probes. */
  readonly failNext?: Readonly<Record<string, PaymentFault>>;
  /** From when it is done to the answer, in milliseconds; default 0. */
  readonly delayMs?: number;
}

export interface PaymentServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  entries(): Promise<readonly PaymentEntry[]>;
  setFaults(faults: PaymentFaults): Promise<void>;
  /** Ends open connections too. */
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface Service {
  readonly log: PaymentLog;
  readonly honoursKeys: boolean;
  readonly faults: Map<string, PaymentFault>;
  delayMs: number;
}

export async function startPaymentServer({ honoursKeys, logFile }: PaymentServerOptions): Promise<PaymentServer> {
  const folder = logFile === undefined ? mkdtempSync(join(tmpdir(), "lgr-payments-")) : undefined;
  const log = openPaymentLog(logFile ?? join(folder ?? "", "log.ndjson"));
  const service: Service = { log, honoursKeys, faults: new Map(), delayMs: 0 };
  const server = createServer((request, response) => {
    serve(service, request, response).catch((error: unknown) => send(response, 400, { error: String(error) }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    entries: async () => [...log.entries],
    setFaults: async (faults) => setFaults(service, faults),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      log.close();
      if (folder !== undefined) rmSync(folder, { recursive: true });
    },
  };
}

async function serve(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [first, ...rest] = (request.url ?? "").split("/").slice(1).map(decodeURIComponent);
  const what = `${request.method} /${first}`;
  if (what === "GET /log") send(response, 200, service.log.entries);
  else if (what === "POST /faults") {
    setFaults(service, (await json(request)) as PaymentFaults);
    send(response, 200, {});
  } else if (what === "GET /effects" && rest[0] === "by-key" && rest[1] !== undefined) {
    const found = service.log.byKey(rest[1]);
    await answer(service, "by-key", response, () =>
      found === undefined ? notFound : { status: 200, body: told(found) },
    );
  } else if (what === "POST /effects" && (rest.length === 1 || (rest.length === 2 && rest[1] === "undo"))) {
    const body = (await json(request)) as Record<string, unknown>;
    const key = request.headers["idempotency-key"];
    const asked = { name: rest[0] ?? "", ...(typeof key === "string" ? { key } : {}) };
    await answer(service, rest.join("/"), response, () =>
      rest.length === 1
        ? once(service, { kind: "effect", ...asked, input: body.input })
        : once(service, { kind: "undo", ...asked, input: { id: body.id } }),
    );
  } else send(response, 404, { error: `no ${request.method} ${request.url}` });
}

const notFound: Answer = { status: 404, body: { error: "nothing is known of it" } };

/** Nothing waits between looking and writing, so that two requests at once are one after the other. */
function once({ log, honoursKeys }: Service, asked: Omit<PaymentEntry, "id">): Answer {
  const before = asked.key === undefined || !honoursKeys ? undefined : log.byKey(asked.key);
  if (before !== undefined) {
    const { id: _, ...same } = before;
    if (isDeepStrictEqual(same, JSON.parse(JSON.stringify(asked)))) return { status: 201, body: told(before) };
    return { status: 422, body: { error: `key "${asked.key}" belongs to another request` } };
  }
  if (asked.kind === "undo") {
    const effect = log.effect(asked.name, String((asked.input as { id: unknown }).id));
    if (effect === undefined) return notFound;
    if (log.undoOf(effect) !== undefined) return { status: 409, body: { error: `${effect.id} is undone already` } };
  }
  return { status: 201, body: told(log.append(asked)) };
}

function told({ id, name, input }: PaymentEntry) {
  return { id, name, input };
}

async function answer(service: Service, what: string, response: ServerResponse, act: () => Answer): Promise<void> {
  const fault = takeFault(service, what);
  const proper = fault === undefined || fault.afterEffect === true ? act() : notFound;
  if (service.delayMs > 0) await systemClock.sleep(service.delayMs);
  if (fault === undefined) send(response, proper.status, proper.body);
  else if (fault.status === 0) response.destroy();
  else
    send(response, fault.status, { error: `a fault on purpose, ${fault.afterEffect ? "after" : "before"} the effect` });
}

function takeFault({ faults }: Service, what: string): PaymentFault | undefined {
  const fault = faults.get(what);
  if (fault === undefined) return undefined;
  const { times = 1 } = fault;
  if (times === 1) faults.delete(what);
  else faults.set(what, { ...fault, times: times - 1 });
  return fault;
}

function setFaults(service: Service, { failNext, delayMs }: PaymentFaults): void {
  if (delayMs !== undefined) service.delayMs = delayMs;
  if (failNext === undefined) return;
  service.faults.clear();
  for (const [what, fault] of Object.entries(failNext)) service.faults.set(what, fault);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
