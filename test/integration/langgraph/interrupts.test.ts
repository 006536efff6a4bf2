/** Questions asked from inside nodes that are also retried: a person is asked each of them once. */
import { interrupt, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { type Node, resilient } from "../../../src/langgraph/resilient.js";
import type { ResilientOptions } from "../../../src/langgraph/resilient-options.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { type Log, LogState, once, quick, unavailable } from "../../support/graphs.js";

type Update = Partial<Log>;

function graphOf(node: Node<Log, Update>, options: ResilientOptions<Log, Update> = { retry: quick }) {
  const builder = new StateGraph(LogState).addNode("node", resilient(node, options)).addEdge(START, "node");
  return installRecovery(builder).compile({ checkpointer: new MemorySaver() });
}

describe("an interrupt in a node that is retried", () => {
  it("is asked once and its answer is kept through a failure after it", async () => {
    let failuresLeft = 2;
    const answers: unknown[] = [];
    const graph = graphOf(async () => {
      const answer = interrupt("proceed?");
      answers.push(answer);
      if (failuresLeft > 0) {
        failuresLeft -= 1;
        throw unavailable();
      }
      return { log: [String(answer)] };
    });
    expect((await runThread(graph, { value: 1 }, { threadId: "t" })).waitingFor).toMatchObject([{ value: "proceed?" }]);
    const done = await resumeThread(graph, "t", "yes");
    expect(done).toMatchObject({ status: "succeeded", values: { log: ["yes"] } });
    expect(answers).toEqual(["yes", "yes", "yes"]);
  });

  it("after a failure before it is asked once", async () => {
    let failuresLeft = 1;
    const graph = graphOf(async () => {
      if (failuresLeft > 0) {
        failuresLeft -= 1;
        throw unavailable();
      }
      return { log: [String(interrupt("proceed?"))] };
    });
    expect((await runThread(graph, { value: 1 }, { threadId: "t" })).waitingFor).toHaveLength(1);
    expect((await resumeThread(graph, "t", "yes")).values["log"]).toEqual(["yes"]);
  });

  it("followed by another one: both are asked once, in order, whatever fails between", async () => {
    const failing = new Set(["after first", "after second"]);
    const flaky = (where: string) => {
      if (failing.delete(where)) throw unavailable();
    };
    const graph = graphOf(async () => {
      const first = interrupt("first?");
      flaky("after first");
      const second = interrupt("second?");
      flaky("after second");
      return { log: [String(first), String(second)] };
    });
    expect((await runThread(graph, { value: 1 }, { threadId: "t" })).waitingFor.map((one) => one.value)).toEqual(["first?"]);
    expect((await resumeThread(graph, "t", "one")).waitingFor.map((one) => one.value)).toEqual(["second?"]);
    const done = await resumeThread(graph, "t", "two");
    expect(done).toMatchObject({ status: "succeeded", values: { log: ["one", "two"] } });
  });

  it("is never counted as a failed attempt", async () => {
    const types: string[] = [];
    const graph = graphOf(async () => ({ log: [String(interrupt("proceed?"))] }));
    await runThread(graph, { value: 1 }, { threadId: "t", onEvent: (event) => types.push(event.type) });
    await resumeThread(graph, "t", "yes", { onEvent: (event) => types.push(event.type) });
    expect(types.filter((type) => type.includes("failed"))).toEqual([]);
  });
});

describe("an interrupt in a fallback", () => {
  it("after an answered one in the node is a question of its own", async () => {
    const graph = graphOf(
      async () => {
        interrupt("node asks");
        throw unavailable();
      },
      { retry: { ...quick, maxAttempts: 2 }, fallback: [{ name: "ask", run: () => ({ log: [String(interrupt("fallback asks"))] }) }] },
    );
    expect((await runThread(graph, { value: 1 }, { threadId: "t" })).waitingFor.map((one) => one.value)).toEqual(["node asks"]);
    expect((await resumeThread(graph, "t", "for the node")).waitingFor.map((one) => one.value)).toEqual(["fallback asks"]);
    const done = await resumeThread(graph, "t", "for the fallback");
    expect(done).toMatchObject({ status: "succeeded", values: { log: ["for the fallback"] } });
  });

  it("of a node that asked nothing is asked once", async () => {
    const graph = graphOf(
      async () => {
        throw unavailable();
      },
      { ...once, fallback: [{ name: "ask", run: () => ({ log: [String(interrupt("fallback asks"))] }) }] },
    );
    await runThread(graph, { value: 1 }, { threadId: "t" });
    expect((await resumeThread(graph, "t", "yes")).values["log"]).toEqual(["yes"]);
  });
});


describe("a wrong answer to a question with a schema", () => {
  it("leaves the question open for a right one", async () => {
    let calls = 0;
    const graph = graphOf(async () => {
      calls += 1;
      return { value: interrupt("how many?", { responseSchema: z.number() }) };
    });
    const asked = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(asked.waitingFor).toHaveLength(1);
    const refused = await resumeThread(graph, "t", "seven");
    expect(refused.status).not.toBe("succeeded");
    const still = await inspectThread(graph, "t");
    expect(still.waitingFor.map((one) => one.value)).toEqual(["how many?"]);
    const done = await resumeThread(graph, "t", 7);
    expect(done).toMatchObject({ status: "succeeded", values: { value: 7 } });
    expect(calls).toBe(3);
  });
});
