/** Ways of calling an effect that once led to a second call, or to none: by tools, routers and functions. */
import { AIMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import type { Persistence } from "../../../src/core/ports.js";
import { defineEffect } from "../../../src/langgraph/effects/define-effect.js";
import { listEffects } from "../../../src/langgraph/effects/ledger-of-thread.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { resilientTool } from "../../../src/langgraph/resilient-tool.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { protect } from "../../../src/policies/protect.js";
import {
  again,
  failing,
  fault,
  gate,
  graphOf,
  type Node,
  paying,
  payTool,
  quick,
  type S,
  thread,
  told,
} from "./paying-graphs.js";
import { effectOn, newWorld, type World } from "./world.js";

/** For what comes by itself: how often to look, and when to give up. */
const soon = { interval: 1, timeout: 20_000 };

describe("an effect", () => {
  let persistence: Persistence;
  let world: World;
  beforeEach(() => {
    persistence = openPersistence("memory:");
    world = newWorld();
  });
  afterEach(() => persistence.close());

  it("of a router is another than that of the decorated node before it", async () => {
    const charge = effectOn(world);
    const route = async ({ cents }: S, config: object) => {
      await charge({ cents }, config);
      return "__end__";
    };
    await graphOf(persistence, resilient(paying(charge), quick), { route }).invoke({ cents: 5 }, thread);
    expect(world.asked).toHaveLength(2);
  });

  it("of a decorated function is another than that of its neighbour in the node", async () => {
    const charge = effectOn(world);
    const [one, other] = ["one", "other"].map((name) => resilient(paying(charge), { ...quick, name })) as [Node, Node];
    const node: Node = async (state, config) => ({
      done: [...((await one(state, config)).done ?? []), ...((await other(state, config)).done ?? [])],
    });
    const { done } = await graphOf(persistence, node).invoke({ cents: 5 }, thread);
    expect(new Set(done).size).toBe(2);
    expect(world.asked).toHaveLength(2);
  });

  it("of a decorated function is another than that of the node which calls it", async () => {
    const charge = effectOn(world);
    const decorated = resilient(paying(charge), quick);
    const node: Node = async (state, config) => {
      await charge({ cents: 5 }, config);
      return decorated(state, config);
    };
    await graphOf(persistence, node).invoke({ cents: 5 }, thread);
    expect(world.asked).toHaveLength(2);
  });

  it("of a decorated tool is done once when LangGraph tries the node again that calls it", async () => {
    const charge = effectOn(world);
    const pay = resilientTool(
      payTool(async (cents, config) => (await charge({ cents }, config)).id),
      quick,
    );
    const flaky = failing(1);
    const node: Node = async ({ cents }, config) => {
      const done = [await told(pay, cents, config)];
      flaky();
      return { done };
    };
    await graphOf(persistence, node, { retryPolicy: again }).invoke({ cents: 5 }, thread);
    expect(world.asked).toHaveLength(1);
  });

  it("of a decorated tool is done once when LangGraph tries the tools again of which another failed", async () => {
    const charge = effectOn(world);
    const paid = gate();
    const fails = failing(1);
    const pay = payTool(async (cents, config) => {
      const { id } = await charge({ cents }, config);
      paid.open();
      return id;
    });
    const other = async () => {
      await paid.opened;
      fails();
      return "done";
    };
    const flaky = tool(other, { name: "flaky", description: "fails once", schema: z.object({}) });
    const tools = new ToolNode([resilientTool(pay, quick), flaky], { handleToolErrors: false });
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("tools", tools, { retryPolicy: again })
      .addEdge(START, "tools")
      .compile({ checkpointer: persistence.checkpointer });
    const calls = [
      { id: "a", name: "pay", args: { cents: 5 } },
      { id: "b", name: "flaky", args: {} },
    ];
    await graph.invoke({ messages: [new AIMessage({ content: "", tool_calls: calls })] }, thread);
    expect(world.asked).toHaveLength(1);
  });

  it("keeps its key when a protected function tries it again", async () => {
    const charge = effectOn(world, { kind: "idempotent" });
    world.script.push("reset after");
    const node: Node = async ({ cents }, config) => {
      const safely = protect(async () => charge({ cents }, config), { name: "payments", ...quick });
      return { done: [(await safely(undefined as never)).id] };
    };
    await graphOf(persistence, resilient(node, quick)).invoke({ cents: 5 }, thread);
    expect(world.asked).toHaveLength(2);
    expect(new Set(world.asked.map(({ key }) => key)).size).toBe(1);
  });

  it("in doubt is not called again by a node that catches the error and tries once more", async () => {
    const charge = effectOn(world);
    world.script.push("reset after");
    const node: Node = async ({ cents }, config) => {
      const once = () => charge({ cents }, config);
      return { done: [(await once().catch(once)).id] };
    };
    await expect(graphOf(persistence, resilient(node, quick)).invoke({ cents: 5 }, thread)).rejects.toThrow(/charge/);
    expect(world.asked).toHaveLength(1);
  });

  it("is in doubt when the run was aborted, even for a reason with the status of a refusal", async () => {
    world.script.push("hang after");
    const graph = graphOf(persistence, paying(effectOn(world)));
    const client = new AbortController();
    const ended = graph.invoke({ cents: 5 }, { ...thread, signal: client.signal }).catch(() => {});
    await vi.waitUntil(() => world.deeds.length === 1, soon);
    client.abort(fault(499));
    await ended;
    const state = async () => (await listEffects(graph, "t"))[0]?.state;
    await vi.waitUntil(async () => (await state()) !== "dispatched", soon);
    expect(await state()).toBe("unknown");
    await expect(graph.invoke(null, thread)).rejects.toThrow(/charge/);
    expect(world.asked).toHaveLength(1);
  });

  it("is given the same input in its own retry, and in the ledger, whatever it does to it", async () => {
    const given: string[] = [];
    const flaky = failing(1);
    const append = defineEffect({
      name: "append",
      kind: "idempotent",
      input: z.object({ list: z.array(z.number()) }),
      output: z.string(),
      ...quick,
      run({ list }) {
        given.push(JSON.stringify(list));
        list.push(2);
        flaky();
        return "appended";
      },
    });
    const graph = graphOf(persistence, async (_, config) => ({ done: [await append({ list: [1] }, config)] }));
    await graph.invoke({ cents: 5 }, thread);
    expect(given).toEqual(["[1]", "[1]"]);
    expect((await listEffects(graph, "t"))[0]?.input).toEqual({ list: [1] });
  });

  it.each([undefined, "", 7])("is refused, and not called, when its key is %j", async (key) => {
    const graph = graphOf(persistence, paying(effectOn(world, { key: () => key as string })));
    await expect(graph.invoke({ cents: 5 }, thread)).rejects.toThrow(/its key\(input\) gave/);
    expect(world.asked).toEqual([]);
  });
});
