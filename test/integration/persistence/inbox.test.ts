/** The inbox on PostgreSQL: readable for other programs, and right when a reply is lost. */
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Persistence } from "../../../src/core/ports.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { guardPool } from "../../../src/persistence/sql-pool.js";
import { newInboxItem } from "../../../src/testing/samples.js";
import { storesOf } from "../../contract/stores-contract.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { startWireProxy, type WireProxy } from "./wire-proxy.js";

describeOnPostgres("the inbox on PostgreSQL", () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let proxy: WireProxy;
  let behind: Persistence;
  let beside: Persistence;
  beforeAll(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 2 });
    guardPool(pool);
    proxy = await startWireProxy(database.url);
    behind = openPersistence(proxy.url, { maxConnections: 2 });
    beside = openPersistence(database.url, { maxConnections: 4 });
    await Promise.all([behind.ready(), beside.ready()]);
  });
  afterAll(async () => {
    await Promise.all([behind.close(), beside.close(), pool.end()]);
    await proxy.close();
    await database.drop();
  });
  const inbox = () => storesOf(behind).inbox;
  const other = () => storesOf(beside).inbox;

  it("has in columns what other programs look for", async () => {
    const at = 1_700_000_000_123;
    const item = newInboxItem({
      graph: "shop",
      assignee: "Ada",
      claim: { by: "Eve", until: at + 1 },
      openedAt: at,
      dueAt: at + 2,
      sweepAt: at + 3,
    });
    await other().open(item);
    const { rows } = await pool.query("select * from lgr_inbox where key = $1", [item.id]);
    expect(rows).toEqual([
      {
        key: item.id,
        value: item,
        version: "1",
        marks: [expect.any(String)],
        seq: expect.any(String),
        thread_id: item.threadId,
        state: "pending",
        graph: "shop",
        node: "pay",
        kind: "intervention",
        assignee: "Ada",
        claimed_by: "Eve",
        claimed_until: new Date(at + 1),
        opened_at: new Date(at),
        due_at: new Date(at + 2),
        sweep_at: new Date(at + 3),
      },
    ]);
  });

  it("knows its own change whose reply was lost, and that of another for another's", async () => {
    const item = newInboxItem();
    proxy.swallowReplyTo("insert into");
    expect(await inbox().open(item)).toEqual({ ...item, version: 1 });
    const claimed = { ...item, claim: { by: "Ada", until: 2_000_000_000_000 } };
    proxy.swallowReplyTo("update");
    expect(await inbox().change(claimed, 1)).toEqual({ ...claimed, version: 2 });
    expect(await other().get(item.id)).toEqual({ ...claimed, version: 2 });
    expect(await other().change({ ...item, level: 1 }, 2)).toMatchObject({ version: 3 });
    proxy.swallowReplyTo("update");
    expect(await inbox().change({ ...claimed, level: 2 }, 2)).toBeUndefined();
    expect(await other().get(item.id)).toEqual({ ...item, level: 1, version: 3 });
    expect(proxy.cuts).toBe(3);
  });

  it("knows its own change whose reply was lost when another has changed the question since", async () => {
    const item = newInboxItem();
    await inbox().open(item);
    const claimed = { ...item, claim: { by: "Ada", until: 2_000_000_000_000 } };
    proxy.swallowReplyTo("update");
    const changing = inbox().change(claimed, 1);
    await expect.poll(async () => (await other().get(item.id))?.version, { interval: 1 }).toBe(2);
    await other().change({ ...claimed, level: 1 }, 2);
    expect(await changing).toEqual({ ...claimed, version: 2 });
    expect(await other().get(item.id)).toMatchObject({ level: 1, version: 3 });
  });
});
