/** The inbox on PostgreSQL: readable for other programs, and right when a reply is lost. */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Persistence } from "../../../src/core/ports.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { guardPool } from "../../../src/persistence/sql-pool.js";
import { newAuditEntry, newInboxItem } from "../../../src/testing/samples.js";
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
      notifyAt: at + 4,
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
        notify_at: new Date(at + 4),
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

  it("notes a write whose reply was lost once, and nothing of one that was another's", async () => {
    const item = newInboxItem();
    const noteOf = (what: string) => newAuditEntry({ threadId: item.threadId, what });
    const [opened, changed, told] = [noteOf("inbox.opened"), noteOf("inbox.claimed"), noteOf("inbox.told")];
    const noted = async () => (await storesOf(beside).audit.list({ threadId: item.threadId })).map(({ id }) => id);
    const cutsBefore = proxy.cuts;
    proxy.swallowReplyTo("insert into");
    expect(await inbox().open(item, opened)).toEqual({ ...item, version: 1 });
    proxy.swallowReplyTo("update");
    expect(await inbox().change({ ...item, level: 1 }, 1, changed)).toMatchObject({ level: 1, version: 2 });
    expect(await noted()).toEqual([changed.id, opened.id]);
    await other().change({ ...item, level: 2 }, 2);
    proxy.swallowReplyTo("update");
    expect(await inbox().change({ ...item, level: 3 }, 2, told)).toBeUndefined();
    expect(await noted()).toEqual([changed.id, opened.id]);
    expect(proxy.cuts - cutsBefore).toBe(3);
  });

  it("writes neither a change nor its note where the database refuses the note", async () => {
    const item = newInboxItem();
    const tooLongForAnIndex = randomBytes(10_000).toString("hex");
    const note = newAuditEntry({ id: tooLongForAnIndex, threadId: item.threadId });
    await expect(other().open(item, note)).rejects.toMatchObject({ code: "54000" });
    expect(await other().get(item.id)).toBeUndefined();
    await other().open(item);
    await expect(other().change({ ...item, level: 1 }, 1, note)).rejects.toMatchObject({ code: "54000" });
    expect(await other().get(item.id)).toEqual({ ...item, version: 1 });
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
