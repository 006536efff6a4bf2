/** How the graph speaks to the shop: one request each, and none is repeated here. */
import { join, resolve } from "node:path";
import { ConfigError, MalformedOutputError } from "langgraph-resilience";
import { z } from "zod";
import type { RequestOf, What } from "./books.js";
import { shopFault } from "./faults.js";
import { type Shop, startShop } from "./server.js";

/** What every effect gives back. */
export const Receipt = z.object({
  id: z.string(),
  /** What it is about, in cents; absent for a mail. */
  cents: z.int().optional(),
  /** Whether the bundled stand-in answered, so that nothing happened but a line in its journal. */
  standIn: z.boolean().default(false),
});
export type Receipt = z.infer<typeof Receipt>;

interface Call {
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

/** Any answer that is not 2xx. `status` says what it means, to the effects as to the retries. */
class ShopError extends Error {
  override readonly name = "ShopError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Asks the shop to do something under the call's key.
 *
 * @throws ShopError for a refusal; what `fetch` throws where there was no answer
 */
export async function ask<W extends What>(what: W, request: RequestOf<W>, { idempotencyKey, signal }: Call) {
  const answer = await send(`/${what}`, signal, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": idempotencyKey },
    body: JSON.stringify(request),
  });
  return parsed(Receipt, what, answer);
}

/** What the shop did under the call's key, if anything: a probe. */
export async function lookUp(what: What, { idempotencyKey, signal }: Call) {
  const answer = await send(`/bookings?${new URLSearchParams({ what, key: idempotencyKey })}`, signal);
  const { booking } = parsed(z.object({ booking: Receipt.nullable() }), "bookings", answer);
  return booking === null ? { happened: false as const } : { happened: true as const, receipt: booking };
}

/**
 * To be called before anything is asked for: within an effect it would leave a doubt.
 *
 * @throws ConfigError for an ORDER_SAGA_SHOP_URL or ORDER_SAGA_FAULT that is none
 */
export function checkShop(): void {
  shopFault();
  const url = process.env.ORDER_SAGA_SHOP_URL;
  if (!url || (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol))) return;
  // It may hold a password, so it is not printed.
  throw new ConfigError("ORDER_SAGA_SHOP_URL is not an address like http://127.0.0.1:8080");
}

/** The shop's journal, when the bundled one answers. */
function journalPath(): string {
  return join(resolve(process.env.ORDER_SAGA_FOLDER || "reports/order-saga"), "shop.jsonl");
}

async function send(path: string, signal: AbortSignal, init: RequestInit = {}): Promise<unknown> {
  const response = await fetch(`${await shopUrl()}${path}`, { ...init, signal, redirect: "error" });
  const text = await response.text();
  if (response.ok) return text;
  throw new ShopError(response.status, `The shop answered ${response.status}: ${reason(text)}`);
}

function parsed<S extends z.ZodType>(schema: S, what: string, answer: unknown): z.output<S> {
  try {
    return schema.parse(JSON.parse(String(answer)));
  } catch (cause) {
    throw new MalformedOutputError(
      `The shop answered a request to /${what} with something else than a receipt: ${String(answer).slice(0, 200)}`,
      { cause },
    );
  }
}

function reason(text: string): string {
  try {
    return z.object({ error: z.string() }).parse(JSON.parse(text)).error;
  } catch {
    return text.slice(0, 200);
  }
}

/** One a journal and process, started when it is first needed. */
const shops = new Map<string, Promise<Shop>>();

async function shopUrl(): Promise<string> {
  const given = process.env.ORDER_SAGA_SHOP_URL;
  if (given) return given.replace(/\/+$/, "");
  const journal = journalPath();
  const running = shops.get(journal) ?? startShop({ journal, fault: shopFault });
  shops.set(journal, running);
  running.catch(() => shops.delete(journal));
  return (await running).url;
}
