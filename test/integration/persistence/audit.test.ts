/** The audit log on PostgreSQL: readable for other programs, and right when a reply is lost. That it is append-only: test/contract. */
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Persistence } from "../../../src/core/ports.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { guardPool } from "../../../src/persistence/sql-pool.js";
import { changedEffect, newAuditEntry, newEffect } from "../../../src/testing/samples.js";
import { storesOf } from "../../contract/stores-contract.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { startWireProxy } from "./wire-proxy.js";

describeOnPostgres("the audit log on PostgreSQL", () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let persistence: Persistence;
  beforeAll(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 2 });
    guardPool(pool);
    persistence = openPersistence(database.url, { maxConnections: 4 });
    await persistence.ready();
  });
  afterAll(async () => {
    await Promise.all([persistence.close(), pool.end()]);
    await database.drop();
  });

  it("has in columns what other programs look for", async () => {
    const entry = newAuditEntry({ at: 1_700_000_000_123, what: "effect.settled" });
    await storesOf(persistence).audit.append(entry);
    const { rows } = await pool.query("select id, at, by, what, thread_id, entry from lgr_audit where id = $1", [
      entry.id,
    ]);
    const { id, by, what, threadId } = entry;
    expect(rows).toEqual([{ id, at: new Date(entry.at), by, what, thread_id: threadId, entry }]);
  });

  it("has an entry once, whose reply was lost, alone or with the change of an effect", async () => {
    const proxy = await startWireProxy(database.url);
    const behind = openPersistence(proxy.url);
    try {
      await behind.ready();
      const { audit, ledger } = storesOf(behind);
      const intended = newEffect();
      const { threadId } = intended;
      const said = ["noted", "effect.approved", "effect.settled"].map((what) => newAuditEntry({ threadId, what }));
      const [alone, first, second] = said;
      if (alone === undefined) throw new Error("no entry");
      proxy.swallowReplyTo("lgr_audit");
      await audit.append(alone);
      proxy.swallowReplyTo("lgr_audit");
      expect(await ledger.move(intended, [], undefined, first)).toBe("moved");
      proxy.swallowReplyTo("lgr_audit");
      const settled = changedEffect(intended, "confirmed");
      expect(await ledger.move(settled, ["intended"], undefined, second)).toBe("moved");
      expect(await audit.list({ threadId })).toMatchObject(said.toReversed());
      expect(await ledger.list(threadId)).toMatchObject([settled]);
    } finally {
      await behind.close();
      await proxy.close();
    }
  });
});
