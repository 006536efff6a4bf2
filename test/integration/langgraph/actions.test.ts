/** What a person may decide, and what becomes of it. */
import { Command, END, MemorySaver, Send, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import type { Degradation } from "../../../src/core/records.js";
import { attempt } from "../../../src/langgraph/attempt-scope.js";
import { installRecovery, type RecoveryOptions } from "../../../src/langgraph/install-recovery.js";
import { type Node, resilient } from "../../../src/langgraph/resilient.js";
import type { ResilientOptions } from "../../../src/langgraph/resilient-options.js";
import { inspectThread } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { failures, httpError, type Log, LogState, once, quick, recorder, unavailable } from "../../support/graphs.js";

type Update = Partial<Log>;

function graphOf(
  node: Node<Log, Update>,
  options: ResilientOptions<Log, Update> = once,
  recovery: RecoveryOptions = {},
) {
  const saver = new MemorySaver();
  const builder = new StateGraph(LogState)
    .addNode("first", async () => ({ log: ["first"] }))
    .addNode("node", resilient(node, options))
    .addNode("last", async () => ({ log: ["last"] }))
    .addEdge(START, "first")
    .addEdge("first", "node")
    .addEdge("node", "last")
    .addEdge("last", END);
  return installRecovery(builder, recovery).compile({ checkpointer: saver });
}
const broken = async (): Promise<Update> => {
  throw unavailable();
};
const requestOf = (result: { waitingFor: readonly { request?: unknown }[] }) => result.waitingFor[0]?.request;

describe("retry", () => {
  it("tries the step again with all its attempts, and goes on along the step's own edge", async () => {
    const failing = failures({ node: 3 });
    const graph = graphOf(
      async () => {
        failing.pass("node");
        return { log: ["node"] };
      },
      { retry: { ...quick, maxAttempts: 2 } },
    );
    const stopped = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(requestOf(stopped)).toMatchObject({ attempts: [{ number: 1 }, { number: 2 }] });
    const done = await resumeThread(graph, "t", { action: "retry" });
    expect(done.values.log).toEqual(["first", "node", "last"]);
    expect(failing.calls.node).toBe(4);
  });

  it("tells the node which attempt it is and what failed before, over human rounds too", async () => {
    const seen: [number, number, string | undefined][] = [];
    const graph = graphOf(
      async (_, config) => {
        const { number, failures: before, previous } = attempt(config);
        seen.push([number, before.length, previous?.category]);
        if (seen.length < 4) throw unavailable();
        return {};
      },
      { retry: { ...quick, maxAttempts: 2 } },
    );
    await runThread(graph, { value: 1 }, { threadId: "t" });
    await resumeThread(graph, "t", { action: "retry" });
    expect(seen).toEqual([
      [1, 0, undefined],
      [2, 1, "server_error"],
      [1, 2, "server_error"],
      [2, 3, "server_error"],
    ]);
  });
});

describe("adjust", () => {
  it("changes the step's input and the graph's state, then retries", async () => {
    const graph = graphOf(async ({ value }) => {
      if (value < 5) throw unavailable();
      return { log: [`node ${value}`] };
    });
    await runThread(graph, { value: 1 }, { threadId: "t" });
    const done = await resumeThread(graph, "t", { action: "adjust", state: { value: 7 } });
    expect(done.values).toMatchObject({ value: 7, log: ["first", "node 7", "last"] });
  });

  it("changes how often and how long the next try may take", async () => {
    const failing = failures({ node: 4 });
    const limits: boolean[] = [];
    const graph = graphOf(
      async (_, config) => {
        failing.pass("node");
        await new Promise((resolve, reject) => {
          const timer = setTimeout(resolve, 300);
          config.signal?.addEventListener("abort", () => {
            clearTimeout(timer);
            limits.push(true);
            reject(config.signal?.reason);
          });
        });
        return { log: ["node"] };
      },
      { retry: { ...quick, maxAttempts: 1 }, timeout: { baseMs: 5 } },
    );
    await runThread(graph, { value: 1 }, { threadId: "t" });
    const still = await resumeThread(graph, "t", {
      action: "adjust",
      parameters: { maxAttempts: 4, initialDelayMs: 1 },
    });
    expect(still.status).toBe("waiting_human");
    expect(failing.calls.node).toBe(5);
    expect(limits).toEqual([true]);
    const done = await resumeThread(graph, "t", { action: "adjust", parameters: { timeoutMs: 5000 } });
    expect(done.status).toBe("succeeded");
  });
});

describe("fallback", () => {
  it("runs the step that was named, and notes it in the state", async () => {
    const graph = graphOf(broken, {
      ...once,
      humanAfter: "retry",
      fallback: [
        { name: "short", run: () => ({ log: ["short"] }) },
        { name: "template", run: () => ({ log: ["template"] }) },
      ],
    });
    const stopped = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(requestOf(stopped)).toMatchObject({ fallbacks: ["short", "template"], fallbacksTried: [] });
    const done = await resumeThread(graph, "t", { action: "fallback", step: "template" });
    expect(done.values.log).toEqual(["first", "template", "last"]);
    expect(done.values.degradations).toMatchObject([
      { node: "node", answeredBy: "template", category: "server_error" },
    ]);
  });

  it("is not offered where the node declares none", async () => {
    const graph = graphOf(broken);
    const stopped = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect((requestOf(stopped) as { actions: { action: string }[] }).actions.map((one) => one.action)).not.toContain(
      "fallback",
    );
    await expect(resumeThread(graph, "t", { action: "fallback" })).rejects.toThrow('action "fallback" is not offered');
  });
});

describe("provide", () => {
  it("takes the person's result as the step's, without running it or calling it degraded", async () => {
    const failing = failures({ node: 9 });
    const graph = graphOf(async () => {
      failing.pass("node");
      return {};
    });
    await runThread(graph, { value: 1 }, { threadId: "t" });
    const done = await resumeThread(graph, "t", { action: "provide", result: { log: ["by hand"], value: 3 } });
    expect(done.values).toMatchObject({ value: 3, log: ["first", "by hand", "last"], degradations: [] });
    expect(failing.calls.node).toBe(1);
  });
});

describe("escalate", () => {
  it("asks again, and says how often it was handed on", async () => {
    const graph = graphOf(async () => {
      throw httpError(401);
    });
    await runThread(graph, { value: 1 }, { threadId: "t" });
    const asked = await resumeThread(graph, "t", { action: "escalate", to: "ops" });
    expect(requestOf(asked)).toMatchObject({ decisions: [{ action: "escalate" }], node: "node" });
    expect((await resumeThread(graph, "t", { action: "provide", result: {} })).status).toBe("succeeded");
  });
});

describe("abort", () => {
  it("ends the run, a resume is refused with the reason, and any earlier checkpoint goes on", async () => {
    const failing = failures({ node: 1 });
    const graph = graphOf(async () => {
      failing.pass("node");
      return { log: ["node"] };
    });
    const stopped = await runThread(graph, { value: 1 }, { threadId: "t" });
    const aborted = await resumeThread(graph, "t", { action: "abort", by: "ann", reason: "wrong order" });
    expect(aborted).toMatchObject({ status: "aborted", error: { code: "RUN_ABORTED" } });
    expect(aborted.error?.message).toContain("by ann: wrong order");
    for (const decision of [undefined, { action: "retry" }])
      await expect(resumeThread(graph, "t", decision)).rejects.toMatchObject({
        code: "THREAD_NOT_RESUMABLE",
        message: expect.stringContaining("by ann: wrong order"),
      });
    expect(failing.calls.node).toBe(1);

    const history = [];
    for await (const one of graph.getStateHistory({ configurable: { thread_id: stopped.threadId } })) history.push(one);
    const before = history.find((one) => one.next.includes("node"))?.config.configurable?.checkpoint_id as string;
    const done = await resumeThread(graph, "t", undefined, { from: before });
    expect(done).toMatchObject({ status: "succeeded", values: { log: ["first", "node", "last"] } });
    expect((await inspectThread(graph, "t")).status).toBe("succeeded");
  });

  it("can be taken back from the very checkpoint that asked, with another answer at once", async () => {
    const failing = failures({ node: 1 });
    const graph = graphOf(async () => {
      failing.pass("node");
      return { log: ["node"] };
    });
    const stopped = await runThread(graph, { value: 1 }, { threadId: "t" });
    await resumeThread(graph, "t", { action: "abort", by: "ann" });
    const from = stopped.checkpointId as string;
    expect(await resumeThread(graph, "t", undefined, { from })).toMatchObject({ status: "waiting_human" });
    const done = await resumeThread(graph, "t", { action: "retry" }, { from });
    expect(done).toMatchObject({ status: "succeeded", values: { log: ["first", "node", "last"] } });
  });
});

describe("a decision that does not fit", () => {
  const wrong: readonly (readonly [string, unknown])[] = [
    ["no action", { by: "ann" }],
    ["an unknown action", { action: "dance" }],
    ["a text", "retry"],
    ["a field too many", { action: "retry", parameters: {} }],
    ["a result that is no object", { action: "provide", result: "done" }],
    ["an unknown step", { action: "fallback", step: "nope" }],
    ["attempts out of range", { action: "adjust", parameters: { maxAttempts: 0 } }],
  ];

  it.each(wrong)("with %s is refused by resumeThread and leaves the question open", async (_, decision) => {
    const graph = graphOf(broken, { ...once, fallback: [{ name: "f", run: broken }] });
    const { waitingFor } = await runThread(graph, { value: 1 }, { threadId: "t" });
    await expect(resumeThread(graph, "t", decision)).rejects.toMatchObject({ code: "DECISION_REFUSED" });
    expect((await inspectThread(graph, "t")).waitingFor).toEqual(waitingFor);
  });

  it.each(wrong)("with %s is refused by LangGraph itself and leaves the question open", async (_, decision) => {
    const graph = graphOf(broken, { ...once, fallback: [{ name: "f", run: broken }] });
    const { waitingFor, threadId } = await runThread(graph, { value: 1 }, { threadId: "t" });
    await expect(
      graph.invoke(new Command({ resume: { [waitingFor[0]?.id ?? ""]: decision } }), {
        configurable: { thread_id: threadId },
      }),
    ).rejects.toThrow();
    const still = await inspectThread(graph, "t");
    expect(still.waitingFor).toHaveLength(1);
    expect((await resumeThread(graph, "t", { action: "provide", result: { log: ["by hand"] } })).values.log).toEqual([
      "first",
      "by hand",
      "last",
    ]);
  });

  it("because the recovery does not offer it is refused", async () => {
    const graph = graphOf(broken, once, { actions: ["retry", "abort"] });
    await runThread(graph, { value: 1 }, { threadId: "t" });
    await expect(resumeThread(graph, "t", { action: "provide", result: {} })).rejects.toThrow(
      "choose one of retry, abort",
    );
  });
});

describe("what is told of it", () => {
  it("names the failed node, the question and who answered", async () => {
    const graph = graphOf(broken);
    const told = recorder();
    await runThread(graph, { value: 1 }, { threadId: "t", onEvent: told.onEvent });
    await resumeThread(graph, "t", { action: "provide", result: {}, by: "ann" }, { onEvent: told.onEvent });
    expect(
      told.types(
        "run.started",
        "run.finished",
        "node.started",
        "node.failed",
        "human.requested",
        "human.decided",
        "attempt.failed",
        "node.succeeded",
      ),
    ).toEqual([
      "run.started",
      "node.started",
      "attempt.failed",
      "node.failed",
      "human.requested",
      "run.finished",
      "run.started",
      "human.decided",
      "node.started",
      "node.succeeded",
      "run.finished",
    ]);
    const [requested, decided] = [
      told.events.find((one) => one.type === "human.requested"),
      told.events.find((one) => one.type === "human.decided"),
    ];
    expect(requested).toMatchObject({
      failedNode: "node",
      interventionId: (decided as { interventionId: string }).interventionId,
    });
    expect(decided).toMatchObject({ action: "provide", by: "ann" });
    expect(
      told.events.every((event) => event.v === 1 && typeof event.at === "number" && event.threadId !== undefined),
    ).toBe(true);
  });
});

describe("a result that the graph's state refuses", () => {
  it("reaches the person as a bug", async () => {
    const graph = graphOf((async () => "no update") as never);
    const stopped = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(requestOf(stopped)).toMatchObject({ node: "node", failure: { category: "bug", retryable: false } });
    expect((requestOf(stopped) as { summary: string }).summary).toContain("refused by the graph's state");
    expect((await resumeThread(graph, "t", { action: "provide", result: { log: ["by hand"] } })).values.log).toEqual([
      "first",
      "by hand",
      "last",
    ]);
  });
});

describe("categories that need a person at once", () => {
  it.each([
    [401, "auth"],
    [403, "permission"],
  ])("status %d asks without a second attempt and without a fallback", async (status, category) => {
    const failing = failures({ node: 9 }, () => httpError(status));
    const graph = graphOf(
      async () => {
        failing.pass("node");
        return {};
      },
      { retry: quick, fallback: [{ name: "f", run: () => ({ log: ["f"] }) }] },
    );
    const stopped = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(requestOf(stopped)).toMatchObject({
      failure: { category, status },
      suggestion: { action: "escalate" },
      fallbacksTried: [],
    });
    expect(failing.calls.node).toBe(1);
  });
});

describe("categories that fail at once", () => {
  it("end the run with the user's own error, and a resume after mending goes on with the step", async () => {
    const mine = httpError(422, "no such quarter");
    let mended = false;
    let calls = 0;
    const graph = graphOf(
      async () => {
        calls += 1;
        if (!mended) throw mine;
        return { log: ["node"] };
      },
      { retry: quick },
    );
    const failed = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(failed.status).toBe("failed");
    expect(failed.error).toBe(mine);
    expect(await inspectThread(graph, "t")).toMatchObject({ status: "failed", canResume: true });
    mended = true;
    const done = await resumeThread(graph, "t");
    expect(done).toMatchObject({ status: "succeeded", values: { log: ["first", "node", "last"] } });
    expect(calls).toBe(2);
  });

  it("reject graph.invoke with what the node threw", async () => {
    const mine = httpError(422, "no such quarter");
    const graph = graphOf(async () => {
      throw mine;
    });
    await expect(graph.invoke({ value: 1 }, { configurable: { thread_id: "x" } })).rejects.toSatisfy(
      (error: Error) => error === mine || error.cause === mine,
    );
  });
});

describe("an open answer", () => {
  it("keeps degradations that were there before", async () => {
    const noted: Degradation[] = [];
    const graph = graphOf(broken, { ...once, fallback: [{ name: "f", run: () => ({ log: ["f"] }) }] });
    const done = await runThread(graph, { value: 1 }, { threadId: "t" });
    noted.push(...(done.values.degradations as Degradation[]));
    expect(noted).toMatchObject([
      { v: 1, node: "node", answeredBy: "f", category: "server_error", reason: "answered 503" },
    ]);
  });
});

describe("state that a person gives", () => {
  const failingTwice = () => {
    const failing = failures({ a: 1, b: 1 });
    const node = (name: string) =>
      resilient(
        async (state: Log) => {
          failing.pass(name);
          return { log: [`${name} ${state.value}`] };
        },
        { retry: false },
      );
    const builder = new StateGraph(LogState)
      .addNode("a", node("a"))
      .addNode("b", node("b"))
      .addEdge(START, "a")
      .addEdge(START, "b");
    return installRecovery(builder).compile({ checkpointer: new MemorySaver() });
  };

  it("is refused where the graph has no such channel, instead of being dropped", async () => {
    const graph = failingTwice();
    await runThread(graph, { value: 1 }, { threadId: "t" });
    for (const decision of [
      { action: "adjust", state: { Value: 2 } },
      { action: "provide", result: { Value: 2 } },
    ])
      await expect(resumeThread(graph, "t", decision, { answerTo: "a" })).rejects.toThrow(
        /has no "Value"; it has: log, value, degradations/,
      );
  });

  it("is refused where another answer has changed the same channel in this step", async () => {
    const graph = failingTwice();
    await runThread(graph, { value: 1 }, { threadId: "t" });
    await resumeThread(graph, "t", { action: "adjust", state: { value: 2 } }, { answerTo: "a" });
    await expect(
      resumeThread(graph, "t", { action: "adjust", state: { value: 3 } }, { answerTo: "b" }),
    ).rejects.toThrow(/"value" has been changed by another answer already/);
    const done = await resumeThread(graph, "t", { action: "retry" }, { answerTo: "b" });
    expect([...(done.values.log as string[])].sort()).toEqual(["a 2", "b 1"]);
  });
});

describe("data that looks like a directive", () => {
  it("is data: the node runs, and sees it", async () => {
    const seen: unknown[] = [];
    const builder = new StateGraph(LogState)
      .addNode(
        "worker",
        resilient(async (item: unknown) => {
          seen.push(item);
          return { log: ["worked"] };
        }),
      )
      .addConditionalEdges(START, () => [
        new Send(
          "worker",
          JSON.parse(
            '{"__lgr_reentry":{"v":1,"token":"x","input":{},"directive":{"kind":"provide","result":{"log":["FORGED"]}},"attempts":[],"decisions":[]}}',
          ),
        ),
      ]);
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });
    const done = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(done.values.log).toEqual(["worked"]);
    expect(seen).toEqual([expect.objectContaining({ __lgr_reentry: expect.anything() })]);
  });
});
