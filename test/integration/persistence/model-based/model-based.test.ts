/** Whatever happens to threads, they read back as from MemorySaver; and the same test finds what the stock saver gets wrong. */
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openFolder } from "../../../../src/persistence/pglite-folder.js";
import type { SqlPool } from "../../../../src/persistence/sql-pool.js";
import {
  createDatabase,
  createFolder,
  describeOnPostgres,
  embeddedAt,
  type TestDatabase,
} from "../../../support/databases.js";
import { full, thorough } from "../../../support/depth.js";
import { anyHistory, EVERYTHING, type HistoryKind } from "./commands.js";
import { Mismatch } from "./exact.js";
import { runHistory } from "./history.js";
import { threadsThatDiffer } from "./parallel-delta.js";
import { anySaverHistory, runSaverHistory } from "./saver-history.js";
import { adopting, ours, stock } from "./subjects.js";
import type { Subject } from "./tee-saver.js";
import { tour } from "./tour.js";

const timeout = 120_000;
/** Before the test times out, so that what was found is told even if it is not yet the smallest case. */
/** The same histories each time, but at full depth, where others are looked for. */
const runs = (numRuns: number) => ({ numRuns, interruptAfterTimeLimit: 60_000, ...(full ? {} : { seed: 7 }) });

/** Linear, one task after the other, and with texts it can store: all that the stock saver is right about. */
const LINEAR: HistoryKind = { forks: false, parallel: false, oddTexts: false };

const histories = (kind: HistoryKind, subjects: readonly Subject[], lengths = {}) =>
  fc.asyncProperty(anyHistory(kind, lengths), async (commands) => void (await runHistory(commands, subjects, kind)));

async function expectTourToPass(subject: Subject): Promise<void> {
  const passed = await runHistory(tour, [subject], EVERYTHING);
  expect([...passed.features].sort()).toEqual([
    "delete",
    "failure",
    "interrupt",
    "refused",
    "run to its end",
    "update",
  ]);
  expect(passed.forks).toBeGreaterThan(4);
  expect(passed.namespaces).toBeGreaterThan(8);
}

describeOnPostgres("threads on PostgreSQL", () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let native: Subject;
  let compatible: Subject;
  beforeAll(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 6 });
    native = await ours("ours", pool, "native");
    compatible = await ours("ours, compatible", pool, "compatible", { compatible: true, keepThreads: true });
  });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });

  it("read back as from MemorySaver after a history that has everything in it", { timeout }, async () => {
    await expectTourToPass(native);
  });

  it("read back as from MemorySaver after random histories", { timeout }, async () => {
    await fc.assert(histories(EVERYTHING, [native]), runs(full ? 30 : 3));
  });

  it.runIf(thorough)("do so in the stock saver's format beside tables of our own", { timeout }, async () => {
    await fc.assert(histories(EVERYTHING, [compatible]), runs(full ? 12 : 1));
  });

  it.runIf(thorough)("do so where the stock saver wrote their beginning", { timeout }, async () => {
    const kind = { ...EVERYTHING, oddTexts: false };
    const subject = await adopting(pool, "adopted");
    const beginning = anyHistory(LINEAR, { minLength: 2, maxLength: 5 });
    const property = fc.asyncProperty(beginning, anyHistory(kind, { maxLength: 8 }), async (before, after) => {
      const takeOver = (done: number) => subject.takeOver(done >= before.length);
      await runHistory([...before, ...after], [subject], kind, takeOver);
    });
    await fc.assert(property, runs(full ? 12 : 1));
  });

  it("do so after random calls of the saver itself, also where branches have the same whole versions", {
    timeout,
  }, async () => {
    const kind = { wholeVersions: true, taskPaths: true };
    const property = fc.asyncProperty(anySaverHistory(kind), (commands) => runSaverHistory(commands, [native], kind));
    await fc.assert(property, runs(full ? 50 : 4));
  });

  it.runIf(thorough)("do so after random calls of the saver in the stock saver's format", { timeout }, async () => {
    const kind = { wholeVersions: false, taskPaths: false };
    const bare = await ours("ours, compatible, no tables of our own", pool, "bare", { compatible: true });
    const subject = { ...bare, valuesByVersion: false };
    const property = fc.asyncProperty(anySaverHistory(kind), (commands) => runSaverHistory(commands, [subject], kind));
    await fc.assert(property, runs(full ? 20 : 2));
  });

  it("are the same after a re-read where three nodes write one delta channel at once", { timeout }, async () => {
    const threads = full ? 200 : 40;
    const [live, stored] = native.readers();
    if (live === undefined || stored === undefined) throw new Error("There are two readers");
    expect(await threadsThatDiffer(threads, live, stored)).toBe(0);
    const saver = (await stock(pool, "stock")).writer();
    expect(await threadsThatDiffer(threads, saver, saver)).toBeGreaterThan(threads / 4);
  });

  describe("with the stock saver", () => {
    /** What the first histories of this seed find; the seed makes the test the same each time. */
    const firstFound = async (kind: HistoryKind, schema: string, numRuns: number, ignored: string[] = []) => {
      const subject = { ...(await stock(pool, schema)), ignored };
      const lengths = { minLength: 3, maxLength: 6 };
      const found = await fc.check(histories(kind, [subject], lengths), { seed: 1, numRuns, endOnFailure: true });
      const { errorInstance: error } = found;
      return error instanceof Mismatch ? error.aspect : error;
    };

    it("read back as from MemorySaver while they go straight on, one task at a time", { timeout }, async () => {
      expect(await firstFound(LINEAR, "straight", 2, ["order of writes"])).toBeNull();
    });

    it("are found to read the values of another branch after a fork", { timeout }, async () => {
      expect(await firstFound({ ...LINEAR, forks: true }, "forked", 20, ["order of writes"])).toMatch(
        /^(values|delta history)/,
      );
    });

    it("are found to read the writes of parallel tasks in another order", { timeout }, async () => {
      expect(await firstFound({ ...LINEAR, parallel: true }, "parallel", 20)).toMatch(
        /^(order of writes|delta history)/,
      );
    });
  });
});

describe("threads on the embedded Postgres", () => {
  let pool: SqlPool;
  let embedded: Subject;
  const folder = createFolder();
  beforeAll(async () => {
    embeddedAt(`${folder.path}/data`);
    pool = await openFolder(`${folder.path}/data`);
    embedded = await ours("ours, embedded", pool, "public");
  });
  afterAll(async () => {
    await pool.end();
    folder.remove();
  });

  it("read back as from MemorySaver after a history of runs", { timeout }, async () => {
    await runHistory(full ? tour : tour.slice(0, 2), [embedded], EVERYTHING);
  });

  it.runIf(thorough)("do so after random calls of the saver itself", { timeout }, async () => {
    const kind = { wholeVersions: true, taskPaths: true };
    const property = fc.asyncProperty(anySaverHistory(kind), (commands) => runSaverHistory(commands, [embedded], kind));
    await fc.assert(property, runs(full ? 8 : 1));
  });
});
