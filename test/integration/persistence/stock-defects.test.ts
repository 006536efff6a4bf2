/** What the stock PostgresSaver gets wrong: each case shows that it does, and that ours does not. */
import { AIMessage } from "@langchain/core/messages";
import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { type BaseCheckpointSaver, emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { openPersistence } from "../../../src/persistence/open.js";
import { ResilientPostgresSaver } from "../../../src/persistence/saver.js";
import type { SqlPool } from "../../../src/persistence/sql-pool.js";
import {
  createDatabase,
  createFolder,
  describeOnPostgres,
  embeddedAt,
  type TestDatabase,
  terminateConnections,
} from "../../support/databases.js";
import { runChild } from "./child.js";
import { startWireProxy, type WireProxy } from "./wire-proxy.js";

const savers = { stock: PostgresSaver, ours: ResilientPostgresSaver };
const metadata = { source: "loop" as const, step: 0, parents: {} };
const at = (threadId: string) => ({ configurable: { thread_id: threadId, checkpoint_ns: "" } });
const checkpoint = (values: Record<string, unknown> = {}) => ({
  ...emptyCheckpoint(),
  id: uuid6(0),
  channel_values: values,
  channel_versions: Object.fromEntries(Object.keys(values).map((channel) => [channel, 1])),
});

/** Like `fromConnString`, but a lost connection cannot end this process, whatever the saver does about it. */
function guardedPool(url: string, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 2, ...options });
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

describeOnPostgres("where the stock PostgresSaver is wrong", () => {
  let database: TestDatabase;
  let pool: pg.Pool;

  beforeAll(async () => {
    database = await createDatabase();
    pool = guardedPool(database.url);
    await new ResilientPostgresSaver(pool).setup();
  });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });

  const State = z.object({ text: z.string() });
  const forkAndReadBack = async (checkpointer: BaseCheckpointSaver, threadId: string) => {
    const graph = new StateGraph(State)
      .addNode("first", () => ({ text: "first branch" }))
      .addNode("second", (state) => ({ text: `${state.text}, continued` }))
      .addEdge(START, "first")
      .addEdge("first", "second")
      .addEdge("second", END)
      .compile({ checkpointer });
    const config = at(threadId);
    await graph.invoke({ text: "start" }, config);
    const history = [];
    for await (const state of graph.getStateHistory(config)) history.push(state);
    const beforeSecond = history.find((state) => state.next.includes("second"));
    if (beforeSecond === undefined) throw new Error("The history lacks the state before the second node");
    const fork = await graph.updateState(beforeSecond.config, { text: "other branch" }, "first");
    const forked = await graph.getState(fork);
    const continued = await graph.invoke(null, fork);
    const old = await graph.getState(beforeSecond.config);
    return { forked: forked.values.text, continued: continued.text, old: old.values.text };
  };

  it("forks read the values of their own branch", async () => {
    const right = { forked: "other branch", continued: "other branch, continued", old: "first branch" };
    expect(await forkAndReadBack(new PostgresSaver(pool), "fork-stock")).not.toEqual(right);
    expect(await forkAndReadBack(new ResilientPostgresSaver(pool), "fork-ours")).toEqual(right);
  });

  it("forks are right through openPersistence, too, and on the embedded Postgres", async () => {
    const folder = createFolder();
    onTestFinished(() => folder.remove());
    const right = { forked: "other branch", continued: "other branch, continued", old: "first branch" };
    for (const persistence of [
      openPersistence({ pool }),
      openPersistence(embeddedAt(`${folder.path}/data`)),
      openPersistence("memory:"),
    ]) {
      expect(await forkAndReadBack(persistence.checkpointer, "fork-opened")).toEqual(right);
      await persistence.close();
    }
  });

  const chat = (checkpointer: BaseCheckpointSaver) =>
    new StateGraph(MessagesAnnotation)
      .addNode("reply", () => ({ messages: [new AIMessage("hello")] }))
      .addEdge(START, "reply")
      .compile({ checkpointer });
  const say = (checkpointer: BaseCheckpointSaver, thread: string) =>
    chat(checkpointer).invoke({ messages: [{ role: "user", content: "hi" }] }, at(thread));

  it("each goes on with what the other wrote where ours is told to be compatible", async () => {
    const stock = new PostgresSaver(pool);
    const ours = new ResilientPostgresSaver(pool, undefined, { compatible: true });
    await say(stock, "both");
    await say(ours, "both");
    const last = await say(stock, "both");
    expect(last.messages).toHaveLength(6);
    const read = await chat(ours).getState(at("both"));
    expect(read.values.messages).toHaveLength(6);
  });

  it("ours goes on with what stock wrote, and stock refuses what it would read wrong", async () => {
    const [stock, ours] = [new PostgresSaver(pool), new ResilientPostgresSaver(pool)];
    await say(stock, "moved");
    const moved = await say(ours, "moved");
    expect(moved.messages).toHaveLength(4);
    await expect(chat(stock).getState(at("moved"))).rejects.toThrow();
    await expect(say(stock, "moved")).rejects.toThrow();
    const read = await chat(ours).getState(at("moved"));
    expect(read.values.messages).toHaveLength(4);
  });

  it("setup may be called many times at once", async () => {
    for (const [which, works] of [
      ["stock", false],
      ["ours", true],
    ] as const) {
      const fresh = await createDatabase();
      const pools = [guardedPool(fresh.url), guardedPool(fresh.url)];
      const calls = Array.from({ length: 20 }, (_, call) => new savers[which](pools[call % 2] ?? pool).setup());
      const outcomes = await Promise.allSettled(calls);
      expect(outcomes.every((outcome) => outcome.status === "fulfilled")).toBe(works);
      for (const used of pools) await used.end();
      await fresh.drop();
    }
  });

  it("NUL and half a surrogate pair are stored and read back, wherever they stand", async () => {
    const odd = "nul \0, half \ud83d, whole 😀, marker \uFDD0, escape \\u0000, \\\\u0000";
    const odder = { ...metadata, note: odd, deep: { [odd]: [odd] } };
    await expect(new PostgresSaver(pool).put(at("nul"), checkpoint(), odder, {})).rejects.toMatchObject({
      code: expect.stringMatching(/^22P0[25]$/),
    });
    const ours = new ResilientPostgresSaver(pool);
    const config = at(`nul ${odd}`);
    const next = await ours.put(
      config,
      { ...checkpoint({ [odd]: odd }), versions_seen: { [odd]: { [odd]: 1 } } },
      odder,
      {
        [odd]: 1,
      },
    );
    await ours.putWrites(next, [[odd, odd]], `task ${odd}`, odd);
    const tuple = await ours.getTuple(config);
    expect(tuple?.config).toEqual(next);
    expect(tuple?.metadata).toEqual(odder);
    expect(tuple?.checkpoint.channel_values).toEqual({ [odd]: odd });
    expect(tuple?.checkpoint.channel_versions).toEqual({ [odd]: 1 });
    expect(tuple?.checkpoint.versions_seen).toEqual({ [odd]: { [odd]: 1 } });
    expect(tuple?.pendingWrites).toEqual([[`task ${odd}`, odd, odd]]);
    const found = [];
    for await (const each of ours.list(config, { filter: { note: odd } })) found.push(each.checkpoint.id);
    expect(found).toEqual([next.configurable?.checkpoint_id]);
    await ours.deleteThread(`nul ${odd}`);
    expect(await ours.getTuple(config)).toBeUndefined();
  });

  it("a channel may have a backslash in its name", async () => {
    const put = (saver: PostgresSaver, thread: string) =>
      saver.put(at(thread), checkpoint({ "C:\\temp": "value" }), metadata, { "C:\\temp": 1 });
    await put(new PostgresSaver(pool), "backslash");
    await expect(new PostgresSaver(pool).getTuple(at("backslash"))).rejects.toMatchObject({ code: "22P02" });
    const read = await new ResilientPostgresSaver(pool).getTuple(at("backslash"));
    expect(read?.checkpoint.channel_values).toEqual({ "C:\\temp": "value" });
  });

  it("a superstep's writes come back in the order of their task paths where our own tables are", async () => {
    const written = async (saver: BaseCheckpointSaver, thread: string) => {
      const next = await saver.put(at(thread), checkpoint(), metadata, {});
      await saver.putWrites(next, [["a", "second"]], "1", "path b");
      await saver.putWrites(next, [["a", "first"]], "2", "path a");
      return (await saver.getTuple(next))?.pendingWrites?.map(([, , value]) => value);
    };
    expect(await written(new PostgresSaver(pool), "order-stock")).toEqual(["second", "first"]);
    expect(await written(openPersistence({ pool }).checkpointer, "order-ours")).toEqual(["first", "second"]);
  });

  it("special writes of one task replace each other, also within one call", async () => {
    const saver = new ResilientPostgresSaver(pool);
    const next = await saver.put(at("special"), checkpoint(), metadata, {});
    await saver.putWrites(
      next,
      [
        ["__interrupt__", 1],
        ["__interrupt__", 2],
      ],
      "task",
    );
    await saver.putWrites(
      next,
      [
        ["__interrupt__", 3],
        ["__resume__", 4],
      ],
      "task",
    );
    expect((await saver.getTuple(next))?.pendingWrites).toEqual([
      ["task", "__resume__", 4],
      ["task", "__interrupt__", 3],
    ]);
  });

  it("thousands of writes and channels at once are one transaction", async () => {
    const saver = new ResilientPostgresSaver(pool);
    const values = Object.fromEntries(Array.from({ length: 6000 }, (_, n) => [`c${n}`, n]));
    const many = checkpoint(values);
    const next = await saver.put(at("many"), many, metadata, many.channel_versions);
    await saver.putWrites(next, Object.entries(values), "task");
    const tuple = await saver.getTuple(next);
    expect(tuple?.checkpoint.channel_values).toEqual(values);
    expect(tuple?.pendingWrites).toHaveLength(6000);
  });

  it("a failing rollback does not hide the error it follows", async () => {
    const failing: SqlPool = {
      end: async () => {},
      on: () => {},
      connect: async () => ({
        query: async (text: string) => {
          if (/^rollback/i.test(text)) throw new Error("no connection to roll back on");
          if (/insert/i.test(text)) throw Object.assign(new Error("duplicate key"), { code: "23505" });
          return { rows: [] };
        },
        release: () => {},
      }),
    };
    const put = (saver: PostgresSaver, values: Record<string, unknown>) =>
      saver.put(at("rollback"), checkpoint(values), metadata, checkpoint(values).channel_versions);
    await expect(put(new PostgresSaver(failing as unknown as pg.Pool), { a: 1 })).rejects.toThrow("no connection");
    const ours = new ResilientPostgresSaver(failing);
    await expect(put(ours, { a: 1 })).rejects.toMatchObject({ code: "23505" });
    const inTransaction = Object.fromEntries(Array.from({ length: 6000 }, (_, n) => [`c${n}`, n]));
    await expect(put(ours, inTransaction)).rejects.toMatchObject({ code: "23505" });
  });

  it("a terminated idle connection does not end the process", { timeout: 60_000 }, async () => {
    for (const [which, expected] of [
      ["stock", 1],
      ["ours", 0],
    ] as const) {
      const child = runChild("./idle-connection.child.ts", [which, database.url]);
      expect(await child.line()).toBe("idle");
      await terminateConnections(database.url);
      child.process.stdin?.write("go\n");
      const { code, stderr } = await child.ended();
      expect(code, stderr).toBe(expected);
      if (which === "stock") expect(stderr).toContain("terminating connection due to administrator command");
    }
  });
});

describeOnPostgres("over a connection that breaks", () => {
  let database: TestDatabase;
  let proxy: WireProxy;
  const pools: pg.Pool[] = [];
  const throughProxy = (options?: pg.PoolConfig) => {
    const pool = guardedPool(proxy.url, options);
    pools.push(pool);
    return pool;
  };

  beforeEach(async () => {
    database = await createDatabase();
    const direct = guardedPool(database.url);
    await new ResilientPostgresSaver(direct).setup();
    await direct.end();
    proxy = await startWireProxy(database.url);
  });
  afterEach(async () => {
    for (const pool of pools.splice(0)) await pool.end();
    await proxy.close();
    await database.drop();
  });

  it("a put whose acknowledgement was lost succeeds, and is stored once", async () => {
    const stock = new PostgresSaver(throughProxy());
    proxy.swallowReplyTo("COMMIT");
    await expect(stock.put(at("lost-stock"), checkpoint({ a: 1 }), metadata, { a: 1 })).rejects.toThrow(/connection/i);

    const ours = new ResilientPostgresSaver(throughProxy());
    proxy.swallowReplyTo("insert into");
    const next = await ours.put(at("lost-ours"), checkpoint({ a: 1 }), metadata, { a: 1 });
    proxy.swallowReplyTo("insert into");
    await ours.putWrites(next, [["a", 2]], "task");
    proxy.swallowReplyTo("select");
    const tuple = await ours.getTuple(at("lost-ours"));
    expect(tuple?.checkpoint.channel_values).toEqual({ a: 1 });
    expect(tuple?.pendingWrites).toEqual([["task", "a", 2]]);
    proxy.swallowReplyTo("select");
    const all = [];
    for await (const each of ours.list(at("lost-ours"))) all.push(each);
    expect(all).toHaveLength(1);
  });

  it("a connection that no longer answers does not go back to the pool", async () => {
    for (const [which, idle] of [
      ["stock", 1],
      ["ours", 0],
    ] as const) {
      const pool = throughProxy({ query_timeout: 200 });
      const saver = new savers[which](pool);
      await saver.getTuple(at("none"));
      const release = new Promise<void>((resolve) => pool.once("release", () => resolve()));
      const put = saver.put(at("frozen"), checkpoint({ a: 1 }), metadata, { a: 1 });
      proxy.freeze();
      await expect(put).rejects.toThrow("Query read timeout");
      await release;
      expect(pool.idleCount).toBe(idle);
      await proxy.close();
      proxy = await startWireProxy(database.url);
    }
  });

  it("50 threads that write while every connection is terminated lose nothing", async () => {
    const persistence = openPersistence({ pool: throughProxy({ max: 10 }) });
    await persistence.ready();
    const writes = Array.from({ length: 50 }, async (_, n) => {
      const next = await persistence.checkpointer.put(at(`t${n}`), checkpoint({ a: n }), metadata, { a: 1 });
      await persistence.checkpointer.putWrites(next, [["a", n]], "task", "path");
    });
    await terminateConnections(database.url);
    await Promise.all(writes);
    for (const n of writes.keys()) {
      const tuple = await persistence.checkpointer.getTuple(at(`t${n}`));
      expect(tuple?.checkpoint.channel_values).toEqual({ a: n });
      expect(tuple?.pendingWrites).toEqual([["task", "a", n]]);
    }
    await persistence.close();
  });
});
