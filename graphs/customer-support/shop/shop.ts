/**
 * The tools: a stand-in for a shop's services, within the process. No money moves. Orders are made up from their number;
 * what is done is a line in a journal, which is on the disk before a tool answers and may be shared by processes.
 */
import { randomUUID } from "node:crypto";
import { join, resolve } from "node:path";
import { z } from "zod";
// The journal of the other bundled shop: its lines are whole or do not count.
import { appendLine, readLines } from "../../order-saga/shop/journal.js";
import { mailOf } from "../conversation.js";
import { chance } from "./chance.js";
import { faultAt, ratesNow, type ToolName } from "./faults.js";

export const Order = z.object({
  id: z.string(),
  item: z.string(),
  cents: z.int(),
  /** Absent while it is on its way. */
  deliveredDaysAgo: z.int().optional(),
  /** The customer's bank is in on it; what is right then no rule can say. */
  isDisputed: z.boolean(),
  isRefunded: z.boolean(),
});
export type Order = z.infer<typeof Order>;

/** What a refund, and the taking back of one, gives. */
export const Receipt = z.object({ id: z.string(), orderId: z.string(), cents: z.int(), standIn: z.literal(true) });
export type Receipt = z.infer<typeof Receipt>;

const Booking = Receipt.extend({ what: z.enum(["refund", "takeBack"]), key: z.string(), at: z.string() });
export type Booking = z.infer<typeof Booking>;

export interface ToolCall {
  readonly signal: AbortSignal;
}
interface KeyedCall extends ToolCall {
  readonly idempotencyKey: string;
}

/** `status` says what it means, to the effect as to the retries: 503 may pass, 403 is a matter for people. */
class ShopError extends Error {
  override readonly name = "ShopError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const ITEMS = ["teapot, 1 l", "Assam tea, 250 g", "two cups", "kettle", "tea strainer"];

export class Shop {
  readonly #journal: string;
  /** How often each conversation has called each tool in this process. */
  readonly #calls = new Map<string, number>();

  constructor(journal: string) {
    this.#journal = journal;
  }

  /** The customer's order; null where there is none of that number, and where it is somebody else's. */
  async findOrder(conversation: number, orderId: string, mail: string, { signal }: ToolCall): Promise<Order | null> {
    await this.#mayFail("findOrder", conversation, signal);
    const number = Number(/^ORD-(\d{1,9})$/.exec(orderId)?.[1]);
    if (!Number.isInteger(number) || mail !== mailOf(number)) return null;
    const { seed, complex } = ratesNow();
    const isDelivered = chance("delivered", number) < 0.8;
    return {
      id: orderId,
      item: ITEMS[Math.floor(chance("item", number) * ITEMS.length)] ?? "",
      cents: 500 + Math.floor(chance("cents", number) * 15_000),
      ...(isDelivered ? { deliveredDaysAgo: Math.floor(chance("days", number) * 40) } : {}),
      isDisputed: chance(seed, "dispute", number) < complex,
      isRefunded: this.#standing(orderId) !== undefined,
    };
  }

  /**
   * Gives the money back. The key is kept for {@link findRefund} alone: who asks twice is refused, as by many a service.
   *
   * @throws ShopError 403 where the order is refunded already
   */
  async refund(
    conversation: number,
    { orderId, cents }: { readonly orderId: string; readonly cents: number },
    { idempotencyKey: key, signal }: KeyedCall,
  ): Promise<Receipt> {
    const lost = await this.#mayFail("refund", conversation, signal);
    if (this.#standing(orderId) !== undefined)
      throw new ShopError(403, `The shop refuses: ${orderId} is refunded already`);
    const receipt = this.#book({ what: "refund", key, orderId, cents });
    if (lost) await noAnswer(signal);
    return Receipt.parse(receipt);
  }

  /** What came of the refund of that key: a probe. */
  async findRefund(conversation: number, { idempotencyKey, signal }: KeyedCall): Promise<Receipt | undefined> {
    await this.#mayFail("findRefund", conversation, signal);
    const booking = this.#byKey(idempotencyKey);
    return booking === undefined ? undefined : Receipt.parse(booking);
  }

  /** Charges what was given back once more. Nothing is made to go wrong here. */
  async takeBack({ orderId, cents }: Receipt, { idempotencyKey: key }: KeyedCall): Promise<Receipt> {
    return Receipt.parse(this.#byKey(key) ?? this.#book({ what: "takeBack", key, orderId, cents }));
  }

  /** All that was done, the oldest first. */
  bookings(): Booking[] {
    const seen = new Set<string>();
    return readLines(this.#journal).flatMap((line) => {
      const { data } = Booking.safeParse(line);
      // Two processes may have written one key at once: the first counts.
      if (data === undefined || seen.has(data.key)) return [];
      seen.add(data.key);
      return [data];
    });
  }

  #byKey(key: string): Booking | undefined {
    return this.bookings().find((booking) => booking.key === key);
  }

  /** The refund of the order that was not taken back. */
  #standing(orderId: string): Booking | undefined {
    const last = this.bookings().findLast((booking) => booking.orderId === orderId);
    return last?.what === "refund" ? last : undefined;
  }

  #book(asked: Pick<Booking, "what" | "key" | "orderId" | "cents">): Booking {
    const id = `${asked.what}_${randomUUID().slice(0, 8)}`;
    const booking: Booking = { ...asked, id, at: new Date().toISOString(), standIn: true };
    appendLine(this.#journal, booking);
    return booking;
  }

  /** @returns whether the answer is to be lost after the deed */
  async #mayFail(tool: ToolName, conversation: number, signal: AbortSignal): Promise<boolean> {
    const counted = `${conversation} ${tool}`;
    const call = (this.#calls.get(counted) ?? 0) + 1;
    this.#calls.set(counted, call);
    const fault = faultAt(ratesNow(), { conversation, tool, call });
    if (fault === "failure") throw new ShopError(503, `The stand-in's tool "${tool}" is made to fail`);
    if (fault === "timeout" || (fault === "lost-reply" && tool !== "refund")) await noAnswer(signal);
    return fault === "lost-reply";
  }
}

/** Until the caller gives up. */
function noAnswer(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** One a journal and process. */
const shops = new Map<string, Shop>();

/** The shop whose journal is `shop.jsonl` in CUSTOMER_SUPPORT_FOLDER, by default `reports/customer-support`. */
export function shop(): Shop {
  const journal = join(resolve(process.env.CUSTOMER_SUPPORT_FOLDER || "reports/customer-support"), "shop.jsonl");
  const open = shops.get(journal) ?? new Shop(journal);
  shops.set(journal, open);
  return open;
}
