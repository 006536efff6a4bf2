/** Answers that nodes and tools have given before, in graphs. */
import { AIMessage, type AIMessageFields, HumanMessage, RemoveMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { Annotation, Command, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import type { Degradation } from "../../../src/core/records.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { type Node, resilient } from "../../../src/langgraph/resilient.js";
import type { ResilientOptions } from "../../../src/langgraph/resilient-options.js";
import { resilientTool } from "../../../src/langgraph/resilient-tool.js";
import { withCache } from "../../../src/langgraph/single-rungs.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { FakeClock } from "../../support/fake-clock.js";
import { failures, type Log, LogState, once, recorder } from "../../support/graphs.js";

type Update = Partial<Log>;
type Options = ResilientOptions<Log, Update>;
type Degraded = { readonly degradations?: readonly Degradation[] };

const inMemory = () => openPersistence("memory:").checkpointer;

/** A graph of one node that is asked for the state's value. */
function graphOf(node: Node<Log, Update>, checkpointer: BaseCheckpointSaver = inMemory()) {
  return installRecovery(new StateGraph(LogState).addNode("node", node).addEdge(START, "node")).compile({
    checkpointer,
  });
}

/** A node that counts its calls, fails as told, and on a clock of its own is remembered for a second, and five more. */
function remembering(options: Options = {}) {
  const clock = new FakeClock();
  const counted = failures();
  const node = resilient(
    async ({ value }: Log): Promise<Update> => {
      counted.pass("node");
      return { log: [`${value} by call ${counted.calls.node}`] };
    },
    { ...once, clock, cache: { ttlMs: 1000, staleIfErrorMs: 5000, key: ({ value }) => String(value) }, ...options },
  );
  return { clock, counted, node, graph: graphOf(node) };
}

let threads = 0;
/** In a thread of its own. */
async function answerOf(graph: ReturnType<typeof graphOf>, value: number) {
  threads += 1;
  return await runThread(graph, { value }, { threadId: `t-${threads}` });
}

const logOf = async (...asked: Parameters<typeof answerOf>) => (await answerOf(...asked)).values.log;
/** @returns what has been warned of since */
function listenForWarnings(): () => Promise<readonly string[]> {
  const warned: string[] = [];
  const note = (warning: Error) => void warned.push(warning.message);
  process.on("warning", note);
  onTestFinished(() => void process.off("warning", note));
  return async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return warned;
  };
}

const degradationsOf = (values: unknown) => (values as Degraded).degradations;

describe("a node with a cache", () => {
  it("answers the same input from it while the answer is fresh, in whichever thread", async () => {
    const { clock, graph } = remembering();
    expect(await logOf(graph, 1)).toEqual(["1 by call 1"]);
    expect(await logOf(graph, 1)).toEqual(["1 by call 1"]);
    expect(await logOf(graph, 2)).toEqual(["2 by call 2"]);
    await clock.advance(1000);
    expect(await logOf(graph, 1)).toEqual(["1 by call 3"]);
  });

  it("says so, and notes nothing: a fresh answer is not a degraded one", async () => {
    const { graph } = remembering();
    await answerOf(graph, 1);
    const told = recorder();
    const { values } = await runThread(graph, { value: 1 }, { threadId: "told", onEvent: told.onEvent });
    expect(told.events.filter((event) => event.type === "node.succeeded")).toMatchObject([{ answeredBy: "cache" }]);
    expect(degradationsOf(values) ?? []).toEqual([]);
  });

  it("tells inputs apart by all there is to them, unless it is told by what", async () => {
    const seen: number[] = [];
    const node = async ({ value }: Log): Promise<Update> => ({ log: [`call ${seen.push(value)}`] });
    const byAll = graphOf(withCache(node, { ttlMs: 60_000 }));
    await runThread(byAll, { value: 1 }, { threadId: "a" });
    await runThread(byAll, { value: 1, log: ["before"] }, { threadId: "b" });
    expect(seen).toEqual([1, 1]);
    const byKey = graphOf(withCache(node, { ttlMs: 60_000, key: ({ value }) => (value < 10 ? "few" : "many") }));
    await runThread(byKey, { value: 1 }, { threadId: "c" });
    await runThread(byKey, { value: 9, log: ["before"] }, { threadId: "d" });
    await runThread(byKey, { value: 10 }, { threadId: "e" });
    expect(seen.slice(2)).toEqual([1, 10]);
  });

  it("does not keep commands, which steer the run they are made in, and makes no fuss of it", async () => {
    const warnings = listenForWarnings();
    let calls = 0;
    const node = withCache(
      async (_: Log) => {
        calls += 1;
        return new Command({ update: { log: [`call ${calls}`] }, goto: "end" });
      },
      { ttlMs: 60_000 },
    );
    const graph = new StateGraph(LogState)
      .addNode("node", node as never, { ends: ["end"] })
      .addNode("end", (_: Log): Update => ({ log: ["end"] }))
      .addEdge(START, "node")
      .compile();
    expect((await graph.invoke({ value: 1 })).log).toEqual(["call 1", "end"]);
    expect((await graph.invoke({ value: 1 })).log).toEqual(["call 2", "end"]);
    expect(await warnings()).toEqual([]);
  });

  it("does not keep what something simpler has answered", async () => {
    const { counted, graph } = remembering({ fallback: [{ name: "f", run: (): Update => ({ log: ["from f"] }) }] });
    counted.plan.node = 1;
    expect(await logOf(graph, 1)).toEqual(["from f"]);
    expect(await logOf(graph, 1), "asked again").toEqual(["1 by call 2"]);
  });

  it("does not keep what stands on something simpler within it", async () => {
    const counted = failures({ lookUp: 1 });
    const lookUp = resilientTool(
      tool(
        () => {
          counted.pass("lookUp");
          return "looked up";
        },
        { name: "lookUp", schema: z.object({}) },
      ),
      { ...once, fallback: [{ name: "guess", run: () => "guessed" }] },
    );
    const node = withCache(async (_: Log, config): Promise<Update> => ({ log: [await lookUp.invoke({}, config)] }), {
      ttlMs: 60_000,
    });
    const graph = graphOf(node);
    expect(await logOf(graph, 1)).toEqual(["guessed"]);
    expect(await logOf(graph, 1)).toEqual(["looked up"]);
    expect(await logOf(graph, 1)).toEqual(["looked up"]);
    expect(counted.calls.lookUp).toBe(2);
  });

  it("does not keep what a person has provided", async () => {
    const { counted, graph } = remembering();
    counted.plan.node = 1;
    await runThread(graph, { value: 1 }, { threadId: "provided" });
    await resumeThread(graph, "provided", { action: "provide", result: { log: ["by hand"] } });
    expect(await logOf(graph, 1)).toEqual(["1 by call 2"]);
  });

  it("is asked anew by a person who says so, although another thread has an answer by now", async () => {
    const { counted, graph } = remembering();
    counted.plan.node = 1;
    await runThread(graph, { value: 1 }, { threadId: "sent back" });
    expect(await logOf(graph, 1)).toEqual(["1 by call 2"]);
    const done = await resumeThread(graph, "sent back", { action: "retry" });
    expect(done.values.log).toEqual(["1 by call 3"]);
    expect(await logOf(graph, 1), "what it answered is kept").toEqual(["1 by call 3"]);
  });
});

describe("an outdated answer", () => {
  it("stands in at the end of the chain, with its age in the state", async () => {
    const tried: string[] = [];
    const { clock, counted, graph } = remembering({
      fallback: [
        {
          name: "f",
          run: () => {
            tried.push("f");
            throw new Error("f is down");
          },
        },
      ],
    });
    await answerOf(graph, 1);
    counted.plan.node = 99;
    await clock.advance(3000);
    const { values } = await answerOf(graph, 1);
    expect(values.log).toEqual(["1 by call 1"]);
    expect(degradationsOf(values)).toMatchObject([
      { node: "node", answeredBy: "stale", category: "server_error", ageMs: 3000 },
    ]);
    expect(tried).toEqual(["f"]);
  });

  it("stands in where the chain says, and is no more than a step that failed where there is none", async () => {
    const { clock, counted, graph } = remembering({
      fallback: ["stale", { name: "f", run: ({ value }): Update => ({ log: [`${value} by f`] }) }],
    });
    await answerOf(graph, 1);
    counted.plan.node = 99;
    await clock.advance(3000);
    expect(await logOf(graph, 1)).toEqual(["1 by call 1"]);
    const { values } = await answerOf(graph, 2);
    expect(values.log).toEqual(["2 by f"]);
    expect(degradationsOf(values)).toMatchObject([{ answeredBy: "f" }]);
  });

  it("has its time, and is not made fresh by standing in", async () => {
    const { clock, counted, graph } = remembering();
    await answerOf(graph, 1);
    counted.plan.node = 3;
    await clock.advance(5999);
    expect((await answerOf(graph, 1)).status).toBe("succeeded");
    expect(counted.calls.node, "asked before the outdated answer was").toBe(2);
    await clock.advance(1);
    expect((await answerOf(graph, 1)).status).toBe("waiting_human");
  });

  it("does not stand in for what no fallback may answer", async () => {
    const clock = new FakeClock();
    const failing = failures({}, () => Object.assign(new Error("not yours"), { status: 403 }));
    const graph = graphOf(
      resilient(
        async (_: Log): Promise<Update> => {
          failing.pass("node");
          return { log: ["let in"] };
        },
        { ...once, clock, cache: { ttlMs: 1000, staleIfErrorMs: 5000 } },
      ),
    );
    await answerOf(graph, 1);
    failing.plan.node = 99;
    await clock.advance(1000);
    expect((await answerOf(graph, 1)).waitingFor[0]?.request?.failure.category).toBe("permission");
  });

  it("may be what a person chooses", async () => {
    const { clock, counted, graph } = remembering({ humanAfter: "retry" });
    await answerOf(graph, 1);
    counted.plan.node = 99;
    await clock.advance(2000);
    const stopped = await runThread(graph, { value: 1 }, { threadId: "asked" });
    expect(stopped.waitingFor[0]?.request?.fallbacks).toEqual(["stale"]);
    const done = await resumeThread(graph, "asked", { action: "fallback", step: "stale" });
    expect(done).toMatchObject({ status: "succeeded", values: { log: ["1 by call 1"] } });
    expect(degradationsOf(done.values)).toMatchObject([{ answeredBy: "stale", category: "server_error", ageMs: 2000 }]);
  });

  it("that a person chooses where there is none brings the question back", async () => {
    const { counted, graph } = remembering({ humanAfter: "retry" });
    counted.plan.node = 1;
    await runThread(graph, { value: 1 }, { threadId: "none" });
    const still = await resumeThread(graph, "none", { action: "fallback", step: "stale" });
    expect(still.status).toBe("waiting_human");
    expect(still.waitingFor[0]?.request?.failure.message).toContain("has no outdated answer to give");
    const done = await resumeThread(graph, "none", { action: "retry" });
    expect(done).toMatchObject({ status: "succeeded", values: { log: ["1 by call 2"] } });
  });
});

const answer = () =>
  new AIMessage({
    content: "Looking it up.",
    id: "answer-1",
    tool_calls: [{ name: "lookUp", args: { id: 17 }, id: "call-1", type: "tool_call" }],
    usage_metadata: { input_tokens: 12, output_tokens: 34, total_tokens: 46 },
    response_metadata: { model_name: "m-1", finish_reason: "tool_calls" },
  } as unknown as AIMessageFields);

/** Asks once; whoever asks again gets what was kept. */
function conversation(checkpointer: BaseCheckpointSaver, store: "process" | "shared", made: () => unknown[]) {
  const asked: number[] = [];
  const node = withCache(
    async function reply(_: typeof MessagesAnnotation.State) {
      asked.push(1);
      return { messages: made() as AIMessage[] };
    },
    { ttlMs: 60_000, key: () => "the same", store },
  );
  const graph = new StateGraph(MessagesAnnotation).addNode("reply", node).addEdge(START, "reply").compile({
    checkpointer,
  });
  return {
    asked,
    async messages(threadId: string) {
      const input = { messages: [new HumanMessage({ content: "Where is order 17?", id: "question" })] };
      return (await graph.invoke(input, { configurable: { thread_id: threadId, graph_id: "chat" } })).messages.slice(1);
    },
  };
}

describe("messages that are kept", () => {
  it.each(["process", "shared"] as const)("are messages again, with all they say (%s)", async (store) => {
    const { asked, messages } = conversation(inMemory(), store, () => [answer()]);
    const [first] = await messages("a");
    const [kept] = await messages("b");
    expect(asked).toHaveLength(1);
    expect(kept).toBeInstanceOf(AIMessage);
    expect(kept).not.toBe(first);
    const { content, id, tool_calls, usage_metadata, response_metadata } = answer();
    expect(kept).toMatchObject({ content, tool_calls, usage_metadata, response_metadata });
    // Under the old ID the answer to a second turn would take the place of the one to the first.
    expect(kept?.id).not.toBe(id);
    expect(await messages("a")).toHaveLength(2);
  });

  it("say also what was added once they were made", async () => {
    const { messages } = conversation(inMemory(), "process", () => {
      const message = new AIMessage("late");
      return [Object.assign(message, { name: "analyst", usage_metadata: { total_tokens: 3 } })];
    });
    await messages("a");
    expect(await messages("b")).toMatchObject([{ name: "analyst", usage_metadata: { total_tokens: 3 } }]);
  });

  it("may be of a tool, with what it made, or take one back", async () => {
    const made = () => [
      new ToolMessage({ content: "17", tool_call_id: "call-1", artifact: { rows: [answer()] }, status: "error" }),
      new RemoveMessage({ id: "question" }),
    ];
    const State = Annotation.Root({ made: Annotation<unknown[]> });
    let calls = 0;
    const node = withCache(
      async (_: typeof State.State) => {
        calls += 1;
        return { made: made() };
      },
      { ttlMs: 60_000 },
    );
    const graph = new StateGraph(State).addNode("node", node).addEdge(START, "node").compile();
    await graph.invoke({});
    const [ofTool, removal] = (await graph.invoke({})).made as [ToolMessage, RemoveMessage];
    expect(calls).toBe(1);
    expect(ofTool).toBeInstanceOf(ToolMessage);
    expect(ofTool).toMatchObject({ status: "error", tool_call_id: "call-1" });
    expect((ofTool.artifact as { rows: unknown[] }).rows[0]).toBeInstanceOf(AIMessage);
    expect(removal).toBeInstanceOf(RemoveMessage);
    expect(removal).toMatchObject({ id: "question" });
  });

  it("that a copy would change are not kept, with a warning", async () => {
    const warnings = listenForWarnings();
    const { asked, messages } = conversation(inMemory(), "process", () => [
      new ToolMessage({ content: "17", tool_call_id: "call-1", artifact: new URL("https://example.org") }),
    ]);
    await messages("a");
    await messages("b");
    expect(asked).toHaveLength(2);
    expect(await warnings()).toEqual([
      "reply: an answer holds an instance of URL, which a copy would not keep, and was not cached. This is said once",
    ]);
  });
});

describeOnPostgres("on one PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(async () => await database?.drop());

  /** As another process has it: a node, a graph and connections of its own. */
  function processOf(made: () => unknown[]) {
    const persistence = openPersistence(database.url);
    onTestFinished(() => persistence.close());
    return conversation(persistence.checkpointer as BaseCheckpointSaver, "shared", made);
  }

  it("processes share their answers, messages included", async () => {
    const one = processOf(() => [answer()]);
    const other = processOf(() => [new AIMessage("not asked")]);
    await one.messages("a");
    const [kept] = await other.messages("b");
    expect([one.asked.length, other.asked.length]).toEqual([1, 0]);
    expect(kept).toBeInstanceOf(AIMessage);
    const { content, tool_calls, usage_metadata } = answer();
    expect(kept).toMatchObject({ content, tool_calls, usage_metadata });
  });
});
