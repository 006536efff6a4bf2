/** Branches, graphs within graphs, and clocks that step back: where effects were once mistaken for each other. */
import { END, Send, START, StateGraph } from "@langchain/langgraph";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Persistence } from "../../../src/core/ports.js";
import { listEffects } from "../../../src/langgraph/effects/ledger-of-thread.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { resilientTool } from "../../../src/langgraph/resilient-tool.js";
import { openPersistence } from "../../../src/persistence/open.js";
import {
  failing,
  fork,
  gate,
  graphOf,
  innerGraph,
  type Node,
  paying,
  payTool,
  quick,
  quiet,
  type S,
  State,
  thread,
  told,
  untilDone,
} from "./paying-graphs.js";
import { effectOn, newWorld, type World } from "./world.js";

describe("an effect", () => {
  let persistence: Persistence;
  let world: World;
  beforeEach(() => {
    persistence = openPersistence("memory:");
    world = newWorld();
  });
  afterEach(() => persistence.close());

  const keyed = () => effectOn(world, { key: ({ cents }) => `of ${cents}` });
  /** A node that calls the graph, and fails so many times after it. */
  const callerOf = (inner: ReturnType<typeof innerGraph>, fails = 0, given: Partial<S> = {}) => {
    const flaky = failing(fails);
    return resilient(async ({ cents }: S, config) => {
      const { done } = await inner.invoke({ cents, ...given }, config);
      flaky();
      return { done };
    }, quick);
  };

  it("with a key keeps its receipt on a branch, beside another of the same node", async () => {
    const charge = keyed();
    const graph = graphOf(persistence, async (_, config) => ({
      done: [(await charge({ cents: 1 }, config)).id, (await charge({ cents: 2 }, config)).id],
    }));
    const { done } = await graph.invoke({ cents: 5 }, thread);
    expect((await fork(graph)).done).toEqual(done);
    expect(world.asked).toHaveLength(2);
  });

  it("with a key keeps its receipt on a branch, beside other workers of the same node", async () => {
    const charge = keyed();
    let before: Promise<unknown> = Promise.resolve();
    const oneByOne: Node = (state, config) => {
      const paid = before.then(() => paying(charge)(state, config));
      before = paid;
      return paid;
    };
    const graph = new StateGraph(State)
      .addNode("start", async () => ({}))
      .addNode("pay", resilient(oneByOne, quick))
      .addEdge(START, "start")
      .addConditionalEdges("start", () => [5, 6, 7].map((cents) => new Send("pay", { cents })), ["pay"])
      .addEdge("pay", END)
      .compile({ checkpointer: persistence.checkpointer });
    const { done } = await graph.invoke({ cents: 0 }, thread);
    expect((await fork(graph)).done.toSorted()).toEqual(done.toSorted());
    expect(world.asked).toHaveLength(3);
  });

  it("with a key in the loop of a graph is done once when the node around is tried again", async () => {
    const charge = keyed();
    const inner = innerGraph(async ({ cents }, config) => {
      const { id } = await charge({ cents }, config);
      return { cents: cents + 1, done: [id] };
    }, 3);
    await graphOf(persistence, callerOf(inner, 1)).invoke({ cents: 1 }, thread);
    expect(world.asked.map(({ cents }) => cents)).toEqual([1, 2, 3]);
  });

  it("of a graph is done for each of two decorated functions that call it within a decorated node", async () => {
    const inner = innerGraph(paying(effectOn(world)));
    const call: Node = async ({ cents }, config) => inner.invoke({ cents }, config);
    const [one, other] = ["one", "other"].map((name) => resilient(call, { ...quick, name })) as [Node, Node];
    const node: Node = async (state, config) => ({
      done: [...((await one(state, config)).done ?? []), ...((await other(state, config)).done ?? [])],
    });
    const { done } = await graphOf(persistence, resilient(node, quick)).invoke({ cents: 5 }, thread);
    expect(new Set(done).size).toBe(2);
    expect(world.asked).toHaveLength(2);
  });

  it("of a graph is done for each call of the decorated tool that calls it", async () => {
    const inner = innerGraph(paying(effectOn(world)));
    const pay = resilientTool(
      payTool(async (cents, config) => String((await inner.invoke({ cents }, config)).done[0])),
      quick,
    );
    const node: Node = async ({ cents }, config) => ({
      done: [await told(pay, cents, config), await told(pay, cents, config)],
    });
    const { done } = await graphOf(persistence, node).invoke({ cents: 5 }, thread);
    expect(new Set(done).size).toBe(2);
    expect(world.asked).toHaveLength(2);
  });

  it("of a graph is done once for each of two tools beside each other, of which one is tried again", async () => {
    const inner = innerGraph(paying(effectOn(world)));
    const flaky = failing(1);
    const work = payTool(async (cents, config) => {
      const { done } = await inner.invoke({ cents }, config);
      if (cents === 6) flaky();
      return String(done[0]);
    });
    const pay = resilientTool(work, quick);
    const graph = graphOf(persistence, async (_, config) => ({
      done: await Promise.all([5, 6].map((cents) => told(pay, cents, config))),
    }));
    const { done } = await graph.invoke({ cents: 5 }, thread);
    expect(new Set(done).size).toBe(2);
    expect(world.asked.map(({ cents }) => cents).toSorted()).toEqual([5, 6]);
  });

  describe("of a graph that keeps its own state", () => {
    it("is done in each round of its loop", async () => {
      const inner = innerGraph(paying(effectOn(world)), 3, true);
      const { done } = await graphOf(persistence, callerOf(inner, 0, { done: [] })).invoke({ cents: 5 }, thread);
      expect(new Set(done).size).toBe(3);
      expect(world.asked).toHaveLength(3);
    });

    it("is the one that was done on a branch of the graph around", async () => {
      const inner = innerGraph(paying(effectOn(world)), 1, true);
      const graph = graphOf(persistence, inner as never);
      await graph.invoke({ cents: 5 }, thread);
      await fork(graph);
      expect(world.asked).toHaveLength(1);
    });

    it("is done once when the node around is tried again, and once more in the next turn", async () => {
      const inner = innerGraph(paying(effectOn(world)), 1, true);
      const graph = graphOf(persistence, callerOf(inner, 1));
      await graph.invoke({ cents: 5 }, thread);
      expect(world.asked).toHaveLength(1);
      await graph.invoke({ cents: 5 }, thread);
      expect(world.asked).toHaveLength(2);
    });
  });

  it("of the next round is done, after a person has written what the failed neighbour of the first should have", async () => {
    const charge = effectOn(world);
    const paid = gate();
    const fails = failing(1, 400);
    const isOver = ({ done }: S) => done.filter((one) => one === "joined").length === 2;
    const graph = new StateGraph(State)
      .addNode("pay", async ({ cents }: S, config) => {
        const { id } = await charge({ cents }, config);
        paid.open();
        return { done: [id] };
      })
      .addNode("other", async () => {
        await paid.opened;
        await quiet();
        fails();
        return {};
      })
      .addNode("join", async () => ({ done: ["joined"] }))
      .addEdge(START, "pay")
      .addEdge(START, "other")
      .addEdge(["pay", "other"], "join")
      .addConditionalEdges("join", (state) => (isOver(state) ? END : ["pay", "other"]), ["pay", "other", END])
      .compile({ checkpointer: persistence.checkpointer });
    await expect(graph.invoke({ cents: 5 }, thread)).rejects.toMatchObject({ status: 400 });
    expect(world.asked).toHaveLength(1);
    await graph.updateState(thread, { done: ["by hand"] }, "other");
    await graph.invoke(null, thread);
    expect(world.asked).toHaveLength(2);
  });

  it("that was refused in one round and done in the next is done where it was refused on a branch", async () => {
    const charge = effectOn(world);
    world.script.push("refuse");
    const node: Node = async ({ cents }, config) => ({
      done: [
        await charge({ cents }, config).then(
          ({ id }) => id,
          () => "declined",
        ),
      ],
    });
    const graph = graphOf(persistence, node, { route: untilDone(2) });
    const { done } = await graph.invoke({ cents: 5 }, thread);
    expect(done[0]).toBe("declined");
    expect(world.deeds).toHaveLength(1);
    // The first round is really done now, and the second keeps the receipt that it has.
    expect((await fork(graph)).done[1]).toBe(done[1]);
    expect(world.deeds).toHaveLength(2);
  });

  it("that was undone is done anew on a branch, and the one after it is kept", async () => {
    const graph = graphOf(persistence, paying(effectOn(world)), { route: untilDone(2) });
    const { done } = await graph.invoke({ cents: 5 }, thread);
    const [first] = await listEffects(graph, "t");
    if (first === undefined) throw new Error("The ledger is empty");
    const { seq: _, ...entry } = first;
    await persistence.ledger?.move({ ...entry, state: "compensated", change: "undone" }, ["confirmed"]);
    const branch = await fork(graph);
    expect(branch.done[0]).not.toBe(done[0]);
    expect(branch.done[1]).toBe(done[1]);
    expect(world.asked).toHaveLength(3);
  });

  describe("when the clock steps back", () => {
    const now = Date.now.bind(Date);
    let backMs: number;
    beforeEach(() => {
      backMs = 0;
      vi.spyOn(Date, "now").mockImplementation(() => now() - backMs);
    });
    afterEach(() => vi.restoreAllMocks());

    it("is done in each round of a loop", async () => {
      const charge = effectOn(world);
      const node: Node = async ({ cents }, config) => {
        const { id } = await charge({ cents }, config);
        backMs += 10_000;
        return { done: [id] };
      };
      const { done } = await graphOf(persistence, node, { route: untilDone(3) }).invoke({ cents: 5 }, thread);
      expect(new Set(done).size).toBe(3);
      expect(world.asked).toHaveLength(3);
    });

    it("is done in the next turn, be it by less than a second", async () => {
      const graph = graphOf(persistence, paying(effectOn(world)));
      await graph.invoke({ cents: 5 }, thread);
      backMs = 300;
      const { done } = await graph.invoke({ cents: 5 }, thread);
      expect(new Set(done).size).toBe(2);
      expect(world.asked).toHaveLength(2);
    });
  });
});
