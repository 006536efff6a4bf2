/** Connections that fail: cut at any statement, refused for a while, silent for good. */
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { type BaseCheckpointSaver, emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Persistence } from "../../../src/core/ports.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { boundedPool, withClient } from "../../../src/persistence/sql-pool.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { canStartPostgres, type PostgresServer, startPostgres } from "../../support/postgres-server.js";
import { runChild } from "./child.js";
import { type CutMoment, startWireProxy, type WireProxy } from "./wire-proxy.js";

const metadata = { source: "loop" as const, step: 0, parents: {} };
const at = (threadId: string) => ({ configurable: { thread_id: threadId, checkpoint_ns: "" } });
const put = (saver: BaseCheckpointSaver, thread: string, value: unknown = thread) =>
  saver.put(
    at(thread),
    { ...emptyCheckpoint(), id: uuid6(0), channel_values: { a: value }, channel_versions: { a: 1 } },
    metadata,
    { a: 1 },
  );

async function listed(saver: BaseCheckpointSaver, thread: string) {
  const tuples = [];
  for await (const tuple of saver.list(at(thread))) tuples.push(tuple);
  return tuples;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows ?? [];
  } finally {
    await client.end();
  }
}

/** How many rows there are in all tables of the public schema. */
async function rowsIn(url: string): Promise<number> {
  const tables = await query(url, "select tablename from pg_tables where schemaname = 'public'");
  const counts = tables.map(({ tablename }) => `(select count(*) from "${tablename}")`);
  const [row] = await query(url, `select (${counts.join(" + ")})::int as rows`);
  return Number(row?.rows);
}

describeOnPostgres("a connection that is cut", () => {
  let database: TestDatabase;
  let proxy: WireProxy;
  let persistence: Persistence;
  let saver: BaseCheckpointSaver;

  beforeAll(async () => {
    database = await createDatabase();
    proxy = await startWireProxy(database.url);
    persistence = openPersistence(proxy.url, { maxConnections: 2 });
    saver = persistence.checkpointer;
    await persistence.ready();
  });
  afterAll(async () => {
    await persistence.close();
    await proxy.close();
    await database.drop();
  });

  const moments: readonly CutMoment[] = ["statement", "reply", "half of the reply"];

  /** Runs the operation unbroken, and then once for every place where it can be cut. */
  async function cutEverywhere(name: string, operation: (label: string) => Promise<void>): Promise<void> {
    await operation(`${name} unbroken, and connected`);
    proxy.cutAt(0);
    const rowsBefore = await rowsIn(database.url);
    await operation(`${name} unbroken`);
    const { statements } = proxy;
    const rowsOfOne = (await rowsIn(database.url)) - rowsBefore;
    expect(statements).toBeGreaterThan(0);
    for (let n = 1; n <= statements; n += 1) {
      for (const moment of moments) {
        const { cuts } = proxy;
        const rows = await rowsIn(database.url);
        const label = `${name} cut at the ${moment} of ${n}`;
        proxy.cutAt(n, moment);
        await operation(label);
        expect(proxy.cuts, label).toBe(cuts + 1);
        expect((await rowsIn(database.url)) - rows, `rows of ${label}`).toBe(rowsOfOne);
      }
    }
  }

  it("ends the process of the stock saver in the middle of a put, and is survived by ours at every statement", {
    timeout: 60_000,
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

  it("is not what an error of another kind is taken for: it is reported at once, with its SQLSTATE", async () => {
    await query(
      database.url,
      `create function public.full_disk() returns trigger language plpgsql as
         $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
       create trigger full_disk before insert on public.checkpoints
         for each row when (new.thread_id = 'no room') execute function public.full_disk()`,
    );
    const others = Array.from({ length: 20 }, (_, n) => `beside the one without room ${n}`);
    const [refused, ...stored] = await Promise.allSettled(["no room", ...others].map((thread) => put(saver, thread)));
    expect(refused).toMatchObject({ status: "rejected", reason: { code: "53100" } });
    expect(stored.filter(({ status }) => status === "rejected")).toEqual([]);
    for (const thread of others) expect(await listed(saver, thread)).toHaveLength(1);

    const role = `lgr_reader_${process.pid}`;
    await query(
      database.url,
      `create role ${role} login; grant select on all tables in schema public to ${role};
       grant usage on schema public to ${role}`,
    );
    const url = new URL(proxy.url);
    url.username = role;
    const readOnly = openPersistence(url.href);
    await expect(put(readOnly.checkpointer, "not mine")).rejects.toMatchObject({ code: "42501" });
    expect(await listed(readOnly.checkpointer, others[0] ?? "")).toHaveLength(1);
    await readOnly.close();
    await query(database.url, `drop owned by ${role}; drop role ${role}`);
  });
});

describeOnPostgres("a connection that falls silent", () => {
  let database: TestDatabase;
  let proxy: WireProxy;
  let pool: pg.Pool;

  beforeEach(async () => {
    database = await createDatabase();
    proxy = await startWireProxy(database.url);
    pool = new pg.Pool({ connectionString: proxy.url, max: 3 });
  });
  afterEach(async () => {
    await proxy.close();
    await pool.end();
    await database.drop();
  });

  it("holds up no call for longer than the limit, and the pool recovers", async () => {
    const limits = { statementTimeoutMs: 400, connectTimeoutMs: 400 };
    const persistence = openPersistence({ pool: boundedPool(pool, limits) });
    const saver = persistence.checkpointer;
    await persistence.ready();
    await Promise.all(["a", "b", "c"].map((thread) => put(saver, thread)));

    proxy.freeze();
    const startedAt = performance.now();
    const calls = [
      put(saver, "d"),
      saver.getTuple(at("a")),
      listed(saver, "b"),
      persistence.threads.get("c"),
      saver.deleteThread("nobody"),
    ];
    const outcomes = await Promise.allSettled(calls);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ reason: { code: expect.stringMatching(/^(STATEMENT|CONNECT)_TIMEOUT$/) } });
    }
    // One limit for a connection, one for the statement, and what a busy machine adds.
    expect(performance.now() - startedAt).toBeLessThan(5_000);

    proxy.thaw();
    await put(saver, "d");
    const all = await Promise.all(["a", "b", "c", "d"].map((thread) => listed(saver, thread)));
    expect(all.map((tuples) => tuples.length)).toEqual([1, 1, 1, expect.any(Number)]);
    expect(all[3]?.[0]?.checkpoint.channel_values).toEqual({ a: "d" });
    expect(pool.waitingCount).toBe(0);
    await persistence.close();
  });

  it("in the middle of connecting is given up, and goes to the pool if it comes after all", async () => {
    proxy.freeze();
    const bounded = boundedPool(pool, { connectTimeoutMs: 300 });
    await expect(withClient(bounded, (client) => client.query("select 1"))).rejects.toMatchObject({
      code: "CONNECT_TIMEOUT",
    });
    const released = new Promise((resolve) => pool.once("release", resolve));
    proxy.thaw();
    await released;
    expect(pool.idleCount).toBe(1);
    expect((await withClient(bounded, (client) => client.query("select 1 as one"))).rows).toEqual([{ one: 1 }]);
    expect(pool.totalCount).toBe(1);
  });
});

describe.skipIf(!canStartPostgres())("a server that goes away", () => {
  let server: PostgresServer;

  beforeAll(async () => {
    const started = await startPostgres();
    if (started === undefined) throw new Error("PostgreSQL's binaries were there a moment ago");
    server = started;
  });
  afterAll(() => server.stop());

  const State = Annotation.Root({ done: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }) });

  it("in the middle of 200 running threads stops none of them, and nothing acknowledged is lost", {
    timeout: 60_000,
  }, async () => {
    const persistence = openPersistence(server.url);
    const saver = persistence.checkpointer;
    await persistence.ready();
    const acknowledged: { thread: string; id: string }[] = [];
    const acknowledgedWrites: { thread: string; id: string; task: string }[] = [];
    const placeOf = (config: { configurable?: Record<string, unknown> }) => ({
      thread: String(config.configurable?.thread_id),
      id: String(config.configurable?.checkpoint_id),
    });
    const [storeCheckpoint, storeWrites] = [saver.put.bind(saver), saver.putWrites.bind(saver)];
    saver.put = async (...given) => {
      const stored = await storeCheckpoint(...given);
      acknowledged.push(placeOf(stored));
      return stored;
    };
    saver.putWrites = async (...given) => {
      await storeWrites(...given);
      acknowledgedWrites.push({ ...placeOf(given[0]), task: given[2] });
    };

    const steps = ["one", "two", "three", "four"];
    let executed = 0;
    let half = () => {};
    const halfDone = new Promise<void>((resolve) => {
      half = resolve;
    });
    const node = (step: string) => async () => {
      executed += 1;
      if (executed === (200 * steps.length) / 2) half();
      return { done: [step] };
    };
    const graph = new StateGraph(State)
      .addNode("one", node("one"))
      .addNode("two", node("two"))
      .addNode("three", node("three"))
      .addNode("four", node("four"))
      .addEdge(START, "one")
      .addEdge("one", "two")
      .addEdge("two", "three")
      .addEdge("three", "four")
      .addEdge("four", END)
      .compile({ checkpointer: saver });
    const threads = Array.from({ length: 200 }, (_, n) => `thread ${n}`);
    const runs = Promise.allSettled(
      threads.map((thread) => graph.invoke({ done: [] }, { ...at(thread), durability: "sync" })),
    );
    await halfDone;
    await server.crash();
    // Longer than a wrong address is put up with.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await server.start();

    const outcomes = await runs;
    expect(outcomes.filter(({ status }) => status === "rejected")).toEqual([]);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ value: { done: steps } });
    // Each step ran once: what the crash interrupted were its reports, not the work.
    expect(executed).toBe(200 * steps.length);
    expect(acknowledged.length).toBe(200 * (steps.length + 2));

    const afresh = openPersistence(server.url);
    const stored = new Map<string, Set<string>>();
    for (const thread of threads) {
      const tuples = await listed(afresh.checkpointer, thread);
      expect(tuples).toHaveLength(steps.length + 2);
      for (const { checkpoint, pendingWrites = [] } of tuples) {
        stored.set(`${thread}/${checkpoint.id}`, new Set(pendingWrites.map(([task]) => task)));
      }
      expect(tuples[0]?.checkpoint.channel_values.done).toEqual(steps);
    }
    for (const { thread, id } of acknowledged) expect(stored.has(`${thread}/${id}`)).toBe(true);
    for (const { thread, id, task } of acknowledgedWrites) expect(stored.get(`${thread}/${id}`)).toContain(task);
    await persistence.close();
    await afresh.close();
  });

  it("does not keep close() waiting, and a put that waits for it ends with the error it waits after", async () => {
    const persistence = openPersistence(server.url);
    await put(persistence.checkpointer, "before");
    await server.crash();
    const waiting = put(persistence.checkpointer, "after");
    const outcome = expect(waiting).rejects.toMatchObject({ code: expect.stringMatching(/^(ECONN|57P)/) });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const startedAt = performance.now();
    await persistence.close();
    await outcome;
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  it("before anything was reached is reported soon", async () => {
    await server.crash();
    const persistence = openPersistence(server.url);
    const startedAt = performance.now();
    await expect(persistence.ready()).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining("ECONNREFUSED"),
    });
    expect(performance.now() - startedAt).toBeLessThan(8_000);
    await persistence.close();
  });
});
