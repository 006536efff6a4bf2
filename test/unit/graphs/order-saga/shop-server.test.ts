import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Books } from "../../../../graphs/order-saga/shop/books.js";
import type { ShopFault } from "../../../../graphs/order-saga/shop/faults.js";
import { type Shop, startShop } from "../../../../graphs/order-saga/shop/server.js";

let folder: string;
let shop: Shop;
let fault: ShopFault | undefined;
const journal = () => join(folder, "shop.jsonl");
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "order-saga-"));
  fault = undefined;
  shop = await startShop({ journal: journal(), fault: () => fault });
});
afterEach(async () => {
  await shop.close();
  rmSync(folder, { recursive: true, force: true });
});

const order = {
  customer: { name: "Ada", mail: "ada@example.com" },
  items: [{ sku: "tea", quantity: 1, cents: 790 }],
};
async function post(path: string, body: unknown, key?: string) {
  const response = await fetch(`${shop.url}/${path}`, {
    method: "POST",
    headers: key === undefined ? {} : { "idempotency-key": key },
    body: JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as { id: string } };
}
async function get(path: string) {
  const response = await fetch(`${shop.url}/${path}`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe("the shop over HTTP", () => {
  it("books once for a key, tells by the key, and says on every answer that it is a stand-in", async () => {
    const first = await post("orders", order, "k");
    const again = await post("orders", order, "k");
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.body).toEqual(first.body);
    expect((await get("bookings?key=k")).body).toMatchObject({ booking: { id: first.body.id } });
    expect((await get("bookings?key=none")).body).toMatchObject({ booking: null });
    for (const answer of [first, await post("nothing", {}, "k"), await post("orders", order)]) {
      expect(answer.headers.get("x-stand-in")).toMatch(/no money moves and no mail is sent/);
      expect(answer.body).toMatchObject({ standIn: true });
    }
  });

  it("refuses a request without a key, and one that is none, with what is wrong", async () => {
    expect(await post("orders", order)).toMatchObject({ status: 400, body: { error: "Idempotency-Key is missing" } });
    const wrong = await post("charges", { orderId: "o", cents: -1, card: "tok_visa" }, "k");
    expect(wrong).toMatchObject({ status: 400, body: { error: expect.stringContaining("cents") } });
    expect((await get("bookings")).body.bookings).toEqual([]);
  });

  it("goes on with a journal that another served", async () => {
    const { body } = await post("orders", order, "k");
    const other = await startShop({ journal: journal() });
    try {
      const response = await fetch(`${other.url}/bookings?key=k`);
      expect(await response.json()).toMatchObject({ booking: { id: body.id } });
    } finally {
      await other.close();
    }
  });

  it("misbehaves as asked: a reply that is lost after the deed, a declined card, mail that is down", async () => {
    const { body } = await post("orders", order, "k");
    const charge = { orderId: body.id, cents: 790, card: "tok_visa" };
    fault = "charge-declined";
    expect((await post("charges", charge, "c")).status).toBe(402);
    fault = "charge-lost-reply";
    await expect(post("charges", charge, "c")).rejects.toThrow("fetch failed");
    expect(Books.read(journal()).byKey("c")).toMatchObject({ what: "charges" });
    expect((await post("charges", charge, "c")).status).toBe(200);
    fault = "mail-down";
    const mail = { to: "ada@example.com", subject: "s", text: "t" };
    expect((await post("mails", mail, "m")).status).toBe(503);
    expect((await get("bookings?what=mails&key=m")).status).toBe(503);
    expect(Books.read(journal()).byKey("m")).toBeUndefined();
  });
});
