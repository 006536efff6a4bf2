/** The saver on its own, in place of the stock one, on a graph that knows nothing of this package. */
import {
  Annotation,
  Command,
  DeltaValue,
  END,
  interrupt,
  MessagesAnnotation,
  START,
  StateGraph,
  StateSchema,
} from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { ownMigrations } from "../../../src/persistence/migrations.js";
import { ResilientPostgresSaver, type ResilientSaverOptions } from "../../../src/persistence/saver.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { full } from "../../support/depth.js";
import { runChild } from "./child.js";

const at = (thread: string, checkpoint_id?: string) => ({
  configurable: { thread_id: thread, ...(checkpoint_id === undefined ? {} : { checkpoint_id, checkpoint_ns: "" }) },
});

const Appended = new StateSchema({
  log: new DeltaValue(
    z.array(z.string()).default(() => []),
    {
      inputSchema: z.array(z.string()),
      reducer: (list: string[], more: string[][]) => [...list, ...more.flat()],
      snapshotFrequency: 3,
    },
  ),
  answer: z.string().default(""),
});

/** Somebody's: a list kept by its changes, a question in the middle. */
const somebodys = (checkpointer: BaseCheckpointSaver) =>
  new StateGraph(Appended)
    .addNode("a", () => ({ log: ["a"] }))
    .addNode("ask", () => ({ answer: `${interrupt("first?")}, ${interrupt("second?")}`, log: ["asked"] }))
    .addNode("b", ({ answer }) => ({ log: [`b after ${answer}`] }))
    .addEdge(START, "a")
    .addEdge("a", "ask")
    .addEdge("ask", "b")
    .addEdge("b", END)
    .compile({ checkpointer });

const chat = (checkpointer: BaseCheckpointSaver) =>
  new StateGraph(MessagesAnnotation)
    .addNode("reply", ({ messages }) => ({ messages: [["ai", `${messages.length}: ${"long ".repeat(100)}`]] }) as never)
    .addEdge(START, "reply")
    .compile({ checkpointer });
const say = (saver: BaseCheckpointSaver, thread: string, text: string) =>
  chat(saver).invoke({ messages: [["human", text]] } as never, at(thread));

async function listed(saver: BaseCheckpointSaver, thread: string) {
  const tuples = [];
  for await (const tuple of saver.list(at(thread))) tuples.push(tuple);
  return tuples;
}

describeOnPostgres("the saver in place of the stock one", () => {
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

  const query = async (text: string, values?: unknown[]) => (await pool.query(text, values)).rows;
  const stockOn = async (schema: string) => {
    const stock = new PostgresSaver(pool, undefined, { schema });
    await stock.setup();
    return stock;
  };
  const oursOn = (schema: string, options: ResilientSaverOptions = {}) =>
    new ResilientPostgresSaver(pool, undefined, { ...options, schema });

  it("needs no setup() where stock had its tables, nor where there is nothing", async () => {
    const graph = (saver: BaseCheckpointSaver) =>
      new StateGraph(Annotation.Root({ note: Annotation<string>() }))
        .addNode("n", ({ note }) => ({ note: `${note}!` }))
        .addEdge(START, "n")
        .compile({ checkpointer: saver });
    const stock = await stockOn("set_up");
    await graph(stock).invoke({ note: "before" }, at("t"));
    const tables = ["set_up", "empty"];
    for (const schema of tables) {
      const ours = graph(oursOn(schema));
      expect(await ours.invoke({ note: "after" }, at("t"))).toEqual({ note: "after!" });
      expect((await ours.getState(at("t"))).values).toEqual({ note: "after!" });
    }
    const history = [];
    for await (const state of graph(oursOn("set_up")).getStateHistory(at("t"))) history.push(state.values.note);
    expect(history).toEqual(["after!", "after", "before!", "before!", "before", undefined]);
    await oursOn("set_up").deleteThread("t");
    expect(await listed(stock, "t")).toEqual([]);
  });

  it("keeps to stock's format where its role may make no tables, and says so once", async () => {
    const stock = await stockOn("closed");
    await say(stock, "t", "one");
    const role = `reader_${Math.random().toString(36).slice(2)}`;
    await query(`create role ${role} login`);
    await query(`grant usage on schema closed to ${role}`);
    await query(`grant select, insert, update, delete on all tables in schema closed to ${role}`);
    const url = new URL(database.url);
    url.username = role;
    const theirs = new pg.Pool({ connectionString: url.href, max: 2 });
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    try {
      const ours = new ResilientPostgresSaver(theirs, undefined, { schema: "closed" });
      await say(ours, "t", "two");
      expect((await say(stock, "t", "three")).messages).toHaveLength(6);
      expect((await say(ours, "t", "four")).messages).toHaveLength(8);
      expect(warn.mock.calls.map(([text]) => text)).toEqual([expect.stringContaining("may not make tables")]);
      await ours.deleteThread("t");
      expect(await listed(stock, "t")).toEqual([]);
    } finally {
      warn.mockRestore();
      await theirs.end();
      await query(`drop owned by ${role}`);
      await query(`drop role ${role}`);
    }
  });

  describe("on threads that stock began", () => {
    it("answers what stock had asked, and forks what stock had run", async () => {
      const schema = "began";
      const stock = await stockOn(schema);
      await somebodys(stock).invoke({ log: ["begin"] }, at("t"));
      await somebodys(stock).invoke(new Command({ resume: "one" }), at("t"));
      const atFirst = await somebodys(stock).getState(at("t"));
      const ours = somebodys(oursOn(schema));
      expect((await ours.getState(at("t"))).values).toEqual(atFirst.values);
      const result = await ours.invoke(new Command({ resume: "two" }), at("t"));
      expect(result).toMatchObject({ answer: "one, two", log: ["begin", "a", "asked", "b after one, two"] });
      const end = (await ours.getState(at("t"))).config;
      const fork = await ours.updateState(atFirst.config, { answer: "none" }, "ask");
      expect((await ours.invoke(null, fork)).log).toEqual(["begin", "a", "b after none"]);
      expect((await somebodys(oursOn(schema)).getState(end)).values.log).toEqual(result.log);
    });

    it("leaves its answers where stock finds them, as long as stock can read the checkpoint", async () => {
      const schema = "handed_back";
      const stock = await stockOn(schema);
      await somebodys(stock).invoke({ log: ["begin"] }, at("t"));
      await somebodys(oursOn(schema)).invoke(new Command({ resume: "one" }), at("t"));
      const { tasks } = await somebodys(stock).getState(at("t"));
      expect(tasks[0]?.interrupts.map(({ value }) => value)).toEqual(["second?"]);
      const { answer } = await somebodys(stock).invoke(new Command({ resume: "two" }), at("t"));
      expect(answer).toBe("one, two");
    });

    it("goes on from stock's whole versions with ones that are unique to the branch", async () => {
      const stock = await stockOn("versions");
      await say(stock, "t", "one");
      const versionsOf = async (saver: BaseCheckpointSaver) =>
        Object.values((await saver.getTuple(at("t")))?.checkpoint.channel_versions ?? {}).map(Number);
      expect((await versionsOf(stock)).every(Number.isInteger)).toBe(true);
      const newest = Math.max(...(await versionsOf(stock)));
      await say(oursOn("versions"), "t", "two");
      const after = await versionsOf(oursOn("versions"));
      expect(after.every((version) => !Number.isInteger(version) && version > newest)).toBe(true);
      expect(oursOn("versions").getNextVersion(7)).toBeGreaterThanOrEqual(8);
      expect(oursOn("versions").getNextVersion(7)).toBeLessThan(9);
    });

    it("writes what stock refuses with an error, and never reads wrong", async () => {
      const schema = "refused";
      const stock = await stockOn(schema);
      const first = await say(stock, "t", "one");
      const before = await stock.getTuple(at("t"));
      await say(oursOn(schema), "t", "two");
      const head = await oursOn(schema).getTuple(at("t"));
      const refusal = /cannot|jsonb|object/i;
      await expect(stock.getTuple(at("t"))).rejects.toThrow(refusal);
      await expect(stock.getTuple(head?.config ?? {})).rejects.toThrow(refusal);
      await expect(listed(stock, "t")).rejects.toThrow(refusal);
      await expect(say(stock, "t", "three")).rejects.toThrow(refusal);
      // What stock wrote itself it still reads, and nothing of it was changed.
      expect(await stock.getTuple(before?.config ?? {})).toEqual(before);
      expect(before?.checkpoint.channel_values.messages).toHaveLength(first.messages.length);
      expect(await listed(oursOn(schema), "t")).toHaveLength(6);
    });
  });

  describe("in compatible mode", () => {
    it("writes what stock reads and goes on with", async () => {
      const schema = "compatible";
      const stock = await stockOn(schema);
      const ours = oursOn(schema, { compatible: true });
      await somebodys(ours).invoke({ log: ["begin"] }, at("t"));
      await somebodys(stock).invoke(new Command({ resume: "one" }), at("t"));
      const result = await somebodys(ours).invoke(new Command({ resume: "two" }), at("t"));
      expect(result).toMatchObject({ answer: "one, two", log: ["begin", "a", "asked", "b after one, two"] });
      const strip = (tuples: Awaited<ReturnType<typeof listed>>) => tuples.map(({ parentConfig, ...rest }) => rest);
      expect(strip(await listed(stock, "t"))).toEqual(strip(await listed(ours, "t")));
      const own = await query("select tablename from pg_tables where schemaname = $1 and tablename like 'lgr%'", [
        schema,
      ]);
      expect(own).toEqual([]);
    });

    it("goes on with threads in the other format so that stock can go on after it", async () => {
      const schema = "mixed";
      const stock = await stockOn(schema);
      await say(oursOn(schema), "chat", "one");
      await say(oursOn(schema, { compatible: true }), "chat", "two");
      const read = (await stock.getTuple(at("chat")))?.checkpoint.channel_values.messages as unknown[];
      expect(read).toHaveLength(4);
      expect((await say(stock, "chat", "three")).messages).toHaveLength(6);
    });

    it("answers what was asked in the other format, and asks on", async () => {
      const schema = "answered";
      const asking = (saver: BaseCheckpointSaver) =>
        new StateGraph(Annotation.Root({ answer: Annotation<string>() }))
          .addNode("ask", () => ({
            answer: ["first?", "second?", "third?"].map((question) => interrupt(question)).join(),
          }))
          .addEdge(START, "ask")
          .compile({ checkpointer: saver });
      await asking(oursOn(schema)).invoke({}, at("t"));
      await asking(oursOn(schema)).invoke(new Command({ resume: "one" }), at("t"));
      const compatible = () => oursOn(schema, { compatible: true });
      await asking(compatible()).invoke(new Command({ resume: "two" }), at("t"));
      const { tasks } = await asking(compatible()).getState(at("t"));
      expect(tasks[0]?.interrupts.map(({ value }) => value)).toEqual(["third?"]);
      const result = await asking(compatible()).invoke(new Command({ resume: "three" }), at("t"));
      expect(result).toEqual({ answer: "one,two,three" });
      const stock = new PostgresSaver(pool, undefined, { schema });
      expect((await stock.getTuple(at("t")))?.checkpoint.channel_values.answer).toBe("one,two,three");
    });
  });

  describe("beside other versions of this package", () => {
    const makeOldDatabase = async (schema: string, level: number) => {
      await stockOn(schema);
      if (level === 0) return;
      await query(`create table "${schema}".lgr_migrations (v integer primary key)`);
      for (const [v, migration] of ownMigrations.slice(0, level).entries()) {
        await query(migration(schema));
        await query(`insert into "${schema}".lgr_migrations (v) values ($1)`, [v]);
      }
    };

    it("brings a database of each earlier version up to date", { timeout: 60_000 }, async () => {
      const all = ownMigrations.map((_, level) => level);
      const levels = full ? all : [0, 1, 6, all.length - 1];
      for (const level of levels) {
        const schema = `level${level}`;
        await makeOldDatabase(schema, level);
        const stock = new PostgresSaver(pool, undefined, { schema });
        await say(stock, "t", "one");
        const openers = Array.from({ length: 4 }, () => oursOn(schema));
        await Promise.all(openers.map((saver) => saver.setup()));
        expect((await say(oursOn(schema), "t", "two")).messages).toHaveLength(4);
        const done = await query(`select v from "${schema}".lgr_migrations order by v`);
        expect(done.map(({ v }) => v)).toEqual(ownMigrations.map((_, v) => v));
      }
    });

    it("does so for many callers in several processes at once", { timeout: 60_000 }, async () => {
      const schema = "crowd";
      await makeOldDatabase(schema, 3);
      const children = [0, 1].map(() => runChild("./setup.child.ts", [database.url, schema, "8"]));
      await Promise.all(children.map((child) => child.line()));
      for (const child of children) child.process.stdin?.write("go\n");
      const here = Promise.all(Array.from({ length: 4 }, () => oursOn(schema).setup()));
      const lines = await Promise.all(children.map((child) => child.line()));
      expect(lines).toEqual(["done", "done"]);
      await here;
      for (const child of children) expect((await child.ended()).code).toBe(0);
      expect(await query(`select count(*)::int as n from ${schema}.lgr_migrations`)).toEqual([
        { n: ownMigrations.length },
      ]);
    });

    it("works on a database that a later version has changed", async () => {
      const schema = "later";
      await oursOn(schema).setup();
      await query(`alter table ${schema}.lgr_objects add column colour text, add column weight integer default 1`);
      await query(`alter table ${schema}.lgr_writes add column shade text`);
      await query(`alter table ${schema}.checkpoints add column region text`);
      await query(`create table ${schema}.lgr_of_tomorrow (id integer)`);
      const next = ownMigrations.length;
      await query(`insert into ${schema}.lgr_migrations (v) values ($1), ($2)`, [next, next + 1]);
      await oursOn(schema).setup();
      await somebodys(oursOn(schema)).invoke({ log: ["begin"] }, at("t"));
      await somebodys(oursOn(schema)).invoke(new Command({ resume: "one" }), at("t"));
      const result = await somebodys(oursOn(schema)).invoke(new Command({ resume: "two" }), at("t"));
      expect(result.log).toHaveLength(4);
      expect(await query(`select max(v) as v from ${schema}.lgr_migrations`)).toEqual([{ v: next + 1 }]);
    });
  });

  describe("with strict state", () => {
    const graph = (saver: BaseCheckpointSaver, value: unknown) =>
      new StateGraph(Annotation.Root({ note: Annotation<unknown>() }))
        .addNode("n", () => ({ note: { deep: [value] } }))
        .addEdge(START, "n")
        .compile({ checkpointer: saver });

    it("ends a run on state that would come back as something else, and says where it is", async () => {
      const strict = oursOn("strict", { strict: true });
      const refused = graph(strict, new Date(0)).invoke({ note: "" }, { ...at("t"), durability: "sync" });
      await expect(refused).rejects.toMatchObject({
        code: "INVALID_INPUT",
        details: { channel: "note", path: "deep[0]" },
        message: expect.stringContaining('Channel "note" cannot be stored as it is: at deep[0] there is a Date'),
      });
      expect((await graph(strict, "sound").getState(at("t"))).values).toEqual({ note: "" });
      expect(await graph(strict, "sound").invoke(null, at("t"))).toEqual({ note: { deep: ["sound"] } });
    });

    it("stores as stock does without it", async () => {
      const lax = oursOn("lax");
      await graph(lax, new Date(0)).invoke({ note: "" }, at("t"));
      const { values } = await graph(lax, "").getState(at("t"));
      expect(values).toEqual({ note: { deep: ["1970-01-01T00:00:00.000Z"] } });
    });
  });
});
