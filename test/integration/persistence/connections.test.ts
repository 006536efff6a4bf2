/** Connections that are cut, at any statement of anything. */
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Persistence } from "../../../src/core/ports.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { listed, put } from "./checkpoints.js";
import { runChild } from "./child.js";
import { type CutMoment, startWireProxy, type WireProxy } from "./wire-proxy.js";

describeOnPostgres("a connection that is cut", () => {
  let database: TestDatabase;
  let proxy: WireProxy;
  let persistence: Persistence;
  let saver: BaseCheckpointSaver;

  let direct: pg.Client;
  let countRows: string;

  beforeAll(async () => {
    database = await createDatabase();
    proxy = await startWireProxy(database.url);
    persistence = openPersistence(proxy.url, { maxConnections: 2 });
    saver = persistence.checkpointer;
    await persistence.ready();
    direct = new pg.Client({ connectionString: database.url });
    await direct.connect();
    const tables = await direct.query("select tablename from pg_tables where schemaname = 'public'");
    const counts = tables.rows.map(({ tablename }) => `(select count(*) from public."${tablename}")`);
    countRows = `select (${counts.join(" + ")})::int as rows`;
  });
  afterAll(async () => {
    await direct.end();
    await persistence.close();
    await proxy.close();
    await database.drop();
  });

  /** How many rows there are in all tables. */
  const rowsStored = async () => Number((await direct.query(countRows)).rows[0].rows);

  const moments: readonly CutMoment[] = ["statement", "reply", "half of the reply"];

  /** Runs the operation unbroken, and then once for every place where it can be cut. */
  async function cutEverywhere(name: string, operation: (label: string) => Promise<void>): Promise<void> {
    await operation(`${name} unbroken, and connected`);
    proxy.cutAt(0);
    const rowsBefore = await rowsStored();
    await operation(`${name} unbroken`);
    const { statements } = proxy;
    const rowsOfOne = (await rowsStored()) - rowsBefore;
    expect(statements).toBeGreaterThan(0);
    for (let n = 1; n <= statements; n += 1) {
      for (const moment of moments) {
        const { cuts } = proxy;
        const rows = await rowsStored();
        const label = `${name} cut at the ${moment} of ${n}`;
        proxy.cutAt(n, moment);
        await operation(label);
        expect(proxy.cuts, label).toBe(cuts + 1);
        expect((await rowsStored()) - rows, `rows of ${label}`).toBe(rowsOfOne);
      }
    }
  }

  it("ends the process of the stock saver in the middle of a put, and is survived by ours at every statement", {
    timeout: 120_000,
  }, async () => {
    const stock = runChild("./put-under-cuts.child.ts", ["stock", database.url]);
    const ours = runChild("./put-under-cuts.child.ts", ["ours", database.url]);
    const died = await stock.ended();
    expect(died.code).not.toBe(0);
    expect(died.stderr).toMatch(/Unhandled 'error' event[\s\S]*Connection terminated unexpectedly/);

    const lines: string[] = [];
    for (let line = await ours.line(); line !== "lived"; line = await ours.line()) lines.push(line);
    expect(lines.length).toBeGreaterThanOrEqual(moments.length * 2);
    for (const [n, line] of lines.entries()) {
      const { thread, read, cuts } = JSON.parse(line);
      expect({ read, cuts }).toEqual({ read: { a: thread }, cuts: n + 1 });
    }
    expect((await ours.ended()).code).toBe(0);
  });

  it("does not fail a put, nor double it", () =>
    cutEverywhere("put", async (thread) => {
      await put(saver, thread);
      const tuples = await listed(saver, thread);
      expect(tuples.map((tuple) => tuple.checkpoint.channel_values)).toEqual([{ a: thread }]);
    }));

  it("does not fail a task's writes, nor double them", () =>
    cutEverywhere("writes", async (thread) => {
      const next = await put(saver, thread);
      await saver.putWrites(
        next,
        [
          ["a", 1],
          ["b", thread],
        ],
        "task",
        "path",
      );
      const tuple = await saver.getTuple(next);
      expect(tuple?.pendingWrites).toEqual([
        ["task", "a", 1],
        ["task", "b", thread],
      ]);
    }));

  it("does not fail a thread's deletion, nor what the other stores do", () =>
    cutEverywhere("stores", async (thread) => {
      await persistence.threads.record({ threadId: thread, status: "failed" });
      expect(await persistence.threads.get(thread)).toMatchObject({ status: "failed" });
      await saver.deleteThread(thread);
      expect(await persistence.threads.get(thread)).toBeUndefined();
    }));

  it("does not fail the making of the tables", async () => {
    const opened: Persistence[] = [];
    const makeTables = async (schema: string) => {
      const made = openPersistence(proxy.url, { schema, maxConnections: 1 });
      opened.push(made);
      await made.ready();
      await put(made.checkpointer, "first");
      expect(await listed(made.checkpointer, "first")).toHaveLength(1);
    };
    proxy.cutAt(0);
    const counting = openPersistence(proxy.url, { schema: "unbroken" });
    await counting.ready();
    await counting.close();
    const { statements } = proxy;
    const middle = [1, 2, 3].map((quarter) => Math.round((statements * quarter) / 4));
    for (const [n, moment] of [
      [1, "statement"],
      [2, "reply"],
      ...middle.map((n) => [n, "half of the reply"] as const),
      [statements, "statement"],
      [statements, "reply"],
    ] as const) {
      const { cuts } = proxy;
      proxy.cutAt(n, moment);
      await makeTables(`cut ${moment} ${n}`);
      expect(proxy.cuts).toBe(cuts + 1);
    }
    for (const made of opened) await made.close();
  });

  it("is not needed to lose a prepared statement: one that a pooler forgot is run without a name", async () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 1 });
    const pooled = openPersistence({ pool });
    for (const thread of ["prepared", "forgotten", "forgotten again"]) {
      await put(pooled.checkpointer, thread);
      expect(await listed(pooled.checkpointer, thread)).toHaveLength(1);
      await pool.query("deallocate all");
    }
    await pooled.close();
    await pool.end();
  });

  it("is not what an error of another kind is taken for: it is reported at once, with its SQLSTATE", async () => {
    await direct.query(`create function public.full_disk() returns trigger language plpgsql as
         $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
       create trigger full_disk before insert on public.checkpoints
         for each row when (new.thread_id = 'no room') execute function public.full_disk()`);
    const others = Array.from({ length: 20 }, (_, n) => `beside the one without room ${n}`);
    const [refused, ...stored] = await Promise.allSettled(["no room", ...others].map((thread) => put(saver, thread)));
    expect(refused).toMatchObject({ status: "rejected", reason: { code: "53100" } });
    expect(stored.filter(({ status }) => status === "rejected")).toEqual([]);
    for (const thread of others) expect(await listed(saver, thread)).toHaveLength(1);

    const role = `lgr_reader_${process.pid}`;
    await direct.query(`create role ${role} login; grant select on all tables in schema public to ${role};
       grant usage on schema public to ${role}`);
    const url = new URL(proxy.url);
    url.username = role;
    const readOnly = openPersistence(url.href);
    await expect(put(readOnly.checkpointer, "not mine")).rejects.toMatchObject({ code: "42501" });
    expect(await listed(readOnly.checkpointer, others[0] ?? "")).toHaveLength(1);
    await readOnly.close();
    await direct.query(`drop owned by ${role}; drop role ${role}`);
  });
});
