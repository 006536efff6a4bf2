/** `lgr rollback` on a project whose steps change the outside world, each command in a process of its own. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createDatabase, createFolder, describeThoroughlyOnPostgres, type TestDatabase } from "../support/databases.js";
import { runLgr, SHOP } from "../support/run-lgr.js";

describeThoroughlyOnPostgres("lgr rollback", () => {
  let database: TestDatabase;
  const folder = createFolder();
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(async () => {
    await database.drop();
    folder.remove();
  });

  const lgr = (...parameters: string[]) => runLgr(["--config", SHOP, "--db", database.url, ...parameters]);
  const buy = (thread: string, more: object = {}) =>
    lgr("run", "shop", "--thread", thread, "--input", JSON.stringify({ world: join(folder.path, thread), ...more }));
  const world = (thread: string) => readFileSync(join(folder.path, thread), "utf8").trim().split("\n");

  it("says what it would do, does it, and the thread goes on from there", async () => {
    expect((await buy("one")).code).toBe(0);
    const plan = await lgr("rollback", "one", "--to", "before:charge", "--dry-run");
    expect(plan.stdout).toMatch(/Would go back 1 checkpoint, to .* next: charge/);
    expect(plan.stdout).toMatch(/Would undo, in this order:\n {2}charge of charge \(\w{12}\): confirmed/);
    expect(world("one")).toEqual(["order", "charge"]);
    const done = await lgr("rollback", "one", "--to", "before:charge");
    expect(done.stdout).toMatch(/1\/1 {2}charge of charge .*: compensated\nWent back to step 1: 1 undone/);
    expect(done.code).toBe(0);
    expect((await lgr("resume", "one")).code).toBe(0);
    expect(world("one")).toEqual(["order", "charge", "undo charge", "charge"]);
  });

  it("refuses what would stay in the world, a place that is not there, and a target that is none", async () => {
    expect((await buy("two", { write: true })).code).toBe(0);
    const refused = await lgr("rollback", "two", "--to", "3");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('"letter" of node "charge": it is irreversible: nothing undoes it');
    expect(world("two")).toEqual(["order", "charge", "letter"]);
    const accepted = await lgr("--json", "rollback", "two", "--to", "2", "--accept-standing");
    expect(accepted.objects().at(-1)).toMatchObject({
      type: "rollback",
      outcome: "done",
      undone: [{ effect: "charge" }, { effect: "order" }],
      stays: [{ effect: "letter" }],
    });
    const nowhere = await lgr("rollback", "two", "--to", "before:nothing");
    expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining('before node "nothing"') });
    expect(await lgr("rollback", "two")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("say what to take back"),
    });
  });
});
