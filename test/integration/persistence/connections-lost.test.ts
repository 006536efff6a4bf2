/** Connections that fall silent for good, and servers that go away for a while. */
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openPersistence } from "../../../src/persistence/open.js";
import { boundedPool, withClient } from "../../../src/persistence/sql-pool.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { canStartPostgres, type PostgresServer, startPostgres } from "../../support/postgres-server.js";
import { at, listed, put } from "./checkpoints.js";
import { startWireProxy, type WireProxy } from "./wire-proxy.js";

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

  it("in the middle of connecting holds up stock for as long as it likes", async () => {
    proxy.freeze();
    const reading = new PostgresSaver(pool).getTuple(at("none")).catch((error: unknown) => error);
    const still = new Promise((resolve) => setTimeout(resolve, 1_000, "still waiting"));
    expect(await Promise.race([reading, still])).toBe("still waiting");
    proxy.thaw();
    // It has no tables yet, and says so now.
    expect(await reading).toMatchObject({ code: "42P01" });
  });

  it("in the middle of connecting is given up by ours, and goes to the pool if it comes after all", async () => {
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
    timeout: 120_000,
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
