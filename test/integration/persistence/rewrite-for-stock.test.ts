/** The way back to the stock saver: what ours wrote natively reads the same from stock's own rows, by either saver. */
import { Annotation, Command, interrupt, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { type BaseCheckpointSaver, emptyCheckpoint, JsonPlusSerializer, uuid6 } from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { threadLease } from "../../../src/core/run-hold.js";
import { type RewriteProgress, rewriteForStock } from "../../../src/persistence/rewrite-for-stock.js";
import { ResilientPostgresSaver } from "../../../src/persistence/saver.js";
import { createSqlLocks } from "../../../src/persistence/sql-locks.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { full } from "../../support/depth.js";
import { anyHistory, type HistoryKind } from "./model-based/commands.js";
import { expectSame, historyParts, type Parts, tupleParts } from "./model-based/exact.js";
import { DELTA_CHANNELS } from "./model-based/graph.js";
import { runHistory } from "./model-based/history.js";
import { anySaverHistory, runSaverHistory } from "./model-based/saver-history.js";
import { ours } from "./model-based/subjects.js";
import { tour } from "./model-based/tour.js";

const timeout = 120_000;

/** Stock gives a channel of bytes back as a Buffer. */
class BytesAsTheyWere extends JsonPlusSerializer {
  override async loadsTyped(type: string, data: Uint8Array | string): Promise<unknown> {
    const value = await super.loadsTyped(type, data);
    return value instanceof Uint8Array ? new Uint8Array(value) : value;
  }
}
const bytesAsTheyWere = new BytesAsTheyWere();

const at = (threadId: string) => ({ configurable: { thread_id: threadId } });

describeOnPostgres("rewriting for the stock saver", () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  beforeAll(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 4 });
  });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });

  const open = (schema: string) => new ResilientPostgresSaver(pool, undefined, { schema });
  const stockOn = (schema: string) => new PostgresSaver(pool, undefined, { schema });
  const count = async (sql: string) => Number((await pool.query(`select count(*) as n from ${sql}`)).rows[0].n);
  const nativeRows = async (schema: string) => {
    const tables = ["lgr_objects", "lgr_writes", "lgr_write_counts", "checkpoints where type is not null"];
    const counts = await Promise.all(
      tables.map((table) => count(`"${schema}".${table.replace(" where", " as t where")}`)),
    );
    return counts.reduce((sum, n) => sum + n, 0);
  };

  /** All that a saver reads of these threads, by checkpoint. */
  async function readAll(
    saver: BaseCheckpointSaver,
    threads: readonly string[],
    channels = DELTA_CHANNELS,
  ): Promise<Map<string, Parts>> {
    const all = new Map<string, Parts>();
    for (const thread of threads) {
      for await (const tuple of saver.list(at(thread))) {
        const { config } = tuple;
        const history = await saver.getDeltaChannelHistory({ config, channels });
        const parts = { ...tupleParts(tuple, true), ...historyParts(history, true) };
        all.set(JSON.stringify(config.configurable), parts);
      }
    }
    return all;
  }

  const threadsIn = async (schema: string): Promise<string[]> => {
    const threads = new Set<string>();
    for await (const { config } of open(schema).list({})) threads.add(config.configurable?.thread_id);
    return [...threads];
  };

  function expectSameAll(name: string, actual: Map<string, Parts>, expected: Map<string, Parts>) {
    expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [key, parts] of expected) expectSame({ name }, key, actual.get(key) ?? {}, parts);
  }

  /** Stock sorts writes by their task's ID, whatever the order of the run was; and so what is rebuilt of them. */
  const inNoOrder = (all: Map<string, Parts>) =>
    new Map(
      [...all].map(([key, parts]) => {
        const plain = Object.entries(parts).filter(
          ([aspect]) => !/^(channels|delta history.*|order of writes)$/.test(aspect),
        );
        return [key, Object.fromEntries(plain)];
      }),
    );

  const kind: HistoryKind = { forks: true, parallel: true, oddTexts: false };
  let schemas = 0;
  async function expectTheWayBack(commands: Parameters<typeof runHistory>[0]): Promise<void> {
    schemas += 1;
    const schema = `back${schemas}`;
    const writing = await ours("ours", pool, schema);
    await runHistory(commands, [{ ...writing, readers: () => [writing.writer()] }], kind);
    const threads = await threadsIn(schema);
    const before = await readAll(open(schema), threads);
    const result = await rewriteForStock(pool, { schema });
    expect(result).toMatchObject({ kept: [], checkpoints: before.size });
    expect(await nativeRows(schema)).toBe(0);
    expectSameAll("ours, afterwards", await readAll(open(schema), threads), before);
    for (const thread of threads) {
      const saver = stockOn(schema);
      const newest = await saver.getTuple(at(thread));
      expectSame(
        { name: "stock" },
        "by ID",
        tupleParts(await saver.getTuple(newest?.config ?? {}), true),
        tupleParts(newest, true),
      );
    }
    expectSameAll(
      "stock",
      inNoOrder(await readAll(new PostgresSaver(pool, bytesAsTheyWere, { schema }), threads, [])),
      inNoOrder(before),
    );
  }

  it("keeps everything that a history with all kinds of things in it left, for both savers", { timeout }, async () => {
    await expectTheWayBack(full ? tour : tour.slice(0, 17));
  });

  it("keeps what random histories left", { timeout }, async () => {
    const property = fc.asyncProperty(anyHistory(kind, full ? {} : { minLength: 3, maxLength: 4 }), expectTheWayBack);
    await fc.assert(property, {
      numRuns: full ? 25 : 1,
      ...(full ? {} : { seed: 7 }),
      interruptAfterTimeLimit: 60_000,
    });
  });

  it("rewrites rightly or not at all where branches have the same version for different values", {
    timeout,
  }, async () => {
    const outcomes = { rewritten: 0, kept: 0 };
    let n = 0;
    const saverKind = { wholeVersions: true, taskPaths: true };
    const property = fc.asyncProperty(anySaverHistory(saverKind), async (commands) => {
      n += 1;
      const schema = `versions${n}`;
      await runSaverHistory(commands, [{ ...(await ours("ours", pool, schema)), readers: () => [] }], saverKind);
      const threads = await threadsIn(schema);
      const before = await readAll(open(schema), threads, []);
      const { threads: rewritten, kept } = await rewriteForStock(pool, { schema });
      expect(rewritten + kept.length).toBe(threads.length);
      for (const { error } of kept) expect(error).toMatchObject({ code: "NOT_IN_STOCK_FORMAT" });
      expectSameAll("ours, afterwards", await readAll(open(schema), threads, []), before);
      outcomes.rewritten += rewritten;
      outcomes.kept += kept.length;
    });
    await fc.assert(property, { numRuns: full ? 60 : 3, seed: 5, interruptAfterTimeLimit: 60_000 });
    if (full) expect(Math.min(outcomes.rewritten, outcomes.kept)).toBeGreaterThan(0);
  });

  describe("of single threads", () => {
    const chat = (checkpointer: BaseCheckpointSaver) =>
      new StateGraph(MessagesAnnotation)
        .addNode(
          "reply",
          ({ messages }) => ({ messages: [["ai", `reply ${messages.length} ${"x".repeat(300)}`]] }) as never,
        )
        .addEdge(START, "reply")
        .compile({ checkpointer });
    const say = async (saver: BaseCheckpointSaver, thread: string, text: string) =>
      (await chat(saver).invoke({ messages: [["human", text]] } as never, at(thread))).messages.map(
        ({ text: one }) => one,
      );

    const asking = (checkpointer: BaseCheckpointSaver) =>
      new StateGraph(Annotation.Root({ answer: Annotation<string>() }))
        .addNode("ask", () => ({ answer: `${interrupt("first?")} ${interrupt("second?")}` }))
        .addEdge(START, "ask")
        .compile({ checkpointer });

    it("lets stock go on with them, and ours after that", async () => {
      const schema = "on";
      await say(open(schema), "chat", "one");
      await rewriteForStock(pool, { schema });
      await say(stockOn(schema), "chat", "two");
      const texts = await say(open(schema), "chat", "three");
      expect(texts.map((text) => text.slice(0, 7))).toEqual(["one", "reply 1", "two", "reply 3", "three", "reply 5"]);
      const again = await rewriteForStock(pool, { schema });
      expect(again.threads).toBe(1);
      expect(await say(stockOn(schema), "chat", "four")).toHaveLength(8);
    });

    it("lets stock answer what ours had asked", async () => {
      const schema = "asked";
      await asking(open(schema)).invoke({}, at("asked"));
      await asking(open(schema)).invoke(new Command({ resume: "one" }), at("asked"));
      await rewriteForStock(pool, { schema });
      const { answer } = await asking(stockOn(schema)).invoke(new Command({ resume: "two" }), at("asked"));
      expect(answer).toBe("one two");
    });

    it("lets stock answer the rest of what it had asked itself", async () => {
      const schema = "asked_by_stock";
      const stock = stockOn(schema);
      await stock.setup();
      await asking(stock).invoke({}, at("asked"));
      // Without a read before it, as no graph does it, an answer is stored in our own format.
      const { id = "" } = (await asking(stock).getState(at("asked"))).tasks[0] ?? {};
      const newest = (await stock.getTuple(at("asked")))?.config ?? {};
      await open(schema).putWrites(newest, [["__resume__", ["one"]]], id);
      expect(await nativeRows(schema)).toBeGreaterThan(0);
      expect(await rewriteForStock(pool, { schema })).toMatchObject({ threads: 1, kept: [] });
      expect(await nativeRows(schema)).toBe(0);
      const { answer } = await asking(stock).invoke(new Command({ resume: "two" }), at("asked"));
      expect(answer).toBe("one two");
    });

    it("tells how far it is, stops between two when told to, and goes on from there", async () => {
      const schema = "resumed";
      for (const thread of ["a", "b", "c"]) await say(open(schema), thread, "hello");
      const stop = new AbortController();
      const told: RewriteProgress[] = [];
      const onProgress = (progress: RewriteProgress) => {
        told.push(progress);
        stop.abort();
      };
      expect(await rewriteForStock(pool, { schema, onProgress, signal: stop.signal })).toMatchObject({ threads: 1 });
      expect(told).toEqual([{ threadId: "a", done: 1, total: 3, checkpoints: 3 }]);
      expect(await rewriteForStock(pool, { schema, threadId: "c" })).toMatchObject({ threads: 1, checkpoints: 3 });
      expect(await rewriteForStock(pool, { schema })).toMatchObject({ threads: 1, checkpoints: 3 });
      expect(await rewriteForStock(pool, { schema })).toEqual({ threads: 0, checkpoints: 0, kept: [] });
    });

    it("leaves a thread alone that someone runs, and one that is damaged", async () => {
      const schema = "kept";
      for (const thread of ["damaged", "run", "sound"]) await say(open(schema), thread, "hello");
      const locks = createSqlLocks(async () => pool, schema);
      const lease = await locks.acquire(threadLease("run"), "a worker", 60_000);
      await pool.query(`update ${schema}.checkpoints set metadata = '{"step": 77}' where thread_id = 'damaged'`);
      const before = await nativeRows(schema);
      const { threads, kept } = await rewriteForStock(pool, { schema });
      expect(threads).toBe(1);
      expect(kept).toMatchObject([
        { threadId: "damaged", error: { code: "CHECKPOINT_CORRUPT" } },
        { threadId: "run", error: { code: "THREAD_BUSY", details: { holder: "a worker" } } },
      ]);
      expect(await count(`${schema}.checkpoint_blobs where thread_id <> 'sound'`)).toBe(0);
      expect(await nativeRows(schema)).toBeGreaterThan(before / 2);
      await locks.release(threadLease("run"), lease.token);
      expect(await rewriteForStock(pool, { schema, threadId: "run" })).toMatchObject({ threads: 1, kept: [] });
      expect(await count(`${schema}.lgr_locks`)).toBe(0);
    });

    it("says which channel and version stand for two values", async () => {
      const schema = "collision";
      const saver = open(schema);
      const put = (text: string, parent?: string) => {
        const checkpoint = {
          ...emptyCheckpoint(),
          id: uuid6(0),
          channel_values: { text },
          channel_versions: { text: 1 },
        };
        const config = {
          configurable: { thread_id: "t", checkpoint_ns: "", ...(parent ? { checkpoint_id: parent } : {}) },
        };
        return saver.put(config, checkpoint, { source: "loop", step: 0, parents: {} }, { text: 1 });
      };
      await put("one");
      await put("other");
      const { kept } = await rewriteForStock(pool, { schema });
      expect(kept).toMatchObject([
        { threadId: "t", error: { code: "NOT_IN_STOCK_FORMAT", details: { channel: "text", version: "1" } } },
      ]);
      expect(await count(`${schema}.checkpoint_blobs`)).toBe(0);
    });

    it("has nothing to do on a database that only stock has used", async () => {
      const stock = stockOn("stock_only");
      await stock.setup();
      await say(stock, "theirs", "hello");
      expect(await rewriteForStock(pool, { schema: "stock_only" })).toEqual({ threads: 0, checkpoints: 0, kept: [] });
    });
  });
});
