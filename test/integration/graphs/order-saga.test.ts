/** The whole graph as users run it, on memory, with the bundled provider and the bundled shop, both over HTTP. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type Booking, Books } from "../../../graphs/order-saga/shop/books.js";
import { startShop } from "../../../graphs/order-saga/shop/server.js";
import {
  listEffects,
  openPersistence,
  planRollback,
  type ResilienceEvent,
  type RunResult,
  resumeThread,
  rollback,
  runThread,
} from "../../../src/index.js";

let folder: string;
let builder: typeof import("../../../graphs/order-saga/graph.js")["builder"];
beforeAll(async () => {
  vi.stubEnv("DATABASE_URL", "memory:");
  ({ builder } = await import("../../../graphs/order-saga/graph.js"));
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "order-saga-"));
  for (const name of ["OPENAI_API_KEY", "OPENAI_BASE_URL", "ORDER_SAGA_FAULT", "ORDER_SAGA_SHOP_URL"])
    vi.stubEnv(name, undefined);
  vi.stubEnv("ORDER_SAGA_FOLDER", folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));
afterAll(() => vi.unstubAllEnvs());

const THREAD = "order-17";
const order = {
  customer: { name: "Bea", mail: "bea@example.com" },
  items: [{ sku: "tea", quantity: 3, cents: 790 }],
};

function opened() {
  const { checkpointer } = openPersistence("memory:");
  const graph = builder.compile({ checkpointer, name: "order-saga" });
  const events: ResilienceEvent[] = [];
  const onEvent = (event: ResilienceEvent) => void events.push(event);
  return {
    graph,
    run: (input: object = order) => runThread(graph, input as never, { threadId: THREAD, onEvent }),
    resume: (decision?: object) => resumeThread(graph, THREAD, decision as never, { onEvent }),
    failures: () =>
      events.flatMap((event) => (event.type === "attempt.failed" ? [`${event.node}: ${event.report.category}`] : [])),
    degradedTo: () => events.flatMap((event) => (event.type === "fallback.started" ? [event.step] : [])),
    ledger: async () => (await listEffects(graph, THREAD)).map(({ effect, state }) => `${effect} ${state}`),
  };
}
const bookings = (): readonly Booking[] => Books.read(join(folder, "shop.jsonl")).bookings;
const whats = () => bookings().map(({ what }) => what);
const mailed = () => bookings().flatMap((one) => (one.what === "mails" ? [one.request] : []));
const values = (result: RunResult) =>
  result.values as {
    order: { id: string; cents: number; standIn: boolean };
    payment: { id: string; cents: number };
    confirmation: { subject: string; text: string; writtenBy: string };
    mail: { id: string };
  };

describe("an order", () => {
  it("is created, charged and confirmed, each once, and the answers say that the shop is a stand-in", async () => {
    const { run, failures } = opened();
    const result = await run();
    expect(result.status).toBe("succeeded");
    expect(failures()).toEqual([]);
    expect(whats()).toEqual(["orders", "charges", "mails"]);
    const { order: placed, payment, confirmation } = values(result);
    expect(placed).toMatchObject({ cents: 2370, standIn: true });
    expect(payment).toMatchObject({ id: bookings()[1]?.id, cents: 2370 });
    expect(confirmation).toMatchObject({ writtenBy: "model", subject: `Your order ${placed.id} is confirmed` });
    expect(confirmation.text).toMatch(/Dear Bea[\s\S]*23\.70[\s\S]*no language model was asked/);
    expect(mailed()).toEqual([{ to: "bea@example.com", subject: confirmation.subject, text: confirmation.text }]);
  });

  it("is a sample one where nothing is given", async () => {
    expect((await opened().run({})).status).toBe("succeeded");
    expect(mailed()).toMatchObject([{ to: "ada@example.com" }]);
  });

  it("is refused before anything is done where it is not whole", async () => {
    const { run, ledger } = opened();
    const result = await run({ customer: order.customer });
    expect(result).toMatchObject({ status: "failed", error: { message: expect.stringContaining("items: ") } });
    expect(whats()).toEqual([]);
    expect(await ledger()).toEqual([]);
  });

  it.each([
    ["ORDER_SAGA_FAULT", "charge-lost-replies"],
    ["ORDER_SAGA_SHOP_URL", "shop.example.com"],
  ])("is refused before anything is done where %s is none", async (name, value) => {
    vi.stubEnv(name, value);
    const { run, ledger } = opened();
    const { status, error } = await run();
    expect([status, error?.message]).toEqual(["failed", expect.stringContaining(`${name} is `)]);
    expect(await ledger()).toEqual([]);
  });

  it("is confirmed in fixed words where the model's mail lacks what it has to name", async () => {
    const { startFaultyProvider } = await import("../../../src/entries/chaos.js");
    const provider = await startFaultyProvider({ answer: () => "Thanks for nothing in particular." });
    vi.stubEnv("OPENAI_API_KEY", "any");
    vi.stubEnv("OPENAI_BASE_URL", provider.baseUrl);
    try {
      const { run, degradedTo } = opened();
      const { status, values: end } = await run();
      expect(status).toBe("succeeded");
      expect(degradedTo()).toEqual(["template"]);
      expect(end).toMatchObject({ confirmation: { writtenBy: "template" } });
      expect(mailed()[0]?.text).toContain("23.70");
    } finally {
      await provider.close();
    }
  });

  it("goes to the shop that ORDER_SAGA_SHOP_URL names", async () => {
    const journal = join(folder, "elsewhere.jsonl");
    const shop = await startShop({ journal });
    vi.stubEnv("ORDER_SAGA_SHOP_URL", `${shop.url}/`);
    try {
      expect((await opened().run()).status).toBe("succeeded");
      expect(Books.read(journal).bookings).toHaveLength(3);
      expect(whats()).toEqual([]);
    } finally {
      await shop.close();
    }
  });
});

describe("what goes wrong", () => {
  it("a reply that is lost after the charge: the probe finds it, and there is exactly one", async () => {
    vi.stubEnv("ORDER_SAGA_FAULT", "charge-lost-reply");
    const { graph, run, failures, ledger } = opened();
    const result = await run();
    expect(result.status).toBe("succeeded");
    expect(failures()).toEqual(["charge: network"]);
    expect((await listEffects(graph, THREAD)).find(({ effect }) => effect === "charge")?.calls).toBe(1);
    expect(whats()).toEqual(["orders", "charges", "mails"]);
    expect(values(result).payment.id).toBe(bookings()[1]?.id);
    expect(await ledger()).toEqual(["createOrder confirmed", "charge confirmed", "confirm confirmed"]);
  });

  it("a declined card stops at a person, who gives another", async () => {
    const { run, resume, failures } = opened();
    const asked = await run({ ...order, card: "tok_declined" });
    expect(asked.status).toBe("waiting_human");
    expect(failures()).toEqual(["charge: quota"]);
    expect(asked.waitingFor[0]?.request).toMatchObject({
      node: "charge",
      failure: { status: 402 },
      effects: [{ effect: "createOrder" }, { effect: "charge", state: "failed" }],
    });
    expect(whats()).toEqual(["orders"]);
    const done = await resume({ action: "adjust", state: { card: "tok_visa" } });
    expect(done.status).toBe("succeeded");
    expect(whats()).toEqual(["orders", "charges", "mails"]);
  });

  it("mail that is down stops at a person, and the mail is sent once when it is up again", async () => {
    vi.stubEnv("ORDER_SAGA_FAULT", "mail-down");
    const { run, resume, ledger } = opened();
    expect((await run()).status).toBe("waiting_human");
    expect(await ledger()).toEqual(["createOrder confirmed", "charge confirmed", "confirm unknown"]);
    vi.stubEnv("ORDER_SAGA_FAULT", undefined);
    expect((await resume({ action: "retry" })).status).toBe("succeeded");
    expect(whats()).toEqual(["orders", "charges", "mails"]);
  });
});

describe("a rollback to before the charge", () => {
  it("is what a person may decide where the mail cannot be sent: refunded, charged and confirmed anew", async () => {
    vi.stubEnv("ORDER_SAGA_FAULT", "mail-down");
    const { run, resume, ledger } = opened();
    const asked = await run();
    expect(asked.waitingFor[0]?.request).toMatchObject({
      node: "confirm",
      rollback: { doubtful: [{ effect: "confirm" }] },
    });
    vi.stubEnv("ORDER_SAGA_FAULT", undefined);
    const done = await resume({ action: "rollback", to: { before: "charge" }, by: "ada" });
    expect(done.status).toBe("succeeded");
    expect(whats()).toEqual(["orders", "charges", "refunds", "charges", "mails"]);
    expect(await ledger()).toEqual([
      "createOrder confirmed",
      "charge compensated",
      "confirm failed",
      "charge confirmed",
      "confirm confirmed",
    ]);
  });

  it("takes the mail back by another, refunds, leaves the order, and a resume charges under a new key", async () => {
    const { graph, run, resume, ledger } = opened();
    const first = values(await run());
    const plan = await planRollback(graph, THREAD, { to: { before: "charge" } });
    expect(plan.undo.map(({ effect }) => effect)).toEqual(["confirm", "charge"]);
    expect(plan.stays).toEqual([]);
    expect(whats()).toEqual(["orders", "charges", "mails"]);

    expect(await rollback(graph, THREAD, { to: { before: "charge" } })).toMatchObject({ outcome: "done" });
    expect(whats()).toEqual(["orders", "charges", "mails", "mails", "refunds"]);
    expect(mailed()[1]).toMatchObject({
      to: "bea@example.com",
      subject: `Sorry, please disregard: ${first.confirmation.subject}`,
    });
    expect(bookings().at(-1)).toMatchObject({ request: { chargeId: first.payment.id }, cents: 2370 });
    expect(await ledger()).toEqual(["createOrder confirmed", "charge compensated", "confirm compensated"]);

    const again = await resume();
    expect(again.status).toBe("succeeded");
    expect(whats().slice(5)).toEqual(["charges", "mails"]);
    expect(values(again).order).toEqual(first.order);
    const keys = bookings().flatMap(({ what, key }) => (what === "charges" ? [key] : []));
    expect(new Set(keys).size).toBe(2);
  });

  it("looks up a charge that nobody knows of, and gives it back", async () => {
    // The charge is not answered, and then nothing is.
    const down = () => {
      if (whats().includes("charges")) throw new Error("The shop is down");
      return "charge-lost-reply" as const;
    };
    const shop = await startShop({ journal: join(folder, "shop.jsonl"), fault: down });
    vi.stubEnv("ORDER_SAGA_SHOP_URL", shop.url);
    const { graph, run, ledger } = opened();
    try {
      expect((await run()).status).toBe("waiting_human");
    } finally {
      await shop.close();
    }
    expect(await ledger()).toEqual(["createOrder confirmed", "charge unknown"]);
    vi.stubEnv("ORDER_SAGA_SHOP_URL", undefined);
    await rollback(graph, THREAD, { to: { before: "createOrder" } });
    expect(whats()).toEqual(["orders", "charges", "refunds", "cancellations"]);
    expect(await ledger()).toEqual(["createOrder compensated", "charge compensated"]);
  });
});
