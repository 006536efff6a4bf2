/** Whatever happens to threads, they read back as from MemorySaver; and the same test finds what the stock saver gets wrong. */
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../../support/databases.js";
import { Mismatch } from "./exact.js";
import { anyHistory, EVERYTHING, type HistoryKind, runHistory } from "./history.js";
import { ours, stock } from "./subjects.js";
import type { Subject } from "./tee-saver.js";

const full = process.env.LGR_TEST_DEPTH === "full";

describeOnPostgres("random histories of a graph", () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  beforeAll(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 6 });
  });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });

  it("read back as from MemorySaver", { timeout: 120_000 }, async () => {
    const subjects = [await ours("ours", pool, "native")];
    const t = Date.now();
    let n = 0;
    await fc.assert(
      fc.asyncProperty(anyHistory(EVERYTHING), async (commands) => {
        const s = Date.now();
        const passed = await runHistory(commands, subjects, EVERYTHING);
        n += 1;
        console.log(n, Date.now() - t, Date.now() - s, passed);
      }),
      { numRuns: full ? 150 : 12 },
    );
  });
});
