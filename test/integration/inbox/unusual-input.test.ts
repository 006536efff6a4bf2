/** Answers, options and inputs that nobody expects. */
import { AIMessage, HumanMessage } from "@langchain/core/messages";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { claimInboxItem } from "../../../src/recovery/inbox-change.js";
import { once, unavailable } from "../../support/graphs.js";
import { minute, office } from "./world.js";

describe("unusual input", () => {
  it("an empty name to hand on to is refused", async () => {
    const { graph, only } = office();
    await runThread(graph, { value: 1 }, { threadId: "esc" });
    await expect(resumeThread(graph, "esc", { action: "escalate", to: "" })).rejects.toThrow("does not fit");
    expect((await only()).state).toBe("pending");
  });

  it("a default action that is not offered is refused at once", () => {
    expect(() =>
      office({ actions: ["retry"], levels: [{ deadlineMs: minute }], onExpiry: { action: "abort" } }),
    ).toThrow(/onExpiry/);
  });

  it("a default action that cannot be kept is refused at once", () => {
    expect(() =>
      office({ levels: [{ deadlineMs: minute }], onExpiry: { action: "provide", result: { n: 1n } } }),
    ).toThrow(/onExpiry/);
  });

  it("claims for ever are refused in words", async () => {
    const { graph, persistence, only } = office();
    await runThread(graph, { value: 1 }, { threadId: "claim" });
    const { id } = await only();
    for (const forMs of [Number.POSITIVE_INFINITY, 1e18])
      await expect(claimInboxItem(persistence, id, { by: "ada", forMs })).rejects.toThrow(/forMs/);
  });
});

class Box {
  readonly n = 3;
  readonly again = () => this.n;
}

describe("what a step was given", () => {
  const payloads: Record<string, () => unknown> = {
    human: () => new HumanMessage("hi"),
    ai: () => new AIMessage({ content: "x", tool_calls: [{ id: "1", name: "t", args: { a: 1 } }] }),
    date: () => ({ at: new Date(0) }),
    map: () => new Map([["a", 1]]),
    set: () => new Set([1, 2]),
    bytes: () => new Uint8Array([1, 2, 3]),
    undef: () => ({ a: undefined, b: [undefined, 1] }),
    numbers: () => ({ nan: Number.NaN, inf: Number.POSITIVE_INFINITY, zero: -0 }),
    error: () => new Error("boom"),
    regexp: () => /x/g,
    url: () => new URL("https://example.com/x"),
    nul: () => ({ text: "a\u0000b\ud800c" }),
    box: () => ({ box: new Box() }),
    fn: () => ({ f: () => 1, a: 1 }),
    symbol: () => ({ s: Symbol("x") }),
  };
  for (const [name, make] of Object.entries(payloads))
    it(`a question about an input with ${name} can be answered`, async () => {
      const persistence = openPersistence("memory:");
      const State = Annotation.Root({ payload: Annotation<unknown>(), done: Annotation<boolean>() });
      let calls = 0;
      const builder = new StateGraph(State)
        .addNode("make", async () => ({ payload: make() }))
        .addNode(
          "work",
          resilient(
            async () => {
              calls += 1;
              if (calls === 1) throw unavailable();
              return { done: true };
            },
            { ...once, name: "work" },
          ) as never,
        )
        .addEdge(START, "make")
        .addEdge("make", "work")
        .addEdge("work", END);
      const graph = installRecovery(builder).compile({ checkpointer: persistence.checkpointer });
      const asked = await runThread(graph, {}, { threadId: "h" });
      expect(asked.status).toBe("waiting_human");
      const done = await resumeThread(graph, "h", { action: "retry" });
      expect([done.status, done.error?.message]).toEqual(["succeeded", undefined]);
    });
});
