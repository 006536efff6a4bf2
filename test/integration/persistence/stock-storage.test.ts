/** What the stock PostgresSaver costs and loses in what it stores: each case shows that it does, and that ours does not. */
import { randomBytes } from "node:crypto";
import { AIMessage } from "@langchain/core/messages";
import { DeltaValue, END, MessagesAnnotation, START, StateGraph, StateSchema } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { ResilientPostgresSaver } from "../../../src/persistence/saver.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { startWireProxy, type WireProxy } from "./wire-proxy.js";

const at = (threadId: string) => ({ configurable: { thread_id: threadId } });

/** A list to which updates are appended, kept as the updates alone. */
const Appended = new StateSchema({
  list: new DeltaValue(
    z.array(z.string()).default(() => []),
    {
      inputSchema: z.array(z.string()),
      reducer: (list: string[], updates: string[][]) => [...list, ...updates.flat()],
      snapshotFrequency: 1000,
    },
  ),
});

describeOnPostgres("what the stock PostgresSaver stores", () => {
  let database: TestDatabase;
  let proxy: WireProxy;
  let stock: PostgresSaver;
  let ours: ResilientPostgresSaver;

  beforeAll(async () => {
    database = await createDatabase();
    proxy = await startWireProxy(database.url);
    stock = PostgresSaver.fromConnString(proxy.url);
    ours = ResilientPostgresSaver.fromConnString(proxy.url);
    await ours.setup();
  });
  afterAll(async () => {
    await Promise.all([stock.end(), ours.end()]);
    await proxy.close();
    await database.drop();
  });

  const statementsOf = async (work: () => Promise<unknown>) => {
    proxy.cutAt(0);
    await work();
    return proxy.statements;
  };
  const query = async (sql: string, values?: unknown[]) => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      return (await client.query(sql, values)).rows;
    } finally {
      await client.end();
    }
  };
  /** All rows of all tables, in the bytes of their text. */
  const storedBytes = async () => {
    const tables = await query("select tablename from pg_tables where schemaname = 'public'");
    const sums = tables.map(
      ({ tablename }) => `(select coalesce(sum(octet_length(t::text)), 0) from "${tablename}" t)`,
    );
    const [row] = await query(`select (${sums.join(" + ")})::int as bytes`);
    return Number(row.bytes);
  };

  it("takes a round trip for each row; ours one for what a step reports at once", async () => {
    const run = (checkpointer: BaseCheckpointSaver, thread: string) =>
      new StateGraph(z.object({ text: z.string() }))
        .addNode("a", () => ({ text: "a" }))
        .addNode("b", () => ({ text: "b" }))
        .addNode("c", () => ({ text: "c" }))
        .addEdge(START, "a")
        .addEdge("a", "b")
        .addEdge("b", "c")
        .addEdge("c", END)
        .compile({ checkpointer })
        .invoke({ text: "" }, at(thread));
    expect(await statementsOf(() => run(stock, "statements stock"))).toBeGreaterThan(40);
    expect(await statementsOf(() => run(ours, "statements ours"))).toBeLessThanOrEqual(12);
  });

  it("reads a delta channel with a statement for each step; ours with three at most", async () => {
    const steps = 30;
    const read = async (checkpointer: BaseCheckpointSaver, thread: string) => {
      const graph = new StateGraph(Appended)
        .addNode("add", ({ list }) => ({ list: [`entry ${list.length}`] }))
        .addEdge(START, "add")
        .addConditionalEdges("add", ({ list }) => (list.length < steps ? "add" : END))
        .compile({ checkpointer });
      await graph.invoke({ list: [] }, { ...at(thread), recursionLimit: steps + 5 });
      return statementsOf(async () => {
        const { values } = await graph.getState(at(thread));
        expect(values.list).toHaveLength(steps);
      });
    };
    expect(await read(stock, "delta stock")).toBeGreaterThan(steps);
    expect(await read(ours, "delta ours")).toBeLessThanOrEqual(3);
  });

  it("orders what parallel nodes wrote by chance; ours as the run had it", async () => {
    const differing = async (checkpointer: BaseCheckpointSaver, name: string) => {
      const graph = new StateGraph(Appended)
        .addNode("a", () => ({ list: ["a"] }))
        .addNode("b", () => ({ list: ["b"] }))
        .addNode("c", () => ({ list: ["c"] }))
        .addEdge(START, "a")
        .addEdge(START, "b")
        .addEdge(START, "c")
        .compile({ checkpointer });
      const threads = Array.from({ length: 20 }, (_, n) => `${name} ${n}`);
      const differ = await Promise.all(
        threads.map(async (thread) => {
          const live = await graph.invoke({ list: [] }, at(thread));
          const { values } = await graph.getState(at(thread));
          return JSON.stringify(values.list) !== JSON.stringify(live.list);
        }),
      );
      return differ.filter(Boolean).length;
    };
    expect(await differing(stock, "order stock")).toBeGreaterThan(0);
    expect(await differing(ours, "order ours")).toBe(0);
  });

  it("grows with every turn of a chat by all that was said before; ours by the turn", async () => {
    const bytesOfTurns = async (checkpointer: BaseCheckpointSaver, thread: string) => {
      const graph = new StateGraph(MessagesAnnotation)
        .addNode("reply", () => ({ messages: [new AIMessage(randomBytes(500).toString("hex"))] }))
        .addEdge(START, "reply")
        .compile({ checkpointer });
      const turns = async (count: number) => {
        const before = await storedBytes();
        for (let turn = 0; turn < count; turn += 1) {
          const said = randomBytes(500).toString("hex");
          await graph.invoke({ messages: [{ role: "user", content: said }] }, at(thread));
        }
        return (await storedBytes()) - before;
      };
      return { early: await turns(10), later: [await turns(10), await turns(10)] as const };
    };
    const content = 10 * 2 * 1000;
    const ofStock = await bytesOfTurns(stock, "chat stock");
    expect(ofStock.later[1] / ofStock.early).toBeGreaterThan(3);
    const ofOurs = await bytesOfTurns(ours, "chat ours");
    expect(ofOurs.later[1] / ofOurs.later[0]).toBeLessThan(1.2);
    expect(ofOurs.later[1] / content).toBeLessThan(3);
  });

  it("is read wrong and without a word when a row of it is gone; ours says which checkpoint is damaged", async () => {
    const long = randomBytes(2_000).toString("hex");
    const run = async (checkpointer: BaseCheckpointSaver, thread: string) => {
      const graph = new StateGraph(z.object({ text: z.string() }))
        .addNode("a", () => ({ text: long }))
        .addEdge(START, "a")
        .compile({ checkpointer });
      await graph.invoke({ text: "" }, at(thread));
      return () => graph.getState(at(thread));
    };
    const readStock = await run(stock, "gone stock");
    await query("delete from checkpoint_blobs where thread_id = $1 and channel = 'text'", ["gone stock"]);
    expect((await readStock()).values).toEqual({});

    const before = new Set((await query("select hash::text from lgr_objects")).map(({ hash }) => hash));
    await run(ours, "gone ours");
    const added = (await query("select hash::text from lgr_objects")).filter(({ hash }) => !before.has(hash));
    expect(added.length).toBeGreaterThan(0);
    await query("delete from lgr_objects where hash::text = any($1)", [added.map(({ hash }) => hash)]);
    // Another saver, as another process would have: this one may remember what it wrote.
    const later = ResilientPostgresSaver.fromConnString(database.url);
    await expect(later.getTuple(at("gone ours"))).rejects.toMatchObject({
      code: "CHECKPOINT_CORRUPT",
      details: { threadId: "gone ours" },
    });
    await later.end();
  });
});
