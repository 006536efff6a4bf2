import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { faultAt, ratesNow } from "../../../../graphs/customer-support/shop/faults.js";
import { Shop } from "../../../../graphs/customer-support/shop/shop.js";

let folder: string;
let journal: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "customer-support-"));
  journal = join(folder, "shop.jsonl");
  vi.stubEnv("CUSTOMER_SUPPORT_FAULTS", "off");
});
afterEach(() => rm(folder, { recursive: true, force: true }));
afterAll(() => vi.unstubAllEnvs());

const { signal } = new AbortController();
const call = (idempotencyKey: string) => ({ idempotencyKey, signal });
const what = { orderId: "ORD-7", cents: 1250 };

describe("the stand-in's tools", () => {
  it("know an order by its number, and tell nobody of somebody else's", async () => {
    const shop = new Shop(journal);
    const order = await shop.findOrder(1, "ORD-7", "customer7@example.com", { signal });
    expect(order).toMatchObject({ id: "ORD-7", isDisputed: false, isRefunded: false });
    expect(await shop.findOrder(2, "ORD-7", "customer7@example.com", { signal })).toEqual(order);
    expect(await shop.findOrder(1, "ORD-7", "customer8@example.com", { signal })).toBeNull();
    expect(await shop.findOrder(1, "ORD-7 ", "customer7@example.com", { signal })).toBeNull();
  });

  it("refund an order once, whatever the key, and find by its key what was done", async () => {
    const shop = new Shop(journal);
    const first = await shop.refund(1, what, call("k1"));
    for (const key of ["k1", "k2"])
      await expect(shop.refund(1, what, call(key))).rejects.toMatchObject({ status: 403 });
    expect(shop.bookings()).toHaveLength(1);
    expect(await new Shop(journal).findRefund(1, call("k1"))).toEqual(first);
    expect(await new Shop(journal).findRefund(1, call("k2"))).toBeUndefined();
  });

  it("take a refund back once, after which the order can be refunded anew", async () => {
    const shop = new Shop(journal);
    const refund = await shop.refund(1, what, call("k1"));
    expect(await shop.takeBack(refund, call("k1-undo"))).toEqual(await shop.takeBack(refund, call("k1-undo")));
    await shop.refund(1, what, call("k2"));
    expect(shop.bookings().map((booking) => booking.what)).toEqual(["refund", "takeBack", "refund"]);
  });

  it("give no answer until the caller gives up, having done it or not", async () => {
    vi.stubEnv("CUSTOMER_SUPPORT_FAULTS", "timeouts=1,failures=0");
    const shop = new Shop(journal);
    for (let conversation = 1; conversation <= 20; conversation += 1) {
      const caller = new AbortController();
      const asked = shop.refund(
        conversation,
        { ...what, orderId: `ORD-${conversation}` },
        { idempotencyKey: `k${conversation}`, signal: caller.signal },
      );
      caller.abort(new Error("given up"));
      await expect(asked).rejects.toThrow("given up");
    }
    expect(shop.bookings().length).toBeGreaterThan(3);
    expect(shop.bookings().length).toBeLessThan(17);
  });
});

describe("what goes wrong", () => {
  it("comes in the shares that are set, the same each time", () => {
    vi.stubEnv("CUSTOMER_SUPPORT_FAULTS", "seed=7");
    const drawn = Array.from({ length: 4000 }, (_, index) =>
      faultAt(ratesNow(), { conversation: index + 1, tool: "findOrder", call: 1 }),
    );
    const share = (...faults: readonly string[]) => drawn.filter((fault) => faults.includes(fault ?? "")).length / 4000;
    expect(share("timeout", "lost-reply")).toBeCloseTo(0.075, 1.5);
    expect(share("lost-reply")).toBeGreaterThan(0.02);
    expect(share("failure")).toBeGreaterThan(0.015);
    expect(share("failure")).toBeLessThan(0.035);
    expect(faultAt(ratesNow(), { conversation: 17, tool: "findOrder", call: 1 })).toBe(drawn[16]);
  });

  it("lasts for a conversation where it is one of those that last", () => {
    vi.stubEnv("CUSTOMER_SUPPORT_FAULTS", "timeouts=0,failures=0.5,lasting=1");
    for (let conversation = 1; conversation <= 20; conversation += 1) {
      const faults = [1, 2, 3, 4].map((nth) => faultAt(ratesNow(), { conversation, tool: "refund", call: nth }));
      expect(new Set(faults).size).toBe(1);
    }
  });

  it.each(["on", "timeouts=2", "timeout=0.1", "timeouts=0.6,failures=0.6", "seed=x"])("is refused as %s", (given) => {
    vi.stubEnv("CUSTOMER_SUPPORT_FAULTS", given);
    expect(() => ratesNow()).toThrow(/CUSTOMER_SUPPORT_FAULTS is /);
  });
});
