/** runThread, resumeThread and inspectThread: names, IDs, what is stored and what is not. */
import { randomUUID } from "node:crypto";
import { Annotation, interrupt, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
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
import { openPersistence } from "../../../src/persistence/open.js";
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

async function collected<T>(many: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of many) all.push(one);
  return all;
}

describe("an older checkpoint of a graph whose subgraph keeps a state of its own", () => {
  it("is gone on from with the subgraph's state of that time", async () => {
    const State = Annotation.Root({
      turn: Annotation<string>,
      seen: Annotation<string[]>({ reducer: (before, added) => before.concat(added), default: () => [] }),
      told: Annotation<string>,
    });
    const child = new StateGraph(State)
      .addNode("remember", (state: typeof State.State) => ({ seen: [state.turn] }))
      .addNode("tell", (state: typeof State.State) => ({ told: state.seen.join(",") }))
      .addEdge(START, "remember")
      .addEdge("remember", "tell")
      .compile({ checkpointer: true });
    const Parent = Annotation.Root({ turn: Annotation<string>, told: Annotation<string> });
    const graph = new StateGraph(Parent)
      .addNode("first", async () => ({}))
      .addNode("child", child)
      .addEdge(START, "first")
      .addEdge("first", "child")
      .compile({ checkpointer: openPersistence("memory:").checkpointer });
    let before = "";
    for (const turn of ["A", "B", "C"]) {
      const { threadId } = await runThread(graph, { turn }, { threadId: "t", ifExists: "newTurn" });
      const config = { configurable: { thread_id: threadId } };
      for await (const one of graph.getStateHistory(config))
        if (turn === "A" && one.next.includes("child")) before = String(one.config.configurable?.checkpoint_id);
    }
    expect((await inspectThread(graph, "t")).values).toMatchObject({ told: "A,B,C" });
    const branch = await resumeThread(graph, "t", undefined, { from: before });
    expect(branch.values).toMatchObject({ turn: "A", told: "A" });
  });
});

describe("a thread whose steps contradict each other", () => {
  const contradicting = (checkpointer: BaseCheckpointSaver) => {
    const State = Annotation.Root({ a: Annotation<string> });
    return new StateGraph(State)
      .addNode("first", async () => ({}))
      .addNode("left", async () => ({ a: "left" }))
      .addNode("right", async () => ({ a: "right" }))
      .addEdge(START, "first")
      .addEdge("first", "left")
      .addEdge("first", "right")
      .compile({ checkpointer });
  };

  it("has failed, can be looked at, and goes on from an earlier checkpoint", async () => {
    const { checkpointer } = openPersistence("memory:");
    const graph = contradicting(checkpointer);
    const failed = await runThread(graph, { a: "x" }, { threadId: "t" });
    expect(failed).toMatchObject({ status: "failed", error: { name: "InvalidUpdateError" } });
    const inspected = await inspectThread(graph, "t");
    expect(inspected).toMatchObject({
      stored: true,
      status: "failed",
      why: expect.stringContaining("earlier checkpoint"),
    });
    expect((await resumeThread(graph, "t")).status).toBe("failed");
    const history = await collected(checkpointer.list({ configurable: { thread_id: failed.threadId } }));
    const from = history.at(-1)?.checkpoint.id ?? "";
    expect((await resumeThread(graph, "t", undefined, { from })).status).toBe("failed");
  });
});

describe("a graph that pauses by itself", () => {
  it("is paused and not succeeded, and goes on when resumed", async () => {
    const builder = new StateGraph(LogState)
      .addNode("x", async () => ({ log: ["x"] }))
      .addNode("y", async () => ({ log: ["y"] }))
      .addEdge(START, "x")
      .addEdge("x", "y");
    const graph = builder.compile({ checkpointer: openPersistence("memory:").checkpointer, interruptBefore: ["y"] });
    expect(await runThread(graph, { value: 1 }, { threadId: "t" })).toMatchObject({ status: "paused", next: ["y"] });
    expect(await inspectThread(graph, "t")).toMatchObject({ status: "paused", canResume: true });
    expect(await resumeThread(graph, "t")).toMatchObject({ status: "succeeded", values: { log: ["x", "y"] } });
  });
});

describe("a decision together with an older checkpoint", () => {
  it("is refused where that checkpoint asked nothing, before anything is run", async () => {
    const ran: string[] = [];
    const builder = new StateGraph(LogState)
      .addNode("x", async () => ({ value: ran.push("x") }))
      .addNode("y", async () => ({ value: ran.push("y") }))
      .addEdge(START, "x")
      .addEdge("x", "y");
    const graph = builder.compile({ checkpointer: openPersistence("memory:").checkpointer });
    const { threadId } = await runThread(graph, { value: 1 }, { threadId: "t" });
    const history = await collected(graph.getStateHistory({ configurable: { thread_id: threadId } }));
    const from = String(history.find((one) => one.next.includes("y"))?.config.configurable?.checkpoint_id);
    await expect(resumeThread(graph, "t", { action: "abort" }, { from })).rejects.toMatchObject({
      code: "DECISION_REFUSED",
    });
    expect(ran).toEqual(["x", "y"]);
  });
});

describe("a database that goes away in the middle of a run", () => {
  it("ends the run as failed, with the failure", async () => {
    const persistence = openPersistence("memory:");
    const { checkpointer } = persistence;
    const lost = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    const builder = new StateGraph(LogState).addNode("x", async () => {
      checkpointer.getTuple = () => Promise.reject(lost);
      checkpointer.put = () => Promise.reject(lost);
      return {};
    });
    const graph = builder.addEdge(START, "x").compile({ checkpointer });
    const told: string[] = [];
    const result = await runThread(graph, { value: 1 }, { threadId: "t", onEvent: ({ type }) => void told.push(type) });
    expect(result).toMatchObject({ status: "failed", error: lost, unreadable: true });
    expect(told.at(-1)).toBe("run.finished");
  });
});
