/** Which effect it is that a step comes to: the same one for whatever name the step goes by, and another for another step. */
import { Command, END, interrupt, Send, START, StateGraph } from "@langchain/langgraph";
import { beforeEach, describe, expect, it } from "vitest";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { quick, recovering, type S, State } from "./paying-graphs.js";
import { effectOn, fault, newWorld, stores, type World } from "./world.js";

describe.each(stores)("an effect (%s)", (_, open) => {
  const { persistence } = open();
  let world: World;
  beforeEach(() => {
    world = newWorld();
  });

  const graphOf = (node: Parameters<typeof recovering>[1], options = {}) => recovering(persistence(), node, options);

  describe("of a step that a person sends back", () => {
    it.each(["retry", "adjust", "fallback"] as const)("by %s is the one that was done", async (action) => {
      const charge = effectOn(world);
      let isDown = true;
      const node = async (_: S, config: never) => {
        const { id } = await charge({ cents: 5 }, config);
        if (isDown) throw fault("no access", { status: 401 });
        return { done: [id] };
      };
      const graph = graphOf(node, { fallback: [{ name: "again", run: node }] });
      expect((await runThread(graph, { cents: 5 }, { threadId: "t" })).status).toBe("waiting_human");
      expect((await resumeThread(graph, "t", { action: "retry" })).status).toBe("waiting_human");
      isDown = false;
      const decision = action === "adjust" ? { action, state: { cents: 9 } } : { action };
      expect((await resumeThread(graph, "t", decision)).status).toBe("succeeded");
      expect(world.asked).toHaveLength(1);
    });
  });

  describe("on a branch of the thread", () => {
    const forked = async (onFork: "reuse" | "rerun" | "forbid", how: "from" | "updateState" | "another input") => {
      const charge = effectOn(world, { onFork });
      const builder = new StateGraph(State)
        .addNode("first", async () => ({ done: ["first"] }))
        .addNode(
          "pay",
          resilient(async ({ cents }: S, config) => ({ done: [(await charge({ cents }, config)).id] }), quick),
        )
        .addNode("last", async () => ({ done: ["last"] }))
        .addEdge(START, "first")
        .addEdge("first", "pay")
        .addEdge("pay", "last")
        .addEdge("last", END);
      installRecovery(builder);
      const graph = builder.compile({ checkpointer: persistence().checkpointer });
      const first = await runThread(graph, { cents: 5 }, { threadId: "t" });
      const config = { configurable: { thread_id: first.threadId } };
      const history = [];
      for await (const snapshot of graph.getStateHistory(config)) history.push(snapshot);
      const before = history.find(({ next }) => next[0] === "pay");
      if (before === undefined) throw new Error("no such checkpoint");
      if (how === "from")
        return resumeThread(graph, "t", undefined, { from: String(before.config.configurable?.checkpoint_id) });
      const values = how === "another input" ? { cents: 7 } : { done: ["by hand"] };
      await graph.updateState(before.config, values, "first");
      return resumeThread(graph, "t");
    };

    it.each(["from", "updateState"] as const)("is taken over with its receipt (%s)", async (how) => {
      const { status, values } = await forked("reuse", how);
      expect(status).toBe("succeeded");
      expect(world.asked).toHaveLength(1);
      expect((values.done as string[]).filter((one) => one.startsWith("receipt"))).toEqual([
        `receipt of ${world.deeds[0]?.key}`,
      ]);
    });

    it("is done again if it says so, with a key of its own", async () => {
      expect((await forked("rerun", "from")).status).toBe("succeeded");
      expect(new Set(world.asked.map(({ key }) => key)).size).toBe(2);
    });

    it("goes to a person if it says so", async () => {
      const { status, waitingFor } = await forked("forbid", "from");
      expect(status).toBe("waiting_human");
      expect(JSON.stringify(waitingFor)).toContain('\\"confirmed\\" on the branch of the thread that this one left');
      expect(world.asked).toHaveLength(1);
    });

    it("is no stale receipt for another input", async () => {
      const { status, waitingFor } = await forked("reuse", "another input");
      expect(status).toBe("waiting_human");
      expect(JSON.stringify(waitingFor)).toContain("with another input: the branch");
      expect(world.asked).toHaveLength(1);
    });

    it("keeps to the order of those that were done where there were several", async () => {
      const charge = effectOn(world);
      const builder = new StateGraph(State)
        .addNode("pay", async ({ cents, done }: S, config) => ({
          cents: cents + 1,
          done: [`${(await charge({ cents: cents % 2 }, config)).id} after ${done.length}`],
        }))
        .addEdge(START, "pay")
        .addConditionalEdges("pay", ({ done }) => (done.length < 4 ? "pay" : END));
      const graph = builder.compile({ checkpointer: persistence().checkpointer });
      const first = await runThread(graph, { cents: 0 }, { threadId: "t" });
      expect(world.asked.map(({ cents }) => cents)).toEqual([0, 1, 0, 1]);
      const history = [];
      for await (const snapshot of graph.getStateHistory({ configurable: { thread_id: first.threadId } }))
        history.push(snapshot);
      for (const done of [1, 0, 2]) {
        const from = history.find(({ values }) => values.done?.length === done && values.cents === done);
        const branch = await resumeThread(graph, "t", undefined, {
          from: String(from?.config.configurable?.checkpoint_id),
        });
        expect(branch.values).toEqual(first.values);
      }
      expect(world.asked).toHaveLength(4);
      // What was never done on any branch is done.
      await runThread(graph, { cents: 0, done: [] }, { threadId: "t", ifExists: "newTurn" });
    });
  });

  it("of a subgraph that its node runs again is the one that was done", async () => {
    const charge = effectOn(world);
    let fails = 2;
    const inner = new StateGraph(State)
      .addNode("pay", async ({ cents }: S, config) => ({ done: [(await charge({ cents }, config)).id] }))
      .addNode("after", async () => {
        if (fails-- > 0) throw fault("unavailable", { status: 503 });
        return {};
      })
      .addEdge(START, "pay")
      .addEdge("pay", "after")
      .addEdge("after", END)
      .compile();
    const builder = new StateGraph(State)
      .addNode(
        "outer",
        resilient(async ({ cents }: S, config) => ({ done: (await inner.invoke({ cents }, config)).done }), {
          retry: { initialDelayMs: 1, maxAttempts: 2 },
        }),
      )
      .addEdge(START, "outer")
      .addEdge("outer", END);
    installRecovery(builder);
    const graph = builder.compile({ checkpointer: persistence().checkpointer });
    expect((await runThread(graph, { cents: 5 }, { threadId: "t" })).status).toBe("waiting_human");
    const resumed = await resumeThread(graph, "t", { action: "retry" });
    expect(resumed.status).toBe("succeeded");
    expect(world.asked).toHaveLength(1);
  });

  it("of a graph that its node calls twice is done in each call, and in none again when the node is tried again", async () => {
    const charge = effectOn(world);
    let fails = 2;
    const inner = new StateGraph(State)
      .addNode("pay", async ({ cents }: S, config) => ({ done: [(await charge({ cents }, config)).id] }))
      .addEdge(START, "pay")
      .addEdge("pay", END)
      .compile();
    const graph = graphOf(async ({ cents }, config) => {
      const once = await inner.invoke({ cents }, config);
      const twice = await inner.invoke({ cents }, config);
      if (fails-- > 0) throw fault("unavailable", { status: 503 });
      return { done: [...once.done, ...twice.done] };
    });
    const { status, values } = await runThread(graph, { cents: 5 }, { threadId: "t" });
    expect(status).toBe("succeeded");
    expect(world.asked).toHaveLength(2);
    expect(values.done).toEqual(world.deeds.map(({ key }) => `receipt of ${key}`));
  });

  it("of a node that asks before and after is done once", async () => {
    const charge = effectOn(world);
    const graph = graphOf(async ({ cents }, config) => {
      const before = interrupt("may I?") as string;
      const { id } = await charge({ cents }, config);
      return { done: [before, id, interrupt("thank you?") as string] };
    });
    await runThread(graph, { cents: 5 }, { threadId: "t" });
    await resumeThread(graph, "t", "yes");
    const { values } = await resumeThread(graph, "t", "welcome");
    expect(values.done).toEqual(["yes", `receipt of ${world.deeds[0]?.key}`, "welcome"]);
    expect(world.asked).toHaveLength(1);
  });

  it("of an answer that is addressed to an old checkpoint is the one that was done", async () => {
    const charge = effectOn(world);
    const builder = new StateGraph(State)
      .addNode("pay", async ({ cents }: S, config) => {
        const answer = interrupt("how much?") as number;
        return { done: [`${answer}: ${(await charge({ cents: cents + answer }, config)).id}`] };
      })
      .addEdge(START, "pay")
      .addEdge("pay", END);
    const graph = builder.compile({ checkpointer: persistence().checkpointer });
    const config = { configurable: { thread_id: "t" } };
    await graph.invoke({ cents: 5 }, config);
    const asking = (await graph.getState(config)).config;
    await graph.invoke(new Command({ resume: 1 }), asking);
    await graph.invoke(new Command({ resume: 1 }), asking);
    expect(world.asked).toHaveLength(1);
    await graph.invoke(new Command({ resume: 2 }), asking).catch(() => {});
    expect(world.asked).toHaveLength(1);
  });

  it("of parallel workers is done once for each", async () => {
    const charge = effectOn(world);
    let fails = 1;
    const builder = new StateGraph(State)
      .addNode("start", async () => ({}))
      .addNode(
        "pay",
        resilient(async ({ cents }: S, config) => {
          const { id } = await charge({ cents }, config);
          if (cents === 2 && fails-- > 0) throw fault("unavailable", { status: 503 });
          return { done: [id] };
        }, quick),
      )
      .addEdge(START, "start")
      .addConditionalEdges("start", () => [1, 2, 3].map((cents) => new Send("pay", { cents })), ["pay"])
      .addEdge("pay", END);
    installRecovery(builder);
    const graph = builder.compile({ checkpointer: persistence().checkpointer });
    expect((await runThread(graph, { cents: 0 }, { threadId: "t" })).status).toBe("succeeded");
    expect(world.asked.map(({ cents }) => cents).toSorted()).toEqual([1, 2, 3]);
  });
});
