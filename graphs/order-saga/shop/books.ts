/** What the shop does, and by which rules. A journal is read by the same rules as a request is answered by. */
import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { Customer, Item } from "../order.js";
import { appendLine, readLines } from "./journal.js";

/** What can be asked for, by the path it is posted to. */
export const REQUESTS = {
  orders: z.strictObject({ customer: Customer, items: z.array(Item).min(1) }),
  cancellations: z.strictObject({ orderId: z.string() }),
  charges: z.strictObject({ orderId: z.string(), cents: z.int().positive(), card: z.string() }),
  refunds: z.strictObject({ chargeId: z.string() }),
  mails: z.strictObject({ to: z.string(), subject: z.string(), text: z.string() }),
} as const;
export type What = keyof typeof REQUESTS;
export type RequestOf<W extends What> = z.infer<(typeof REQUESTS)[W]>;

const common = { id: z.string(), key: z.string(), at: z.string() };
const booking = <W extends What>(what: W) =>
  z.object({ ...common, what: z.literal(what), request: REQUESTS[what], cents: z.int().optional() });

/** A line of the journal. `cents` is what it is about, where it is about money. */
export const Booking = z.discriminatedUnion("what", [
  booking("orders"),
  booking("cancellations"),
  booking("charges"),
  booking("refunds"),
  booking("mails"),
]);
export type Booking = z.infer<typeof Booking>;

/** What is asked for: a booking that has not been written yet. */
export type Asked = { [W in What]: { readonly what: W; readonly key: string; readonly request: RequestOf<W> } }[What];

/** `known`: the key has been booked with the same request before. `refused` carries an HTTP status and the reason. */
export type Answer =
  | { readonly kind: "known" | "booked"; readonly booking: Booking }
  | { readonly kind: "refused"; readonly status: number; readonly reason: string };

/** A card that is always declined, so that a declined card can be seen without any fault. */
export const DECLINED_CARD = "tok_declined";

/** The bookings that count: of several with one key the first, and none that the rules refuse. */
export class Books {
  readonly bookings: Booking[] = [];
  readonly #byKey = new Map<string, Booking>();
  readonly #byId = new Map<string, Booking>();
  /** Orders that were cancelled and charges that were refunded. */
  readonly #undone = new Set<string>();

  static read(path: string): Books {
    const books = new Books();
    for (const line of readLines(path)) {
      const parsed = Booking.safeParse(line);
      if (parsed.success && "cents" in books.judge(parsed.data)) books.#add(parsed.data);
    }
    return books;
  }

  byKey(key: string): Booking | undefined {
    return this.#byKey.get(key);
  }

  /** How it would be answered now: with what is known already, with a refusal, or by booking it. */
  judge(asked: Asked): Exclude<Answer, { kind: "booked" }> | { readonly cents: number | undefined } {
    const known = this.#byKey.get(asked.key);
    if (known !== undefined) {
      return known.what === asked.what && isDeepStrictEqual(known.request, asked.request)
        ? { kind: "known", booking: known }
        : refused(422, `The key "${asked.key}" belongs to another request`);
    }
    switch (asked.what) {
      case "orders":
        return { cents: asked.request.items.reduce((sum, { quantity, cents }) => sum + quantity * cents, 0) };
      case "cancellations":
        return this.#undo("orders", asked.request.orderId, "cancelled");
      case "charges":
        return this.#charge(asked.request);
      case "refunds":
        return this.#undo("charges", asked.request.chargeId, "refunded");
      case "mails":
        return { cents: undefined };
    }
  }

  #charge({ orderId, cents, card }: RequestOf<"charges">): ReturnType<Books["judge"]> {
    const order = this.#byId.get(orderId);
    if (order?.what !== "orders") return refused(404, `There is no order "${orderId}"`);
    if (this.#undone.has(orderId)) return refused(422, `Order "${orderId}" is cancelled`);
    if (order.cents !== cents) return refused(422, `Order "${orderId}" is over ${order.cents} cents, not ${cents}`);
    // Not written down under the key: the same request is welcome once the card is in order.
    if (card === DECLINED_CARD) return refused(402, `The card was declined; order "${orderId}" is not paid`);
    return { cents };
  }

  #undo(what: What, id: string, done: string): ReturnType<Books["judge"]> {
    const found = this.#byId.get(id);
    if (found?.what !== what) return refused(404, `There is no "${id}" among the ${what}`);
    if (this.#undone.has(id)) return refused(409, `"${id}" is ${done} already`);
    return { cents: found.cents };
  }

  #add(added: Booking): void {
    this.bookings.push(added);
    this.#byKey.set(added.key, added);
    this.#byId.set(added.id, added);
    if (added.what === "cancellations") this.#undone.add(added.request.orderId);
    if (added.what === "refunds") this.#undone.add(added.request.chargeId);
  }
}

/**
 * Books it in the journal, once however often it is asked for and by however many processes: each appends, reads what all
 * have appended, and answers by that.
 *
 * @throws Error when the journal cannot be written
 */
export function book(journal: string, asked: Asked): Answer {
  const judged = Books.read(journal).judge(asked);
  if (!("cents" in judged)) return judged;
  const { cents } = judged;
  const line = {
    id: `${asked.what.slice(0, -1)}_${randomUUID().replaceAll("-", "").slice(0, 12)}`,
    key: asked.key,
    at: new Date().toISOString(),
    what: asked.what,
    request: asked.request,
    ...(cents === undefined ? {} : { cents }),
  };
  appendLine(journal, line);
  const books = Books.read(journal);
  const counts = books.bookings.find(({ id }) => id === line.id);
  if (counts !== undefined) return { kind: "booked", booking: counts };
  // Another process was first, with this key or with what rules it out.
  const now = books.judge(asked);
  if ("cents" in now) throw new Error(`${journal}: the line of ${line.id} is not there; has the file been replaced?`);
  return now;
}

function refused(status: number, reason: string): Answer & { kind: "refused" } {
  return { kind: "refused", status, reason };
}
