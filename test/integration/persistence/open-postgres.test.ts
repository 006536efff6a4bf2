import { randomUUID } from "node:crypto";
import { emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import pg from "pg";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ownMigrations } from "../../../src/persistence/migrations.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";

const metadata = { source: "loop" as const, step: 0, parents: {}, graph_id: "agent" };

/** The aggregates of a plan as `explain (format json)` gives it, wherever they are. */
function aggregatesOf(plan: Record<string, unknown>): Record<string, unknown>[] {
  const below = (plan.Plans as Record<string, unknown>[] | undefined) ?? [];
  return [...(plan["Node Type"] === "Aggregate" ? [plan] : []), ...below.flatMap(aggregatesOf)];
}

describeOnPostgres("openPersistence on PostgreSQL", () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database.drop());

  const query = async (sql: string) => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  };

  it("lists the threads that a stock saver wrote, with what their checkpoints tell", async () => {
    const stock = PostgresSaver.fromConnString(database.url);
    await stock.setup();
    const ids: string[] = [];
    for (const [thread, day] of [
      ["old", 1],
      ["old", 2],
      ["new", 3],
    ] as const) {
      const config = { configurable: { thread_id: thread, checkpoint_ns: "" } };
      const checkpoint = { ...emptyCheckpoint(), id: uuid6(ids.length), ts: `2026-01-0${day}T00:00:00.000Z` };
      const at = await stock.put(config, checkpoint, metadata, {});
      if (thread === "new") await stock.putWrites(at, [["__interrupt__", { value: "sure?" }]], "task");
      ids.push(checkpoint.id);
    }
    await stock.end();

    const persistence = openPersistence(database.url);
    const day = (n: number) => new Date(`2026-01-0${n}T00:00:00.000Z`);
    expect(await persistence.threads.list()).toEqual([
      {
        threadId: "new",
        graph: "agent",
        createdAt: day(3),
        updatedAt: day(3),
        checkpoints: 1,
        lastCheckpointId: ids[2],
        pending: "interrupt",
      },
      {
        threadId: "old",
        graph: "agent",
        createdAt: day(1),
        updatedAt: day(2),
        checkpoints: 2,
        lastCheckpointId: ids[1],
      },
    ]);
    await persistence.threads.record({ threadId: "old", name: "adopted" });
    expect(await persistence.threads.findByName("adopted")).toMatchObject({ threadId: "old", checkpoints: 2 });
    await persistence.close();
  });

  it("counts the checkpoints of those threads only that it lists", async () => {
    const pool = new pg.Pool({ connectionString: database.url });
    const asked: { text: string; values?: unknown[] }[] = [];
    const persistence = openPersistence({
      pool: {
        on: () => {},
        end: () => pool.end(),
        connect: async () => {
          const client = await pool.connect();
          return {
            release: (destroy) => client.release(destroy),
            query: async <R extends object>(text: string, values?: unknown[]) => {
              asked.push({ text, ...(values === undefined ? {} : { values }) });
              return (await client.query(text, values)) as { rows: R[] };
            },
          };
        },
      },
    });
    for (let n = 0; n < 20; n += 1) {
      const config = { configurable: { thread_id: `t${n}`, checkpoint_ns: "" } };
      await persistence.checkpointer.put(config, { ...emptyCheckpoint(), id: uuid6(n) }, metadata, {});
      if (n % 2 === 0) await persistence.threads.record({ threadId: `t${n}`, status: "failed" });
    }
    for (const filter of [{}, { graph: "agent" }, { status: "failed" as const }]) {
      const shown = await persistence.threads.list({ ...filter, limit: 3 });
      expect(shown).toHaveLength(3);
      expect(shown.map((thread) => thread.updatedAt.getTime())).toEqual(
        shown.map((thread) => thread.updatedAt.getTime()).sort((a, b) => b - a),
      );
      const { text = "", values } = asked.at(-1) ?? {};
      const plan = (await pool.query(`explain (analyze, verbose, format json) ${text}`, values)).rows[0]["QUERY PLAN"];
      const counts = aggregatesOf(plan[0].Plan).filter((node) => /count\(\*\)/.test(String(node.Output)));
      expect(counts.length).toBeGreaterThan(0);
      expect(Math.max(...counts.map((node) => Number(node["Actual Loops"])))).toBe(3);
    }
    await persistence.close();
    await pool.end();
  });

  it("is ready in ten places at once on an empty database, each of them with one connection", async () => {
    const all = Array.from({ length: 10 }, () =>
      openPersistence(database.url, { maxConnections: 1, schema: "Agents" }),
    );
    await Promise.all(all.map((persistence) => persistence.ready()));
    await Promise.all(all.map((persistence, n) => persistence.store.put(["a"], `k${n}`, { n })));
    await Promise.all(
      all.map((persistence, n) => persistence.threads.record({ threadId: randomUUID(), name: `t${n}` })),
    );
    expect(await all[0]?.store.search(["a"], { limit: 20 })).toHaveLength(10);
    expect(await all[1]?.threads.list()).toHaveLength(10);
    await Promise.all(all.map((persistence) => persistence.close()));
    expect(await query(`select v from "Agents".lgr_migrations order by v`)).toEqual(
      ownMigrations.map((_, v) => ({ v })),
    );
  });

  it("needs no more than the right to read and write once the tables are there", async () => {
    const owner = openPersistence(database.url);
    await owner.store.listNamespaces();
    await owner.close();
    const role = `lgr_role_${randomUUID().replaceAll("-", "")}`;
    await query(`create role ${role} login;
      revoke create on schema public from public;
      grant select, insert, update, delete on all tables in schema public to ${role}`);
    const url = new URL(database.url);
    url.username = role;
    const limited = openPersistence(url.href);
    await limited.threads.record({ threadId: "a" });
    await limited.store.put(["a"], "k", { n: 1 });
    expect(await limited.threads.list()).toHaveLength(1);
    await limited.close();
    await query(`drop owned by ${role}; drop role ${role}`);
  });

  it("leaves a pool that was handed in open", async () => {
    const pool = new pg.Pool({ connectionString: database.url });
    const persistence = openPersistence({ pool, schema: "mine" });
    await persistence.threads.record({ threadId: "a" });
    await persistence.close();
    expect((await pool.query("select thread_id from mine.lgr_threads")).rows).toEqual([{ thread_id: "a" }]);
    await pool.end();
  });

  it("reports a database that does not exist before work starts, and connects once it does", async () => {
    const url = `${database.url}_later`;
    const persistence = openPersistence(url);
    await expect(persistence.ready()).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining("3D000"),
    });
    const name = new URL(url).pathname.slice(1);
    await query(`create database ${name}`);
    await persistence.ready();
    await persistence.close();
    await query(`drop database ${name} with (force)`);
  });
});
