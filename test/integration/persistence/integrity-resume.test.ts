/** A thread whose newest checkpoints are damaged: what is said of it, what is on record, and the way back. */
import { Annotation, DeltaValue, MemorySaver, START, StateGraph, StateSchema } from "@langchain/langgraph";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Persistence } from "../../../src/core/ports.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { recorder } from "../../support/graphs.js";
import { runLgr, TINY } from "../../support/run-lgr.js";

const text = (name: string) => `${name} ${name.repeat(400)}`;
const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (before, added) => before.concat(added), default: () => [] }),
});

/** Four steps, of which the last fails while it is told to; which of them ran is noted outside. */
function fourSteps() {
  const world = { fails: true, ran: [] as string[] };
  const step = (name: string) => () => {
    world.ran.push(name);
    if (name === "d" && world.fails) throw new Error("d fails");
    return { log: [text(name)] };
  };
  const builder = new StateGraph(State)
    .addNode("a", step("a"))
    .addNode("b", step("b"))
    .addNode("c", step("c"))
    .addNode("d", step("d"))
    .addEdge(START, "a")
    .addEdge("a", "b")
    .addEdge("b", "c")
    .addEdge("c", "d");
  return { world, builder };
}

describeOnPostgres("a thread whose newest checkpoint is damaged", () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  const opened: Persistence[] = [];
  beforeAll(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 2 });
  });
  afterAll(async () => {
    for (const persistence of opened) await persistence.close();
    await pool.end();
    await database.drop();
  });

  /** With nothing remembered of what was stored before. */
  const fresh = () => {
    const persistence = openPersistence(database.url);
    opened.push(persistence);
    return persistence;
  };
  const stopped = async (name: string) => {
    const { world, builder } = fourSteps();
    const { threadId } = await runThread(
      builder.compile({ checkpointer: fresh().checkpointer }),
      {},
      { threadId: name },
    );
    world.fails = false;
    world.ran.length = 0;
    const persistence = fresh();
    const graph = builder.compile({ checkpointer: persistence.checkpointer, name: "four" });
    return { world, graph, persistence, threadId };
  };
  const idsOf = async (threadId: string): Promise<string[]> => {
    const { rows } = await pool.query(
      "select checkpoint_id from checkpoints where thread_id = $1 order by checkpoint_id desc",
      [threadId],
    );
    return rows.map((row) => row.checkpoint_id);
  };
  const damage = (threadId: string, checkpointId: string | undefined) =>
    pool.query(
      "update checkpoints set type = replace(type, 'lgr1 ', 'lgr1  ') where thread_id = $1 and checkpoint_id = $2",
      [threadId, checkpointId],
    );

  it("is refused with what is damaged, put on record and told once", async () => {
    const { graph, persistence, threadId, world } = await stopped("refused");
    const [head] = await idsOf(threadId);
    await damage(threadId, head);
    const { events, onEvent } = recorder();
    persistence.events.subscribe(onEvent);
    const found = await inspectThread(graph, "refused");
    expect(found).toMatchObject({ stored: true, status: "failed", canResume: false, checkpointId: head, values: {} });
    expect(found.why).toContain("lgr resume refused --from-last-sound");
    const attempts = [() => resumeThread(graph, "refused"), () => runThread(graph, {}, { threadId: "refused" })];
    for (const attempt of attempts) {
      await expect(attempt()).rejects.toMatchObject({
        code: "CHECKPOINT_CORRUPT",
        place: { threadId, checkpointId: head, part: "the checkpoint itself" },
      });
    }
    await expect(runThread(graph, {}, { threadId: "refused", ifExists: "newTurn" })).rejects.toMatchObject({
      code: "CHECKPOINT_CORRUPT",
    });
    expect(world.ran).toEqual([]);
    expect(events.filter(({ type }) => type === "checkpoint.corrupt")).toMatchObject([
      { threadId, checkpointId: head, part: "the checkpoint itself" },
    ]);
    const { rows } = await pool.query("select checkpoint_id, part from lgr_quarantine where thread_id = $1", [
      threadId,
    ]);
    expect(rows).toEqual([{ checkpoint_id: head, part: "the checkpoint itself" }]);
  });

  it("goes on from the last sound one when told, and says how far it went back", async () => {
    const { graph, threadId, world } = await stopped("told");
    const [head, second, third] = await idsOf(threadId);
    await damage(threadId, head);
    await damage(threadId, second);
    const seen = recorder();
    const result = await resumeThread(graph, "told", undefined, { from: "lastSound", onEvent: seen.onEvent });
    expect(result).toMatchObject({
      status: "succeeded",
      values: { log: ["a", "b", "c", "d"].map(text) },
      wentBack: {
        checkpointId: third,
        step: 1,
        damaged: [{ checkpointId: head }, { checkpointId: second }],
      },
    });
    expect(world.ran).toEqual(["b", "c", "d"]);
    expect(seen.types("run.wentBack")).toHaveLength(1);
    expect(await inspectThread(graph, "told")).toMatchObject({ status: "succeeded" });
  });

  it("goes back by itself where it may, no further than it may", async () => {
    const { graph, threadId, world } = await stopped("by itself");
    const [head] = await idsOf(threadId);
    await damage(threadId, head);
    const onCorrupt = "lastSound";
    await expect(runThread(graph, {}, { threadId: "by itself", onCorrupt, maxAgeMs: 0 })).rejects.toThrow(
      /not gone back further than 0 s/,
    );
    expect(world.ran).toEqual([]);
    const result = await runThread(graph, {}, { threadId: "by itself", onCorrupt });
    expect(result).toMatchObject({ status: "succeeded", wentBack: { damaged: [{ checkpointId: head }] } });
    await expect(runThread(graph, {}, { threadId: "x", onCorrupt: "ignore" as never })).rejects.toMatchObject({
      code: "CONFIG",
    });
  });

  it("goes back along its own branch, though another one is newer", async () => {
    const { graph, threadId } = await stopped("branches");
    const [head = "", , third = ""] = await idsOf(threadId);
    await graph.updateState({ configurable: { thread_id: threadId, checkpoint_id: third } }, { log: ["other"] }, "c");
    const [other = ""] = await idsOf(threadId);
    const { values } = await resumeThread(graph, "branches", undefined, { from: head });
    for (const id of (await idsOf(threadId)).filter((one) => one > other)) await damage(threadId, id);
    const again = await resumeThread(graph, "branches", undefined, { from: "lastSound" });
    expect(again).toMatchObject({ status: "succeeded", values, wentBack: { checkpointId: head } });
  });

  it("of which a write of an ancestor's is gone is one that stands on it", async () => {
    const texts = () => z.array(z.string()).default(() => []);
    const Delta = new StateSchema({
      log: new DeltaValue(texts(), {
        inputSchema: z.array(z.string()),
        reducer: (before: string[], writes: readonly string[][]) => [...before, ...writes.flat()],
        snapshotFrequency: 50,
      }),
    });
    const builder = new StateGraph(Delta)
      .addNode("a", () => ({ log: ["a"] }))
      .addNode("b", () => ({ log: ["b"] }))
      .addEdge(START, "a")
      .addEdge("a", "b");
    const { threadId } = await runThread(
      builder.compile({ checkpointer: fresh().checkpointer }),
      {},
      { threadId: "delta" },
    );
    const graph = builder.compile({ checkpointer: fresh().checkpointer });
    const { rows } = await pool.query(
      `delete from lgr_writes where thread_key = encode(substring(sha256(convert_to($1, 'UTF8')) from 1 for 16), 'hex')::uuid
        and body like '%["a"]%' returning task_id`,
      [threadId],
    );
    expect(rows).toHaveLength(1);
    expect((await inspectThread(graph, "delta")).damage?.place).toMatchObject({ part: "pending writes" });
    const result = await resumeThread(graph, "delta", undefined, { from: "lastSound" });
    expect(result).toMatchObject({ status: "succeeded", values: { log: ["a", "b"] }, wentBack: { step: -1 } });
  });

  it("is shown as damaged, and goes on, on the command line", { timeout: 60_000 }, async () => {
    const { builder } = await import("../../support/projects/tiny/graph.js");
    const persistence = fresh();
    const graph = builder.compile({ checkpointer: persistence.checkpointer });
    const options = { threadId: "shown", graphName: "tiny", injectFaults: { file: "not_found" as const } };
    const { threadId } = await runThread(graph, { text: "x" }, options);
    const [head] = await idsOf(threadId);
    await damage(threadId, head);
    await pool.query("update lgr_threads set status = 'running' where thread_id = $1", [threadId]);
    const lgr = (...parameters: string[]) => runLgr([...parameters, "--config", TINY, "--db", database.url]);
    const [history, threads, refused] = await Promise.all([
      lgr("history", "shown"),
      lgr("threads", "--graph", "tiny"),
      lgr("resume", "shown"),
    ]);
    expect(history.stdout).toMatch(new RegExp(`→ +${head}.*damaged: the checkpoint itself`));
    expect(threads.stdout).toMatch(/shown +tiny +damaged/);
    expect(refused.stderr).toContain("--from-last-sound");
    expect(refused.code).toBe(1);
    const resumed = await lgr("resume", "shown", "--from-last-sound");
    expect(resumed.stdout).toMatch(/goes back to checkpoint .* the steps after it run again/);
    expect(resumed.stdout).toContain("xx by nobody, filed");
    expect(resumed.code).toBe(0);
  });
});

describe("a state that the graph cannot use", () => {
  it("is taken for damaged", async () => {
    const { world, builder } = fourSteps();
    const graph = builder.compile({ checkpointer: new MemorySaver() });
    await runThread(graph, {}, { threadId: "t" });
    world.fails = false;
    await graph.updateState(
      { configurable: { thread_id: (await inspectThread(graph, "t")).threadId } },
      { log: ["no text of a step"] },
      "c",
    );
    const usableState = z.object({ log: z.array(z.string().min(200, "too short")) });
    await expect(resumeThread(graph, "t", undefined, { usableState })).rejects.toThrow(
      /the state: it does not fit usableState: log.3: too short/,
    );
    const result = await resumeThread(graph, "t", undefined, { usableState, onCorrupt: "lastSound" });
    expect(result).toMatchObject({ status: "succeeded", values: { log: ["a", "b", "c", "d"].map(text) } });
    expect(result.wentBack?.damaged).toMatchObject([{ part: "the state" }]);
  });
});
