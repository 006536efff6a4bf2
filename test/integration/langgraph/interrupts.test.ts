/** Questions asked from inside nodes that are also retried: a person is asked each of them once. */
import { interrupt, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { attempt } from "../../../src/langgraph/attempt-scope.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { type Node, resilient } from "../../../src/langgraph/resilient.js";
import type { ResilientOptions } from "../../../src/langgraph/resilient-options.js";
import { withRetry } from "../../../src/langgraph/single-rungs.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { failures, type Log, LogState, once, quick, unavailable } from "../../support/graphs.js";

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
    expect((await resumeThread(graph, "t", "yes")).values.log).toEqual(["yes"]);
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
    expect((await runThread(graph, { value: 1 }, { threadId: "t" })).waitingFor.map((one) => one.value)).toEqual([
      "first?",
    ]);
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
      {
        retry: { ...quick, maxAttempts: 2 },
        fallback: [{ name: "ask", run: () => ({ log: [String(interrupt("fallback asks"))] }) }],
      },
    );
    expect((await runThread(graph, { value: 1 }, { threadId: "t" })).waitingFor.map((one) => one.value)).toEqual([
      "node asks",
    ]);
    expect((await resumeThread(graph, "t", "for the node")).waitingFor.map((one) => one.value)).toEqual([
      "fallback asks",
    ]);
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
    expect((await resumeThread(graph, "t", "yes")).values.log).toEqual(["yes"]);
  });
});

describe("questions in nested decorators", () => {
  it("are counted through all of them: the fallback's question is its own", async () => {
    const inner = withRetry(
      async (_: Log): Promise<Update> => {
        interrupt("node asks");
        throw unavailable();
      },
      { ...quick, maxAttempts: 2 },
    );
    const graph = graphOf(inner, {
      retry: quick,
      fallback: [{ name: "ask", run: () => ({ log: [String(interrupt("fallback asks"))] }) }],
    });
    await runThread(graph, { value: 1 }, { threadId: "t" });
    const asked = await resumeThread(graph, "t", "for the node");
    expect(asked.waitingFor.map((one) => one.value)).toEqual(["fallback asks"]);
    expect((await resumeThread(graph, "t", "for the fallback")).values.log).toEqual(["for the fallback"]);
  });
});

describe("a branch that failed beside a branch that asks a question of its own", () => {
  it("is tried again once that is answered, and still reaches the person", async () => {
    let calls = 0;
    const builder = new StateGraph(LogState)
      .addNode(
        "asks",
        resilient(async (_: Log) => ({ log: [String(interrupt("proceed?"))] })),
      )
      .addNode(
        "fails",
        resilient(async (_: Log): Promise<Update> => {
          calls += 1;
          throw unavailable();
        }, once),
      )
      .addEdge(START, "asks")
      .addEdge(START, "fails");
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });
    const asked = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(asked.waitingFor.map((one) => one.value)).toEqual(["proceed?"]);
    const stopped = await resumeThread(graph, "t", "yes");
    expect(stopped.waitingFor.map((one) => one.request?.node)).toEqual(["fails"]);
    // The record of the first failure did not outlive the pause, so the step is tried anew before a person is asked.
    expect(calls).toBe(2);
    expect(await resumeThread(graph, "t", { action: "provide", result: { log: ["by hand"] } })).toMatchObject({
      status: "succeeded",
      values: { log: ["yes", "by hand"] },
    });
  });
});

describe("an attempt that was given up on", () => {
  it("does not use up an answer when it asks too late", async () => {
    let open = (): void => undefined;
    const answers: unknown[] = [];
    const graph = graphOf(
      async (_, config) => {
        if (attempt(config).number === 1) {
          // Ignores its signal, and goes on to ask when its time is long up.
          await new Promise<void>((resolve) => {
            open = resolve;
          });
          interrupt("proceed?");
          return { log: ["too late"] };
        }
        open();
        await new Promise((resolve) => setTimeout(resolve, 10));
        answers.push(interrupt("proceed?"));
        return { log: ["in time"] };
      },
      { retry: { ...quick, maxAttempts: 2 }, timeout: { baseMs: 100 } },
    );
    expect((await runThread(graph, { value: 1 }, { threadId: "t" })).waitingFor).toHaveLength(1);
    expect(await resumeThread(graph, "t", "yes")).toMatchObject({ status: "succeeded", values: { log: ["in time"] } });
    expect(answers).toEqual(["yes"]);
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
    expect(refused).toMatchObject({ status: "waiting_human", error: { code: "ANSWER_REFUSED" } });
    const still = await inspectThread(graph, "t");
    expect(still.waitingFor.map((one) => one.value)).toEqual(["how many?"]);
    const done = await resumeThread(graph, "t", 7);
    expect(done).toMatchObject({ status: "succeeded", values: { value: 7 } });
    expect(calls).toBe(3);
  });
});

describe("a question of the graph's own that was answered before the node failed", () => {
  const asking = (failing: ReturnType<typeof failures>) => {
    const asked = async () => {
      const name = String(interrupt("who?"));
      failing.pass("node");
      return { log: [name] };
    };
    const builder = new StateGraph(LogState).addNode("node", asked).addEdge(START, "node");
    return builder.compile({ checkpointer: new MemorySaver() });
  };

  it("is not asked again: a resume without an answer runs the node with the one it had", async () => {
    const graph = asking(failures({ node: 1 }));
    await runThread(graph, { value: 1 }, { threadId: "t" });
    expect((await resumeThread(graph, "t", "Ann")).status).toBe("failed");
    expect(await resumeThread(graph, "t")).toMatchObject({ status: "succeeded", values: { log: ["Ann"] } });
  });

  it("refuses a second answer instead of dropping it without a word", async () => {
    const graph = asking(failures({ node: 1 }));
    await runThread(graph, { value: 1 }, { threadId: "t" });
    await resumeThread(graph, "t", "Ann");
    await expect(resumeThread(graph, "t", "Bob")).rejects.toMatchObject({
      code: "DECISION_REFUSED",
      message: expect.stringContaining("had been answered before"),
    });
    expect((await inspectThread(graph, "t")).values).toMatchObject({ log: ["Ann"] });
  });
});
