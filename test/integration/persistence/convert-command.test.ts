/** `lgr convert`: what it prints and how it ends. */
import { MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { convert } from "../../../src/cli/actions/convert.js";
import { threadLease } from "../../../src/core/run-hold.js";
import { ResilientPostgresSaver } from "../../../src/persistence/saver.js";
import { createSqlLocks } from "../../../src/persistence/sql-locks.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { TINY } from "../../support/run-lgr.js";

const at = (thread: string) => ({ configurable: { thread_id: thread } });
const run = (checkpointer: PostgresSaver, thread: string) =>
  new StateGraph(MessagesAnnotation)
    .addNode("reply", () => ({ messages: [{ role: "assistant", content: "hello" }] }))
    .addEdge(START, "reply")
    .compile({ checkpointer })
    .invoke({ messages: [{ role: "user", content: "hello" }] }, at(thread));

/** What it printed, and its exit code. */
async function printed(flags: Parameters<typeof convert>[0], db: string, json = false) {
  let text = "";
  const write = vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  try {
    return { code: await convert(flags, { config: TINY, db, json }), lines: () => text.trim().split("\n") };
  } finally {
    write.mockRestore();
  }
}

afterEach(() => void vi.restoreAllMocks());

describeOnPostgres("lgr convert --to stock", () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  beforeAll(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 2 });
    for (const thread of ["a", "b"]) await run(new ResilientPostgresSaver(pool), thread);
  });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });

  it("rewrites one thread, then the others but for what someone runs, then nothing", async () => {
    const one = await printed({ to: "stock", thread: "a" }, database.url);
    expect(one).toMatchObject({ code: 0 });
    expect(one.lines()).toEqual(["[1/1] a: 3 checkpoints", "Rewrote 3 checkpoints of 1 thread for the stock saver."]);
    expect((await run(new PostgresSaver(pool), "a")).messages).toHaveLength(4);

    const locks = createSqlLocks(async () => pool, "public");
    const lease = await locks.acquire(threadLease("b"), "a worker", 60_000);
    const busy = await printed({ to: "stock" }, database.url, true);
    expect(busy.code).toBe(7);
    expect(busy.lines().map((line) => JSON.parse(line))).toMatchObject([
      { type: "thread", threadId: "b", done: 1, total: 1, checkpoints: 0, kept: { code: "THREAD_BUSY" } },
      { type: "summary", threads: 0, checkpoints: 0, kept: 1, stopped: false },
    ]);
    await locks.release(threadLease("b"), lease.token);

    expect((await printed({ to: "stock" }, database.url)).code).toBe(0);
    const nothing = await printed({ to: "stock" }, database.url);
    expect(nothing.lines()).toEqual(["Nothing to rewrite: the stock saver can read every thread."]);
  });

  it("says which thread is not there", async () => {
    const unknown = printed({ to: "stock", thread: "nobody's" }, database.url);
    await expect(unknown).rejects.toMatchObject({ code: "THREAD_NOT_FOUND" });
  });
});

describe("lgr convert --to stock", () => {
  it("says that there is nothing to convert in memory", async () => {
    await expect(printed({ to: "stock" }, "memory:")).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining("nothing to convert in memory of this process"),
    });
  });
});
