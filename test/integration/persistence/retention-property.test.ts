/** Whatever retention keeps of a thread reads back exactly as before, and so does what the graph makes of it. */
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createSqlRetention, type SqlRetention } from "../../../src/persistence/retention/sql-retention.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { full } from "../../support/depth.js";
import { expectSame } from "./model-based/exact.js";
import { anyHistory, EVERYTHING, type HistoryCommand, runHistory } from "./model-based/history.js";
import { ours } from "./model-based/subjects.js";
import type { Subject } from "./model-based/tee-saver.js";
import { tour } from "./model-based/tour.js";
import { keyOf, tuplesOf, viewOf } from "./retention-view.js";

interface Rule {
  readonly keepLast: number;
  /** Which checkpoints are pinned, counted from the newest. */
  readonly pins: readonly number[];
}

describeOnPostgres("after pruning", () => {
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

  for (const compatible of [false, true]) {
    const format = compatible ? "stock's format" : "this package's format";
    const schema = compatible ? "compatible" : "native";
    let subject: Subject;
    let retention: SqlRetention;
    const check = async (commands: readonly HistoryCommand[], rule: Rule): Promise<number> => {
      await runOn(subject, commands);
      let gone = 0;
      for (const threadId of await threadIds(subject)) {
        gone += await pruneAndCompare(subject, retention, threadId, rule, () => age(pool, schema));
        await subject.writer().deleteThread(threadId);
      }
      return gone;
    };

    it(`what is left of threads in ${format} reads back as before`, { timeout: 120_000 }, async () => {
      subject = await ours(`ours in ${format}`, pool, schema, { compatible, keepThreads: true });
      retention = createSqlRetention(async () => pool, schema, false);
      expect(await check(tour, { keepLast: 3, pins: [20] })).toBeGreaterThan(10);
      const rules = fc.record({
        keepLast: fc.integer({ min: 1, max: 6 }),
        pins: fc.array(fc.nat(40), { maxLength: 2 }),
      });
      await fc.assert(
        fc.asyncProperty(
          anyHistory(EVERYTHING, { minLength: 3 }),
          rules,
          async (commands, rule) => void (await check(commands, rule)),
        ),
        { numRuns: full ? 60 : 2, ...(full ? {} : { seed: 7 }), interruptAfterTimeLimit: 60_000 },
      );
    });
  }
});

/** Whether it reads back rightly in the first place is another test's matter: nothing is compared. */
async function runOn(subject: Subject, commands: readonly HistoryCommand[]): Promise<void> {
  const done = new Error("all commands are done");
  const stop = (count: number) => {
    if (count === commands.length) throw done;
  };
  await runHistory(commands, [{ ...subject, readers: () => [] }], EVERYTHING, stop).catch((error: unknown) => {
    if (error !== done) throw error;
  });
}

async function threadIds(subject: Subject): Promise<string[]> {
  const ids = new Set<string>();
  for await (const { config } of subject.writer().list({})) ids.add(config.configurable?.thread_id);
  return [...ids];
}

let compared = 0;

/** @returns how many checkpoints went */
async function pruneAndCompare(
  subject: Subject,
  retention: SqlRetention,
  threadId: string,
  { keepLast, pins }: Rule,
  makeOld: () => Promise<void>,
): Promise<number> {
  const all = await tuplesOf(subject.writer(), threadId);
  const roots = all.filter(({ config }) => config.configurable?.checkpoint_ns === "");
  const pinned = pins.flatMap((n) => all[n % all.length] ?? []);
  for (const { checkpoint } of pinned) expect(await retention.pin(threadId, checkpoint.id)).toBe(true);
  const before = await viewOf(subject.writer(), threadId);
  await makeOld();
  const foreseen = await retention.prune({ threadId, keepLast, ttlMs: false, dryRun: true });
  const { threads } = await retention.prune({ threadId, keepLast, ttlMs: false });
  expect(threads).toEqual(foreseen.threads);
  // In turn one that has seen all of it, and one that has seen nothing.
  const readers = subject.readers();
  const after = await viewOf(readers[compared++ % readers.length] ?? subject.writer(), threadId);
  for (const tuple of [...roots.slice(0, keepLast), ...pinned])
    expect([...after.checkpoints.keys()]).toContain(keyOf(tuple));
  expect(before.checkpoints.size - after.checkpoints.size).toBe(threads[0]?.checkpoints);
  for (const [key, parts] of after.checkpoints) expectSame(subject, key, parts, before.checkpoints.get(key) ?? {});
  const { state, newest } = after.head;
  expectSame(subject, "head", state, before.head.state);
  expectSame(
    subject,
    "newest",
    newest,
    Object.fromEntries(Object.keys(newest).map((ns) => [ns, before.head.newest[ns] ?? ""])),
  );
  const again = await retention.prune({ threadId, keepLast, ttlMs: false });
  expect(again).toMatchObject({ checkpoints: 0, rows: 0 });
  return threads[0]?.checkpoints ?? 0;
}

/** As if everything had been stored long ago. */
async function age(pool: pg.Pool, schema: string): Promise<void> {
  await pool.query(`update "${schema}".lgr_objects set stored_at = stored_at - interval '1 hour'`);
}
