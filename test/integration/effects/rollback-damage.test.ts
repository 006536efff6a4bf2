/** What a rollback does about checkpoints that are damaged. */
import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { Persistence } from "../../../src/core/ports.js";
import { rollback } from "../../../src/langgraph/rollback/rollback.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { doing, newDeeds } from "./deeds.js";

const deeds = newDeeds();
const { log } = deeds;

describeOnPostgres("a rollback of a thread with damaged checkpoints", () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let current: Persistence;
  const opened: Persistence[] = [];
  /** With nothing remembered of what was stored before. */
  const reopen = () => {
    current = openPersistence(database.url);
    opened.push(current);
  };
  beforeAll(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 2 });
  });
  beforeEach(() => {
    deeds.reset();
    reopen();
  });
  afterAll(async () => {
    for (const persistence of opened) await persistence.close();
    await pool.end();
    await database.drop();
  });

  const { does, chain } = doing(deeds, () => current);
  const shop = () => chain({ order: does("order"), charge: does("charge"), ship: does("ship") });
  /** So many back from the head. */
  const damage = async (threadId: string, back: number): Promise<string> => {
    const ids =
      "select checkpoint_id from checkpoints where thread_id = $1 order by checkpoint_id desc offset $2 limit 1";
    const { rows } = await pool.query(
      `update checkpoints set type = replace(type, 'lgr1 ', 'lgr1  ')
       where thread_id = $1 and checkpoint_id = (${ids}) returning checkpoint_id`,
      [threadId, back],
    );
    reopen();
    return rows[0].checkpoint_id;
  };

  it("goes to the last sound one, undoes what was done since, and goes on from there", async () => {
    const { threadId } = await runThread(shop(), {}, { threadId: "head" });
    await damage(threadId, 0);
    const graph = shop();
    expect(await rollback(graph, "head", { scope: "session" })).toMatchObject({
      outcome: "done",
      target: { next: ["ship"] },
      undone: [{ effect: "ship" }],
    });
    expect(await resumeThread(graph, "head")).toMatchObject({
      status: "succeeded",
      values: { done: ["order", "charge", "ship"] },
    });
    expect(log).toEqual(["order", "charge", "ship", "undo ship", "ship"]);
  });

  it("refuses a damaged target before anything is undone", async () => {
    const { threadId } = await runThread(shop(), {}, { threadId: "target" });
    const damaged = await damage(threadId, 2);
    for (const to of [{ checkpoint: damaged }, { steps: 2 }, { before: "charge" }])
      await expect(rollback(shop(), "target", { to })).rejects.toMatchObject({ code: "CHECKPOINT_CORRUPT" });
    expect(log).toEqual(["order", "charge", "ship"]);
  });
});
