/**
 * The shop: a stand-in for the services of a real one, over real HTTP on loopback. No money moves and no mail is sent; what
 * it does is a line in a journal, and each of its answers says so.
 *
 * - `POST /orders`, `/cancellations`, `/charges`, `/refunds`, `/mails`, with an Idempotency-Key → 201 and the receipt. A
 *   key that came before is answered as the first time (200), or with 422 if the request was another
 * - `GET /bookings?key=` → `{ booking }`, null where nothing is known of the key
 * - `GET /bookings` → `{ bookings }`, all of them
 *
 * Any number of processes may serve one journal at a time.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, type Asked, type Booking, Books, book, REQUESTS, type What } from "./books.js";
import type { ShopFault } from "./faults.js";

export interface ShopOptions {
  /** Path of the journal; made with its folder when something is booked. */
  readonly journal: string;
  /** Asked at each request. Default: nothing goes wrong. */
  readonly fault?: () => ShopFault | undefined;
}

export interface Shop {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** Ends open connections too. */
  close(): Promise<void>;
}

const NOTE = "A stand-in for a shop: no money moves and no mail is sent";
const SLOW_MS = 5000;

/** Listens on a free port of 127.0.0.1, and keeps no process alive. */
export async function startShop(options: ShopOptions): Promise<Shop> {
  const server = createServer((request, response) => {
    serve(options, request, response).catch((error: unknown) => send(response, 500, { error: String(error) }));
  });
  server.on("connection", (socket) => socket.unref());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  server.unref();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serve(
  { journal, fault = () => undefined }: ShopOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://shop");
  const what = pathname.slice(1);
  const wrong = fault();
  if (request.method === "GET" && what === "bookings") {
    const about = searchParams.get("what") ?? "";
    if (wrong === "mail-down" && about === "mails") return send(response, 503, { error: "The mail desk is down" });
    const key = searchParams.get("key");
    const books = Books.read(journal);
    if (key === null) return send(response, 200, { bookings: books.bookings.map(told) });
    const found = books.byKey(key);
    return send(response, 200, { booking: found === undefined ? null : told(found) });
  }
  if (request.method !== "POST" || !isWhat(what))
    return send(response, 404, { error: `There is no ${request.method} ${pathname} here` });
  const key = request.headers["idempotency-key"];
  if (typeof key !== "string" || key === "") return send(response, 400, { error: "Idempotency-Key is missing" });
  const parsed = REQUESTS[what].safeParse(await json(request).catch(() => undefined));
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "the body"}: ${message}`);
    return send(response, 400, { error: faults.join("; ") });
  }
  if (wrong === "mail-down" && what === "mails") return send(response, 503, { error: "The mail desk is down" });
  if (wrong === "charge-declined" && what === "charges") return send(response, 402, { error: "The card was declined" });
  const answer = book(journal, { what, key, request: parsed.data } as Asked);
  if (what === "charges" && answer.kind === "booked") {
    if (wrong === "charge-lost-reply") return void response.destroy();
    if (wrong === "charge-slow") await sleep(SLOW_MS);
  }
  sendAnswer(response, answer);
}

function isWhat(word: string): word is What {
  return Object.hasOwn(REQUESTS, word);
}

function sendAnswer(response: ServerResponse, answer: Answer): void {
  if (answer.kind === "refused") send(response, answer.status, { error: answer.reason });
  else send(response, answer.kind === "booked" ? 201 : 200, told(answer.booking));
}

function told({ id, what, key, at, cents }: Booking): object {
  return { id, what, key, at, cents, standIn: true };
}

function send(response: ServerResponse, status: number, body: object): void {
  if (response.destroyed) return;
  response
    .writeHead(status, { "content-type": "application/json", "x-stand-in": NOTE })
    .end(`${JSON.stringify({ ...body, standIn: true, note: NOTE })}\n`);
}
