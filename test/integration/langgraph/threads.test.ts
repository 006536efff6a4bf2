/** runThread, resumeThread and inspectThread: names, IDs, what is stored and what is not. */
import { randomUUID } from "node:crypto";
import { interrupt, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { threadIdOf } from "../../../src/core/thread-id.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { keepCheckpointer } from "../../../src/langgraph/keep-checkpointer.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { listThreads } from "../../../src/langgraph/threads/list-threads.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { memoryPlugin } from "../../../src/persistence/memory.js";
import { type Log, LogState, once, unavailable } from "../../support/graphs.js";

const plain = () =>
  new StateGraph(LogState)
    .addNode("a", async ({ value }) => ({ log: [`a ${value}`] }))
    .addNode("b", async ({ value }) => ({ log: [`b ${value}`] }))
    .addEdge(START, "a")
    .addEdge("a", "b");
const graphOn = (checkpointer = new MemorySaver() as unknown, name?: string) =>
  plain().compile({ checkpointer: checkpointer as MemorySaver, ...(name === undefined ? {} : { name }) });

describe("a thread's name", () => {
  it("stands for a UUID that every process finds", async () => {
    const graph = graphOn();
    const { threadId, name } = await runThread(graph, { value: 1 }, { threadId: "q3" });
    expect(threadId).toBe(threadIdOf("q3"));
    expect(name).toBe("q3");
    expect((await inspectThread(graph, threadId)).values).toMatchObject({ value: 1 });
  });

  it("that is a UUID is the ID, in any case of letters", async () => {
    const graph = graphOn();
    const id = randomUUID();
    expect((await runThread(graph, { value: 1 }, { threadId: id.toUpperCase() })).threadId).toBe(id);
    expect((await inspectThread(graph, id)).stored).toBe(true);
  });

  it("under which another program stored checkpoints is taken as the ID it is", async () => {
    const graph = graphOn();
    await graph.invoke({ value: 4 }, { configurable: { thread_id: "legacy-17" } });
    expect(await inspectThread(graph, "legacy-17")).toMatchObject({
      threadId: "legacy-17",
      status: "succeeded",
      values: { value: 4 },
    });
  });

  it("is kept by the persistence and found by the ID", async () => {
    const persistence = memoryPlugin.open("memory:", {});
    const graph = graphOn(persistence.checkpointer, "report");
    const { threadId } = await runThread(graph, { value: 1 }, { threadId: "q3" });
    expect(await inspectThread(graph, threadId)).toMatchObject({ name: "q3", graph: "report" });
    expect(await listThreads(persistence)).toMatchObject([
      { threadId, name: "q3", graph: "report", status: "succeeded" },
    ]);
    expect(await listThreads(graph, { status: "failed" })).toEqual([]);
  });

  it.each(["", "  "])("that is empty (%j) is refused", async (name) => {
    await expect(runThread(graphOn(), { value: 1 }, { threadId: name })).rejects.toMatchObject({ code: "CONFIG" });
    await expect(inspectThread(graphOn(), name)).rejects.toMatchObject({ code: "CONFIG" });
  });
});

describe("running a thread that is stored", () => {
  it("goes on with it by default, and does not run what has finished", async () => {
    const graph = graphOn();
    await runThread(graph, { value: 1 }, { threadId: "t" });
    const again = await runThread(graph, { value: 2 }, { threadId: "t" });
    expect(again).toMatchObject({ status: "succeeded", ran: false, values: { value: 1, log: ["a 1", "b 1"] } });
  });

  it("is refused where asked for", async () => {
    const graph = graphOn();
    await runThread(graph, { value: 1 }, { threadId: "t", ifExists: "refuse" });
    await expect(runThread(graph, { value: 1 }, { threadId: "t", ifExists: "refuse" })).rejects.toMatchObject({
      code: "THREAD_EXISTS",
    });
  });

  it("gives it the input as its next turn where asked for", async () => {
    const graph = graphOn();
    await runThread(graph, { value: 1 }, { threadId: "t" });
    const next = await runThread(graph, { value: 2 }, { threadId: "t", ifExists: "newTurn" });
    expect(next).toMatchObject({ status: "succeeded", ran: true, values: { log: ["a 1", "b 1", "a 2", "b 2"] } });
  });

  it("of another graph is refused", async () => {
    const { checkpointer } = memoryPlugin.open("memory:", {});
    await runThread(graphOn(checkpointer, "one"), { value: 1 }, { threadId: "t" });
    await expect(runThread(graphOn(checkpointer, "two"), { value: 1 }, { threadId: "t" })).rejects.toThrow(
      'belongs to graph "one", not to "two"',
    );
  });

  it("with a mode that does not exist is a wrong option", async () => {
    await expect(
      runThread(graphOn(), { value: 1 }, { threadId: "t", ifExists: "maybe" as never }),
    ).rejects.toMatchObject({ code: "CONFIG" });
  });
});

describe("resuming", () => {
  it("where nothing is stored says so, and how to start", async () => {
    await expect(resumeThread(graphOn(), "nobody")).rejects.toMatchObject({
      code: "THREAD_NOT_FOUND",
      message: expect.stringContaining("Start it anew"),
    });
    expect(await inspectThread(graphOn(), "nobody")).toMatchObject({
      stored: false,
      status: "empty",
      canResume: false,
    });
  });

  it("a finished thread returns it as it stands", async () => {
    const graph = graphOn();
    await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(await resumeThread(graph, "t")).toMatchObject({ status: "succeeded", ran: false, values: { value: 1 } });
  });

  it("with a decision where none is asked for is refused", async () => {
    const graph = graphOn();
    await runThread(graph, { value: 1 }, { threadId: "t" });
    await expect(resumeThread(graph, "t", { action: "retry" })).rejects.toMatchObject({ code: "DECISION_REFUSED" });
  });

  it("from a checkpoint that does not exist is refused", async () => {
    const graph = graphOn();
    await runThread(graph, { value: 1 }, { threadId: "t" });
    await expect(resumeThread(graph, "t", undefined, { from: randomUUID() })).rejects.toMatchObject({
      code: "THREAD_NOT_FOUND",
    });
  });

  it("from an earlier checkpoint goes on as a branch of its own, with the values of then", async () => {
    const graph = graphOn();
    const first = await runThread(graph, { value: 1 }, { threadId: "t" });
    const config = { configurable: { thread_id: first.threadId } };
    const history = [];
    for await (const one of graph.getStateHistory(config)) history.push(one);
    const beforeB = history.find((one) => one.next[0] === "b")?.config.configurable?.checkpoint_id as string;
    const branch = await resumeThread(graph, "t", undefined, { from: beforeB });
    expect(branch).toMatchObject({ status: "succeeded", ran: true, values: { log: ["a 1", "b 1"] } });
    expect(branch.checkpointId).not.toBe(first.checkpointId);
  });

  it("with two open questions needs to know which one is answered", async () => {
    const builder = new StateGraph(LogState)
      .addNode(
        "a",
        resilient(async (_: Log) => {
          throw unavailable();
        }, once),
      )
      .addNode(
        "b",
        resilient(async (_: Log) => {
          throw unavailable();
        }, once),
      )
      .addEdge(START, "a")
      .addEdge(START, "b");
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });
    await runThread(graph, { value: 1 }, { threadId: "t" });
    await expect(resumeThread(graph, "t", { action: "retry" })).rejects.toThrow(/2 open questions; say which one/);
    await expect(resumeThread(graph, "t", { action: "retry" }, { answerTo: "c" })).rejects.toThrow(
      'no open question "c"',
    );
  });

  it("a waiting thread without an answer returns the question", async () => {
    const builder = new StateGraph(LogState)
      .addNode("a", async () => ({ log: [String(interrupt("how many?"))] }))
      .addEdge(START, "a");
    const graph = builder.compile({ checkpointer: new MemorySaver() });
    const asked = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(await resumeThread(graph, "t")).toMatchObject({
      status: "waiting_human",
      ran: false,
      waitingFor: asked.waitingFor,
    });
    expect(await inspectThread(graph, "t")).toMatchObject({
      status: "waiting_human",
      canResume: true,
      why: "it waits for an answer",
    });
  });
});

describe("faults put in on purpose", () => {
  it("fail each attempt of the node with the category named", async () => {
    const builder = new StateGraph(LogState)
      .addNode(
        "a",
        resilient(async (_: Log) => ({ log: ["a"] }), { retry: { initialDelayMs: 1 } }),
      )
      .addEdge(START, "a");
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });
    const stopped = await runThread(graph, { value: 1 }, { threadId: "t", injectFaults: { a: "network" } });
    expect(stopped.waitingFor[0]?.request).toMatchObject({ failure: { category: "network" }, attempts: { length: 4 } });
    expect((await resumeThread(graph, "t", { action: "retry" })).values.log).toEqual(["a"]);
  });
});

describe("a graph that cannot be resumed", () => {
  it("is refused with what is missing", async () => {
    const graph = plain().compile();
    await expect(runThread(graph, { value: 1 }, { threadId: "t" })).rejects.toThrow(
      /runThread\(\): the graph has no checkpointer/,
    );
    await expect(listThreads(graphOn())).rejects.toThrow(/not from openPersistence/);
    expect(() => keepCheckpointer(graph)).toThrow(/without a checkpointer/);
  });
});

describe("a kept checkpointer", () => {
  it("stays whatever is assigned", () => {
    const saver = new MemorySaver();
    const graph = keepCheckpointer(graphOn(saver));
    graph.checkpointer = new MemorySaver();
    expect(graph.checkpointer).toBe(saver);
  });
});
