/** The table of the audit log keeps what is in it from every program that comes to it through SQL. */
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import type { Persistence } from "../../src/core/ports.js";
import { databaseOfPersistence } from "../../src/persistence/database-of.js";
import { migrateAll } from "../../src/persistence/migrations.js";
import { type SqlPool, withClient } from "../../src/persistence/sql-pool.js";

/** Makes a schema of its own beside what is open there, and drops it again. */
export function appendOnlyContract(name: string, open: () => Persistence): void {
  it(`${name} the audit log refuses updates, deletions and truncation, and goes with its schema`, async () => {
    const persistence = open();
    const pool = (await databaseOfPersistence(persistence)?.pool()) as SqlPool;
    const run = (sql: string) => withClient(pool, async (client) => (await client.query(sql)).rows);
    const schema = `Audit ${randomUUID()}`;
    const log = `"${schema}".lgr_audit`;
    await migrateAll(pool, schema);
    const add = `insert into ${log} (id, at, by, what, entry) values ('a', now(), 'Ada', 'noted', '{}')`;
    await run(add);
    for (const [change, operation] of [
      [`update ${log} set by = 'Eve'`, "UPDATE"],
      [`update ${log} set by = 'Eve' where id = 'of none'`, "UPDATE"],
      [`${add} on conflict (id) do update set by = 'Eve'`, "UPDATE"],
      [`delete from ${log}`, "DELETE"],
      [`truncate ${log}`, "TRUNCATE"],
      [`truncate "${schema}".lgr_effects, ${log}`, "TRUNCATE"],
    ] as const)
      await expect(run(change), change).rejects.toMatchObject({
        code: "42501",
        message: `${operation} on lgr_audit is refused: the audit log is append-only`,
      });
    expect(await run(`select id, by from ${log}`)).toEqual([{ id: "a", by: "Ada" }]);
    await run(`drop schema "${schema}" cascade`);
    expect(await run(`select nspname from pg_namespace where nspname = '${schema}'`)).toEqual([]);
    await persistence.close();
  });
}
