/** Which effect a call is, wherever it is made from: what an effect is must not change with who calls it, or how often. */
import { AIMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import {
  Annotation,
  Command,
  END,
  interrupt,
  MessagesAnnotation,
  type RetryPolicy,
  Send,
  START,
  StateGraph,
} from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { createAgent, FakeToolCallingModel } from "langchain";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Persistence } from "../../../src/core/ports.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilienceMiddleware } from "../../../src/langgraph/middleware/resilience-middleware.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { resilientTool } from "../../../src/langgraph/resilient-tool.js";
import { withFallback, withRetry } from "../../../src/langgraph/single-rungs.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { effectOn, newWorld, probeOf, type World } from "./world.js";

const State = Annotation.Root({
  cents: Annotation<number>(),
  done: Annotation<string[]>({ reducer: (before, added) => before.concat(added), default: () => [] }),
});
type S = typeof State.State;
type Node = (state: S, config: never) => Promise<Partial<S>>;

const quick = { retry: { initialDelayMs: 1 } } as const;
const thread = { configurable: { thread_id: "t" } };
const fault = (status: number) => Object.assign(new Error(`status ${status}`), { status });
const calls = (...cents: number[]) => cents.map((one, n) => ({ id: `call ${n}`, name: "pay", args: { cents: one } }));

describe("an effect is the one that it was", () => {
  let persistence: Persistence;
  let world: World;
  let fails: number;
  beforeEach(() => {
    persistence = openPersistence("memory:");
    world = newWorld();
    fails = 0;
  });
  afterEach(() => persistence.close());

  /** Fails as often as `fails` says. */
  const flaky = () => {
    if (fails-- > 0) throw fault(503);
  };
  const graphOf = (node: Node, options: { retryPolicy?: RetryPolicy } = {}) =>
    new StateGraph(State)
      .addNode("pay", node as never, options)
      .addEdge(START, "pay" as never)
      .addEdge("pay" as never, END)
      .compile({ checkpointer: persistence.checkpointer });
  /** A graph within a node, which pays until there are so many receipts. */
  const inner = (charge: ReturnType<typeof effectOn>, receipts = 1) =>
    new StateGraph(State)
      .addNode("pay", async ({ cents }: S, config) => ({ done: [(await charge({ cents }, config)).id] }))
      .addEdge(START, "pay")
      .addConditionalEdges("pay", ({ done }) => (done.length < receipts ? "pay" : END))
      .compile();
  /** Goes on from before the node's first run, or from before its last. */
  const fork = async (
    graph: ReturnType<typeof graphOf> | object,
    next: string,
    which: "first" | "last" = "first",
    config: object = thread,
  ) => {
    const found: { next: string[]; config: { configurable?: { checkpoint_id?: string; thread_id?: string } } }[] = [];
    for await (const one of (graph as ReturnType<typeof graphOf>).getStateHistory(config))
      if ((one.next as string[]).includes(next)) found.push(one as never);
    const { checkpoint_id: from = "", thread_id = "" } =
      found.at(which === "first" ? -1 : 0)?.config.configurable ?? {};
    const { values } = await resumeThread(graph as never, thread_id, undefined, { from });
    return values as S;
  };
  const payTool = (charge: ReturnType<typeof effectOn>) =>
    tool(async ({ cents }: { cents: number }, config) => (await charge({ cents }, config as never)).id, {
      name: "pay",
      description: "pays",
      schema: z.object({ cents: z.number() }),
    });

  it("in each attempt and each fallback of nested decorators", async () => {
    const charge = effectOn(world);
    const node: Node = async ({ cents }, config) => {
      const { id } = await charge({ cents }, config);
      flaky();
      return { done: [id] };
    };
    const nested = withFallback(node as never, [{ name: "again", run: node as never }]);
    fails = 3;
    const graph = graphOf(withRetry(nested as never, { initialDelayMs: 1, maxAttempts: 4, retryOn: () => true }));
    await graph.invoke({ cents: 5 }, thread);
    expect(fails).toBe(-1);
    expect(world.asked).toHaveLength(1);
  });

  it("in calls at once, of which some are refused and some in doubt", async () => {
    const charge = effectOn(world, { probe: probeOf(world) });
    world.script.push("reset after", "reset before", "500 after");
    const node: Node = async (_, config) => {
      const receipts = await Promise.all([5, 5, 5, 6].map((cents) => charge({ cents }, config)));
      return { done: receipts.map(({ id }) => id) };
    };
    const graph = graphOf(resilient(node as never, { retry: { initialDelayMs: 1, maxAttempts: 5 } }));
    const { done } = await graph.invoke({ cents: 5 }, thread);
    expect(new Set(done).size).toBe(4);
    expect(world.deeds).toHaveLength(4);
  });

  it("in parallel calls of a tool, when their node is tried again and on a branch", async () => {
    const tools = new ToolNode([resilientTool(payTool(effectOn(world)), quick)], { handleToolErrors: false });
    const node = async (state: typeof MessagesAnnotation.State, config: object) => {
      const told = await tools.invoke(state, config);
      flaky();
      return told;
    };
    fails = 1;
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("tools", resilient(node, quick))
      .addEdge(START, "tools")
      .addEdge("tools", END)
      .compile({ checkpointer: persistence.checkpointer });
    await graph.invoke({ messages: [new AIMessage({ content: "", tool_calls: calls(5, 5, 6) })] }, thread);
    await fork(graph, "tools");
    expect(world.asked.map(({ cents }) => cents)).toEqual([5, 5, 6]);
  });

  it("in the tools of an agent within a node, whose calls are tried again, and so is the node, and forked", async () => {
    let toolFails = 2;
    const pay = payTool(effectOn(world));
    const flakyPay = tool(
      async (input: { cents: number }, config) => {
        const id = await pay.invoke(input, config as never);
        if (toolFails-- > 0) throw fault(503);
        return id;
      },
      { name: "pay", description: "pays", schema: z.object({ cents: z.number() }) },
    );
    const node = async ({ messages }: typeof MessagesAnnotation.State, config: object) => {
      const model = new FakeToolCallingModel({ toolCalls: [calls(5, 5), []] });
      const middleware = [resilienceMiddleware({ tools: quick })];
      const agent = createAgent({ model, tools: [flakyPay], middleware });
      const said = await agent.invoke({ messages }, config);
      flaky();
      return { messages: said.messages };
    };
    fails = 1;
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("agent", resilient(node, quick))
      .addEdge(START, "agent")
      .addEdge("agent", END)
      .compile({ checkpointer: persistence.checkpointer });
    await graph.invoke({ messages: [{ role: "user", content: "pay" }] }, thread);
    await fork(graph, "agent");
    expect(world.asked).toHaveLength(2);
  });

  it("in each attempt of LangGraph's own retry, before and after a question", async () => {
    const charge = effectOn(world);
    const byKey = effectOn(world, { name: "byKey", key: ({ cents }) => `of ${cents}` });
    const node: Node = async (_, config) => {
      const before = [await charge({ cents: 1 }, config), await charge({ cents: 1 }, config)];
      before.push(await byKey({ cents: 1 }, config));
      flaky();
      const answer = interrupt("go on?") as string;
      return { done: [...before, await charge({ cents: 2 }, config)].map(({ id }) => id).concat(answer) };
    };
    const retryPolicy = { initialInterval: 1, maxAttempts: 4, jitter: false, logWarning: false };
    const graph = graphOf(node, { retryPolicy });
    fails = 2;
    await graph.invoke({ cents: 5 }, thread);
    fails = 1;
    const { done } = await graph.invoke(new Command({ resume: "yes" }), thread);
    expect(new Set(done).size).toBe(5);
    expect(world.asked).toHaveLength(4);
  });

  it("in graphs that an attempt calls beside each other, and on a branch", async () => {
    const paying = inner(effectOn(world));
    const node: Node = async (_, config) => {
      const all = await Promise.all([1, 2, 2].map((cents) => paying.invoke({ cents }, config)));
      flaky();
      return { done: all.flatMap(({ done }) => done) };
    };
    fails = 2;
    const graph = graphOf(resilient(node as never, quick));
    const { done } = await graph.invoke({ cents: 5 }, thread);
    expect(new Set(done).size).toBe(3);
    expect((await fork(graph, "pay")).done).toEqual(done);
    expect(world.asked).toHaveLength(3);
  });

  it("in the loops of a graph two levels down, on branches and branches of them", async () => {
    const leaf = inner(effectOn(world), 2);
    const middle = new StateGraph(State).addNode("leaf", leaf).addEdge(START, "leaf").addEdge("leaf", END).compile();
    const node = async ({ cents }: S, config: object) => {
      const { done } = await middle.invoke({ cents }, config);
      flaky();
      return { done };
    };
    const graph = new StateGraph(State)
      .addNode("pay", resilient(node, quick))
      .addEdge(START, "pay")
      .addConditionalEdges("pay", ({ done }) => (done.length < 4 ? "pay" : END))
      .compile({ checkpointer: persistence.checkpointer });
    fails = 1;
    const { done } = await graph.invoke({ cents: 5 }, thread);
    expect(new Set(done).size).toBe(4);
    for (const which of ["first", "last", "first"] as const) {
      fails = 1;
      expect((await fork(graph, "pay", which)).done).toEqual(done);
    }
    expect(world.asked).toHaveLength(4);
  });

  it.each(["as a node", "called by one"])(
    "in a graph %s, sent back by a person, on a branch; but not in the next turn",
    async (how) => {
      const charge = effectOn(world);
      let isDown = true;
      const node = async ({ cents }: S, config: object) => {
        const { id } = await charge({ cents }, config);
        if (isDown) throw fault(401);
        return { done: [id] };
      };
      const within = new StateGraph(State)
        .addNode("pay", resilient(node, quick))
        .addEdge(START, "pay")
        .addEdge("pay", END);
      installRecovery(within);
      const paying = within.compile();
      const calling = async ({ cents }: S, config: object) => ({ done: (await paying.invoke({ cents }, config)).done });
      const graph = new StateGraph(State)
        .addNode("first", async () => ({}))
        .addNode("outer", how === "as a node" ? paying : calling)
        .addEdge(START, "first")
        .addEdge("first", "outer")
        .addEdge("outer", END)
        .compile({ checkpointer: persistence.checkpointer });
      const { threadId } = await runThread(graph, { cents: 5 }, { threadId: "t" });
      expect((await resumeThread(graph, "t", { action: "retry" })).status).toBe("waiting_human");
      isDown = false;
      expect((await resumeThread(graph, "t", { action: "retry" })).status).toBe("succeeded");
      const config = { configurable: { thread_id: threadId } };
      for (const next of ["outer", "first"]) await fork(graph, next, "first", config);
      expect(world.asked).toHaveLength(1);
      await runThread(graph, { cents: 5 }, { threadId: "t", ifExists: "newTurn" });
      expect(world.asked).toHaveLength(2);
    },
  );

  it("in workers with the same input, on a branch that fails and is sent back", async () => {
    const charge = effectOn(world);
    let isDown = false;
    const node = async ({ cents }: S, config: object) => {
      const { id } = await charge({ cents }, config);
      if (isDown && cents === 5) throw fault(401);
      return { done: [id] };
    };
    const builder = new StateGraph(State)
      .addNode("start", async () => ({}))
      .addNode("pay", resilient(node, quick))
      .addEdge(START, "start")
      .addConditionalEdges("start", () => [5, 5, 6].map((cents) => new Send("pay", { cents })), ["pay"])
      .addEdge("pay", END);
    installRecovery(builder);
    const graph = builder.compile({ checkpointer: persistence.checkpointer });
    const { done } = await graph.invoke({ cents: 0 }, thread);
    expect((await fork(graph, "start")).done.toSorted()).toEqual(done.toSorted());
    isDown = true;
    await fork(graph, "pay");
    isDown = false;
    let run = await resumeThread(graph, "t");
    for (let asked = 0; run.status === "waiting_human" && asked < 2; asked += 1)
      run = await resumeThread(graph, "t", { action: "retry" }, { answerTo: run.waitingFor?.[0]?.id ?? "" });
    expect(run.status).toBe("succeeded");
    expect((run.values as S).done.toSorted()).toEqual(done.toSorted());
    expect(world.asked).toHaveLength(3);
  });

  it("in several runs at once of a thread that nobody has locked", async () => {
    const charge = effectOn(world);
    const graph = graphOf(async ({ cents }, config) => ({ done: [(await charge({ cents }, config)).id] }));
    await graph.invoke({ cents: 5 }, { ...thread, interruptBefore: "*" });
    const runs = await Promise.all([1, 2, 3].map(() => graph.invoke(null, thread)));
    expect(new Set(runs.flatMap(({ done }) => done)).size).toBe(1);
    expect(world.asked).toHaveLength(1);
  });
});
