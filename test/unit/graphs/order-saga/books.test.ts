import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Asked, Books, book, DECLINED_CARD } from "../../../../graphs/order-saga/shop/books.js";
import { bundle } from "../../../crash/bundle.mjs";

let folder: string;
let journal: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "order-saga-"));
  journal = join(folder, "shop.jsonl");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const request = {
  customer: { name: "Ada", mail: "ada@example.com" },
  items: [
    { sku: "tea", quantity: 2, cents: 790 },
    { sku: "pot", quantity: 1, cents: 3450 },
  ],
};
const booked = (asked: Asked) => {
  const answer = book(journal, asked);
  if (answer.kind === "refused") throw new Error(answer.reason);
  return answer.booking;
};
const order = (key = "order-key") => booked({ what: "orders", key, request });
const charge = (orderId: string, key = "charge-key", card = "tok_visa", cents = 5030) =>
  book(journal, { what: "charges", key, request: { orderId, cents, card } });
const whats = () => Books.read(journal).bookings.map(({ what }) => what);
const lines = () => readFileSync(journal, "utf8").trimEnd().split("\n");

describe("the shop's books", () => {
  it("answer a key that came before with the first booking, and write nothing", () => {
    const first = order();
    expect(first).toMatchObject({ what: "orders", key: "order-key", cents: 5030 });
    expect(book(journal, { what: "orders", key: "order-key", request })).toEqual({ kind: "known", booking: first });
    expect(lines()).toHaveLength(1);
  });

  it("refuse a key that belongs to another request", () => {
    const { id } = order();
    const other = { ...request, items: request.items.slice(1) };
    expect(book(journal, { what: "orders", key: "order-key", request: other })).toMatchObject({ status: 422 });
    expect(charge(id, "order-key")).toMatchObject({ status: 422 });
  });

  it("do what is asked for under another key again, as a shop does", () => {
    const { id } = order();
    expect(charge(id, "one").kind).toBe("booked");
    expect(charge(id, "two").kind).toBe("booked");
    expect(whats()).toEqual(["orders", "charges", "charges"]);
  });

  it("give a charge back once, and cancel an order once", () => {
    const { id } = order();
    const paid = charge(id);
    const chargeId = paid.kind === "booked" ? paid.booking.id : "";
    const refund = (key: string) => book(journal, { what: "refunds", key, request: { chargeId } });
    expect(refund("undo")).toMatchObject({ kind: "booked", booking: { cents: 5030 } });
    expect(refund("undo").kind).toBe("known");
    expect(refund("other")).toMatchObject({ status: 409 });
    const cancel = (key: string) => book(journal, { what: "cancellations", key, request: { orderId: id } });
    expect(cancel("off").kind).toBe("booked");
    expect(cancel("other")).toMatchObject({ status: 409 });
    expect(charge(id, "later")).toMatchObject({ status: 422, reason: expect.stringContaining("cancelled") });
  });

  it("charge nothing but what the order is over, and no declined card, whose key stays free", () => {
    const { id } = order();
    expect(charge(id, "key", "tok_visa", 1)).toMatchObject({ status: 422 });
    expect(charge("order_none")).toMatchObject({ status: 404 });
    expect(charge(id, "key", DECLINED_CARD)).toMatchObject({ status: 402 });
    expect(whats()).toEqual(["orders"]);
    expect(charge(id, "key").kind).toBe("booked");
  });

  it("count the first of two lines with one key, and the first of two refunds of one charge", () => {
    const first = order();
    const paid = charge(first.id);
    const chargeId = paid.kind === "booked" ? paid.booking.id : "";
    const refund = booked({ what: "refunds", key: "undo", request: { chargeId } });
    // as processes write them that had looked before the other wrote
    appendFileSync(journal, `${JSON.stringify({ ...first, id: "order_second" })}\n`);
    appendFileSync(journal, `${JSON.stringify({ ...refund, id: "refund_second", key: "other" })}\n`);
    expect(lines()).toHaveLength(5);
    expect(whats()).toEqual(["orders", "charges", "refunds"]);
    expect(Books.read(journal).byKey("order-key")).toEqual(first);
    expect(Books.read(journal).byKey("other")).toBeUndefined();
  });

  it("are one for two processes that book the same at the same time", async () => {
    const script = await bundle(fileURLToPath(new URL("booking.child.ts", import.meta.url)), folder);
    const children = [1, 2].map(() =>
      spawn(process.execPath, [script, journal, "40"], { stdio: ["pipe", "pipe", "inherit"] }),
    );
    const outputs = children.map((child) => linesOf(child));
    for (const output of outputs) expect((await output.next()).value).toBe("ready");
    for (const child of children) child.stdin?.write("go");
    const [one, two] = await Promise.all(
      outputs.map(async (output) => JSON.parse(String((await output.next()).value)) as string[]),
    );
    expect(new Set(one).size).toBe(40);
    expect(two).toEqual(one);
    expect(Books.read(journal).bookings.map(({ id }) => id)).toEqual(one);
  });
});

function linesOf({ stdout }: ChildProcess): AsyncIterator<string> {
  if (stdout === null) throw new Error("the child was started without pipes");
  return createInterface({ input: stdout })[Symbol.asyncIterator]();
}
