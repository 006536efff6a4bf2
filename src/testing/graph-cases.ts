/** What a graph of LangGraph finds again on a persistence. */
import { randomUUID } from "node:crypto";
import { Annotation, Command, DeltaValue, interrupt, START, StateGraph, StateSchema } from "@langchain/langgraph";
import { z } from "zod";
import type { Contract } from "./contract.js";
import { equals } from "./expectations.js";

const Notes = Annotation.Root({ notes: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }) });

export function graphCases({ describe, it, opened }: Contract): void {
  const onThread = () => ({ configurable: { thread_id: randomUUID() } });

  describe("graphs", () => {
    it("stop for a person and go on with the answer", async () => {
      const graph = new StateGraph(Notes)
        .addNode("ask", () => ({ notes: [`the answer is ${interrupt<string, string>("why?")}`] }))
        .addNode("end", () => ({ notes: ["end"] }))
        .addEdge(START, "ask")
        .addEdge("ask", "end")
        .compile({ checkpointer: opened().checkpointer });
      const thread = onThread();
      await graph.invoke({ notes: ["begin"] }, thread);
      equals((await opened().threads.get(thread.configurable.thread_id))?.pending, "interrupt");
      const { notes } = await graph.invoke(new Command({ resume: "42" }), thread);
      equals(notes, ["begin", "the answer is 42", "end"]);
      equals((await graph.getState(thread)).values, { notes });
      equals((await opened().threads.get(thread.configurable.thread_id))?.pending, undefined);
    });

    it("fail, and are resumed at the step that failed", async () => {
      const seen: string[] = [];
      const graph = new StateGraph(Notes)
        .addNode("once", () => ({ notes: [`once ${seen.push("once")}`] }))
        .addNode("fails", () => {
          if (seen.push("fails") === 2) throw new Error("no luck");
          return { notes: ["done"] };
        })
        .addEdge(START, "once")
        .addEdge("once", "fails")
        .compile({ checkpointer: opened().checkpointer });
      const thread = onThread();
      await graph.invoke({ notes: [] }, thread).catch(() => undefined);
      equals((await opened().threads.get(thread.configurable.thread_id))?.pending, "error");
      equals((await graph.invoke(null, thread)).notes, ["once 1", "done"]);
      equals(seen, ["once", "fails", "fails"]);
    });

    it("can be changed in their past, and both branches keep their own state", async () => {
      const graph = new StateGraph(Notes)
        .addNode("one", () => ({ notes: ["one"] }))
        .addNode("two", () => ({ notes: ["two"] }))
        .addEdge(START, "one")
        .addEdge("one", "two")
        .compile({ checkpointer: opened().checkpointer });
      const thread = onThread();
      await graph.invoke({ notes: ["begin"] }, thread);
      const before = await graph.getState(thread);
      const states = [];
      for await (const state of graph.getStateHistory(thread)) states.push(state);
      const beforeTwo = states.find(({ next }) => next.includes("two"));
      const fork = await graph.updateState(beforeTwo?.config ?? {}, { notes: ["changed"] }, "one");
      equals((await graph.invoke(null, fork)).notes, ["begin", "one", "changed", "two"]);
      equals((await graph.getState(thread)).values.notes, ["begin", "one", "changed", "two"]);
      equals((await graph.getState(before.config)).values.notes, ["begin", "one", "two"]);
      equals((await graph.getState(fork)).values.notes, ["begin", "one", "changed"]);
    });

    it("read back what parallel nodes wrote into one channel in the order it was applied", async () => {
      const state = new StateSchema({
        log: new DeltaValue(z.array(z.string()).default([]), {
          reducer: (log: string[], more: string[][]) => [...log, ...more.flat()],
        }),
      });
      const graph = new StateGraph(state)
        .addNode("c", () => ({ log: ["c"] }))
        .addNode("a", () => ({ log: ["a"] }))
        .addNode("b", () => ({ log: ["b"] }))
        .addEdge(START, "c")
        .addEdge(START, "a")
        .addEdge(START, "b")
        .compile({ checkpointer: opened().checkpointer });
      for (let thread = 0; thread < 10; thread += 1) {
        const config = onThread();
        const { log } = await graph.invoke({ log: ["begin"] }, config);
        equals((await graph.getState(config)).values.log, log);
      }
    });
  });
}
