/** The saga as its guide says it, each command in a process of its own, one of which is killed while the card is charged. */
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Books } from "../../graphs/order-saga/shop/books.js";
import { createDatabase, createFolder, describeThoroughlyOnPostgres, type TestDatabase } from "../support/databases.js";
import { runLgr, startLgr } from "../support/run-lgr.js";

describeThoroughlyOnPostgres("lgr run order-saga", () => {
  let database: TestDatabase;
  const folder = createFolder();
  beforeAll(async () => {
    database = await createDatabase();
    vi.stubEnv("ORDER_SAGA_FOLDER", folder.path);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await database.drop();
    folder.remove();
  });
  const whats = () => Books.read(join(folder.path, "shop.jsonl")).bookings.map(({ what }) => what);

  it("goes on after a kill -9 in the middle of the charge, and does each thing once", async () => {
    vi.stubEnv("ORDER_SAGA_FAULT", "charge-slow");
    const child = startLgr(["--db", database.url, "run", "order-saga", "--thread", "order-17"]);
    child.stdout?.resume();
    await vi.waitFor(() => expect(whats()).toContain("charges"), { timeout: 60_000 });
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(whats()).toEqual(["orders", "charges"]);

    vi.stubEnv("ORDER_SAGA_FAULT", undefined);
    const lgr = (...parameters: string[]) => runLgr(["--db", database.url, ...parameters]);
    expect(await lgr("resume", "order-17", "--wait")).toMatchObject({ code: 0 });
    expect(whats()).toEqual(["orders", "charges", "mails"]);
    expect(await lgr("rollback", "order-17", "--to", "before:charge")).toMatchObject({ code: 0 });
    expect(whats()).toEqual(["orders", "charges", "mails", "mails", "refunds"]);
  });
});
