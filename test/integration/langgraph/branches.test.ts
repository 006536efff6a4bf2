/** Failures in branches, behind edges, in Send workers and in subgraphs: the ladder must not disturb the graph. */
import { Annotation, Command, END, interrupt, MemorySaver, Send, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { inspectThread, type PendingInterrupt } from "../../../src/langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { badInput, failures, httpError, type Log, LogState, once, unavailable } from "../../support/graphs.js";

const never = Number.POSITIVE_INFINITY;

/** The `value` a failed worker was given, as its question shows it. */
const valueGiven = ({ request }: PendingInterrupt) => (request?.input as { value: number } | undefined)?.value ?? -1;

/** a, b and c side by side, then join. */
function fanOut(run: (name: string, state: Log) => unknown = () => undefined) {
  const step = (name: string) =>
    resilient(async (state: Log) => {
      await run(name, state);
      return { log: [name] };
    }, once);
  const builder = new StateGraph(LogState)
    .addNode("a", step("a"))
    .addNode("b", step("b"))
    .addNode("c", step("c"))
    .addNode("join", step("join"))
    .addEdge(START, "a")
    .addEdge(START, "b")
    .addEdge(START, "c")
    .addEdge(["a", "b", "c"], "join")
    .addEdge("join", END);
  return installRecovery(builder).compile({ checkpointer: new MemorySaver() });
}

describe("two of three parallel branches that fail before a join", () => {
  it("each ask a person, are answered one by one, and the join runs once after all of them", async () => {
    const failing = failures({ b: 1, c: 1 });
    const graph = fanOut((name) => failing.pass(name));

    const stopped = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(stopped.status).toBe("waiting_human");
    expect(stopped.waitingFor.map((one) => one.request?.node).sort()).toEqual(["b", "c"]);

    const half = await resumeThread(graph, "t", { action: "retry" }, { answerTo: "b" });
    expect(half.status).toBe("waiting_human");
    expect(half.waitingFor.map((one) => one.request?.node)).toEqual(["c"]);

    const done = await resumeThread(graph, "t", { action: "provide", result: { log: ["c by hand"] } });
    expect(done.status).toBe("succeeded");
    expect([...(done.values.log as string[])].sort()).toEqual(["a", "b", "c by hand", "join"]);
    expect(failing.calls).toEqual({ a: 1, b: 2, c: 1, join: 1 });
  });

  it("can be answered by interrupt ID", async () => {
    const failing = failures({ b: 1, c: 1 });
    const graph = fanOut((name) => failing.pass(name));
    const { waitingFor } = await runThread(graph, { value: 1 }, { threadId: "t" });
    for (const { id } of waitingFor) await resumeThread(graph, "t", { action: "retry" }, { answerTo: id });
    expect((await inspectThread(graph, "t")).status).toBe("succeeded");
  });

  it("a wrong decision for one leaves both questions open", async () => {
    const graph = fanOut((name) => {
      if (name === "b" || name === "c") throw unavailable();
    });
    const { waitingFor } = await runThread(graph, { value: 1 }, { threadId: "t" });
    await expect(
      graph.invoke(new Command({ resume: { [waitingFor[0]?.id ?? ""]: { action: "dance" } } }), {
        configurable: { thread_id: (await inspectThread(graph, "t")).threadId },
      }),
    ).rejects.toThrow();
    expect((await inspectThread(graph, "t")).waitingFor).toHaveLength(2);
  });

  it("that fail again ask again, and remember the attempts before", async () => {
    const failing = failures({ b: 2 });
    const graph = fanOut((name) => failing.pass(name));
    await runThread(graph, { value: 1 }, { threadId: "t" });
    const again = await resumeThread(graph, "t", { action: "retry" });
    expect(again.waitingFor[0]?.request).toMatchObject({ node: "b", decisions: [{ action: "retry" }] });
    expect(again.waitingFor[0]?.request?.attempts).toHaveLength(2);
    const done = await resumeThread(graph, "t", { action: "retry" });
    expect(done.status).toBe("succeeded");
    expect(failing.calls).toEqual({ a: 1, b: 3, c: 1, join: 1 });
  });
});

describe("two branches that fail with one and the same error object", () => {
  it("ask about their own node, each with its own input", async () => {
    // Two steps that wait for one connection which fails share its error.
    const shared = Promise.reject(Object.assign(new Error("no connection"), { status: 503 }));
    shared.catch(() => undefined);
    let broken = true;
    const seen: number[] = [];
    const worker = resilient(async ({ value }: { value: number }) => {
      if (broken) await shared;
      seen.push(value);
      return { log: [`worker ${value}`] };
    }, once);
    const builder = new StateGraph(LogState)
      .addNode("worker", worker, { input: Annotation.Root({ value: Annotation<number> }) })
      .addConditionalEdges(START, () => [new Send("worker", { value: 1 }), new Send("worker", { value: 2 })], [
        "worker",
      ])
      .addEdge("worker", END);
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });

    const stopped = await runThread(graph, { value: 0 }, { threadId: "t" });
    expect(stopped.waitingFor.map((one) => valueGiven(one)).sort()).toEqual([1, 2]);
    broken = false;
    for (const { id } of stopped.waitingFor) await resumeThread(graph, "t", { action: "retry" }, { answerTo: id });
    expect(seen.sort()).toEqual([1, 2]);
  });
});

describe("a node behind conditional edges", () => {
  it("goes on by its own edge after a retry", async () => {
    const failing = failures({ route: 1 });
    const builder = new StateGraph(LogState)
      .addNode(
        "route",
        resilient(async (_: Log) => {
          failing.pass("route");
          return { log: ["route"] };
        }, once),
      )
      .addNode("left", async () => ({ log: ["left"] }))
      .addNode("right", async () => ({ log: ["right"] }))
      .addEdge(START, "route")
      .addConditionalEdges("route", (state) => (state.value > 5 ? "right" : "left"), ["left", "right"])
      .addEdge("left", END)
      .addEdge("right", END);
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });
    expect((await runThread(graph, { value: 9 }, { threadId: "t" })).status).toBe("waiting_human");
    const done = await resumeThread(graph, "t", { action: "retry" });
    expect(done.values.log).toEqual(["route", "right"]);
  });
});

describe("a Send worker", () => {
  const graphOf = (pass: (value: number) => void) => {
    const worker = async ({ value }: { value: number }) => {
      pass(value);
      return { log: [`worker ${value}`] };
    };
    const builder = new StateGraph(LogState)
      .addNode(
        "worker",
        resilient(worker, {
          ...once,
          fallback: [{ name: "simple", run: ({ value }) => ({ log: [`simple ${value}`] }) }],
          humanAfter: "retry",
        }),
        { input: Annotation.Root({ value: Annotation<number> }) },
      )
      .addNode("sum", async () => ({ log: ["sum"] }))
      .addConditionalEdges(START, () => [1, 2, 3].map((value) => new Send("worker", { value })), ["worker"])
      .addEdge("worker", "sum")
      .addEdge("sum", END);
    return installRecovery(builder).compile({ checkpointer: new MemorySaver() });
  };

  it("that fails keeps its own input through a retry", async () => {
    const calls: number[] = [];
    const graph = graphOf((value) => {
      calls.push(value);
      if (value === 2 && calls.filter((one) => one === 2).length === 1) throw unavailable();
    });
    const stopped = await runThread(graph, { value: 0 }, { threadId: "t" });
    expect(stopped.waitingFor[0]?.request?.input).toEqual({ value: 2 });
    const done = await resumeThread(graph, "t", { action: "retry" });
    expect([...(done.values.log as string[])].filter((one) => one.startsWith("worker")).sort()).toEqual([
      "worker 1",
      "worker 2",
      "worker 3",
    ]);
    expect(calls.sort()).toEqual([1, 2, 2, 3]);
  });

  it("keeps it through an adjustment and through a fallback", async () => {
    const graph = graphOf((value) => {
      if (value < 3) throw unavailable();
    });
    const { waitingFor } = await runThread(graph, { value: 0 }, { threadId: "t" });
    const idOf = (value: number) => waitingFor.find((one) => valueGiven(one) === value)?.id ?? "";
    await resumeThread(graph, "t", { action: "adjust", state: { value: 30 } }, { answerTo: idOf(1) });
    const done = await resumeThread(graph, "t", { action: "fallback", step: "simple" }, { answerTo: idOf(2) });
    expect(done.status).toBe("succeeded");
    expect([...(done.values.log as string[])].filter((one) => one !== "sum").sort()).toEqual([
      "simple 2",
      "worker 3",
      "worker 30",
    ]);
  });
});

describe("a node inside a subgraph with its own recovery", () => {
  const parentOf = (pass: (name: string) => void) => {
    const inner = new StateGraph(LogState)
      .addNode("prepare", async () => {
        pass("prepare");
        return { log: ["prepare"] };
      })
      .addNode(
        "work",
        resilient(async (_: Log) => {
          pass("work");
          return { log: ["work"] };
        }, once),
      )
      .addEdge(START, "prepare")
      .addEdge("prepare", "work")
      .addEdge("work", END);
    installRecovery(inner);
    const parent = new StateGraph(LogState)
      .addNode(
        "before",
        resilient(async (_: Log) => {
          pass("before");
          return { log: ["before"] };
        }, once),
      )
      .addNode("sub", inner.compile())
      .addNode("after", async () => ({ log: ["after"] }))
      .addEdge(START, "before")
      .addEdge("before", "sub")
      .addEdge("sub", "after")
      .addEdge("after", END);
    return installRecovery(parent).compile({ checkpointer: new MemorySaver() });
  };

  it("brings its question to the parent's thread and goes on inside after the answer", async () => {
    const failing = failures({ work: 1 });
    const graph = parentOf((name) => failing.pass(name));
    const stopped = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(stopped.status).toBe("waiting_human");
    expect(stopped.waitingFor[0]?.request?.node).toBe("work");
    const done = await resumeThread(graph, "t", { action: "retry" });
    expect(done.status).toBe("succeeded");
    expect(failing.calls).toEqual({ before: 1, prepare: 1, work: 2 });
    expect(done.values.log).toContain("after");
  });

  it("that fails at once fails the run, and a resume tries it anew without what had succeeded", async () => {
    const failing = failures({ work: 1 }, badInput);
    const graph = parentOf((name) => failing.pass(name));
    expect(await runThread(graph, { value: 1 }, { threadId: "t" })).toMatchObject({
      status: "failed",
      error: { message: "no such quarter" },
    });
    expect((await resumeThread(graph, "t")).status).toBe("succeeded");
    expect(failing.calls).toEqual({ before: 1, prepare: 1, work: 2 });
  });
});

describe("a branch that fails at once", () => {
  it("cancels its siblings, which run again on resume, and nothing that had finished does", async () => {
    const failing = failures({ b: 1 }, badInput);
    const aborted: string[] = [];
    const graph = fanOut(async (name) => {
      failing.pass(name);
      if (name === "c" && failing.calls.c === 1) await new Promise<void>(() => undefined);
      if (name === "c") aborted.push("c again");
    });
    const failed = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(failed).toMatchObject({ status: "failed", error: { message: "no such quarter" } });
    const done = await resumeThread(graph, "t");
    expect(done.status).toBe("succeeded");
    expect(failing.calls).toEqual({ a: 1, b: 2, c: 2, join: 1 });
    expect(aborted).toEqual(["c again"]);
  });

  it("beside one that waits for a person loses neither", async () => {
    const failing = failures({ b: 1, c: 1 }, (name) => (name === "b" ? badInput() : unavailable()));
    const graph = fanOut((name) => failing.pass(name));
    expect((await runThread(graph, { value: 1 }, { threadId: "t" })).status).toBe("failed");
    let result = await resumeThread(graph, "t");
    if (result.status === "waiting_human") result = await resumeThread(graph, "t", { action: "retry" });
    expect(result.status).toBe("succeeded");
    expect([...(result.values.log as string[])].sort()).toEqual(["a", "b", "c", "join"]);
  });

  it("does not swallow the failure of a sibling that comes at any moment around it", async () => {
    const lost: number[] = [];
    for (let turns = 0; turns <= 120; turns += 1) {
      let mended = false;
      const graph = fanOut(async (name) => {
        if (mended) return;
        if (name === "a") throw badInput();
        if (name === "b") {
          for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
          throw httpError(401);
        }
      });
      const failed = await runThread(graph, { value: 1 }, { threadId: `t${turns}` });
      expect(failed.status).toBe("failed");
      mended = true;
      let result = await resumeThread(graph, `t${turns}`);
      for (let round = 0; round < 3 && result.status === "waiting_human"; round += 1)
        result = await resumeThread(graph, `t${turns}`, { action: "retry" });
      const log = [...((result.values.log as string[]) ?? [])].sort();
      if (result.status !== "succeeded" || log.join() !== "a,b,c,join") lost.push(turns);
    }
    expect(lost, "microtasks between the two failures at which a branch was lost").toEqual([]);
  }, 60_000);
});

describe("commands of a decorated node", () => {
  it("that goes somewhere by Command goes there", async () => {
    const builder = new StateGraph(LogState)
      .addNode(
        "decide",
        resilient(async (_: Log) => new Command({ update: { log: ["decide"] }, goto: "there" })),
        { ends: ["there", "elsewhere"] },
      )
      .addNode("there", async () => ({ log: ["there"] }))
      .addNode("elsewhere", async () => ({ log: ["elsewhere"] }))
      .addEdge(START, "decide");
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });
    expect((await runThread(graph, { value: 1 }, { threadId: "t" })).values.log).toEqual(["decide", "there"]);
  });

  it("that commands the parent graph is not taken for a failure", async () => {
    let calls = 0;
    const inner = new StateGraph(LogState)
      .addNode(
        "leave",
        resilient(async (_: Log) => {
          calls += 1;
          return new Command({ graph: Command.PARENT, update: { log: ["left"] }, goto: "after" });
        }),
      )
      .addEdge(START, "leave");
    installRecovery(inner);
    const parent = new StateGraph(LogState)
      .addNode("sub", inner.compile(), { ends: ["after"] })
      .addNode("after", async () => ({ log: ["after"] }))
      .addEdge(START, "sub");
    const graph = parent.compile({ checkpointer: new MemorySaver() });
    expect((await runThread(graph, { value: 1 }, { threadId: "t" })).values.log).toEqual(["left", "after"]);
    expect(calls).toBe(1);
  });
});

describe("the human node itself", () => {
  it("that fails makes the run fail, without a loop", async () => {
    let asked = 0;
    const builder = new StateGraph(LogState)
      .addNode(
        "a",
        resilient(async (_: Log) => {
          throw unavailable();
        }, once),
      )
      .addEdge(START, "a");
    installRecovery(builder, {
      node: () => {
        asked += 1;
        throw new Error("the human node is broken");
      },
    });
    const graph = builder.compile({ checkpointer: new MemorySaver() });
    expect(await runThread(graph, { value: 1 }, { threadId: "t" })).toMatchObject({
      status: "failed",
      error: { message: "the human node is broken" },
    });
    expect(asked).toBe(1);
  });

  it("may be one of the user's own that asks in its own way", async () => {
    const failing = failures({ a: 1 });
    const builder = new StateGraph(LogState)
      .addNode(
        "a",
        resilient(async (_: Log) => {
          failing.pass("a");
          return { log: ["a"] };
        }, once),
      )
      .addEdge(START, "a");
    const { humanIntervention } = await import("../../../src/langgraph/human-intervention.js");
    const builtIn = humanIntervention();
    installRecovery(builder, { humanNode: "ask", node: (task, config) => builtIn(task, config) });
    const graph = builder.compile({ checkpointer: new MemorySaver() });
    expect((await runThread(graph, { value: 1 }, { threadId: "t" })).waitingFor[0]?.node).toBe("ask");
    expect((await resumeThread(graph, "t", { action: "retry" })).values.log).toEqual(["a"]);
  });

  it("is not in the way of interrupts of the graph's own", async () => {
    const builder = new StateGraph(LogState)
      .addNode(
        "ask",
        resilient(async (_: Log) => ({ log: [String(interrupt("how many?"))] })),
      )
      .addEdge(START, "ask");
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });
    const asked = await runThread(graph, { value: never }, { threadId: "t" });
    expect(asked.waitingFor).toMatchObject([{ node: "ask", value: "how many?" }]);
    expect(asked.waitingFor[0]?.request).toBeUndefined();
    expect((await resumeThread(graph, "t", "seven")).values.log).toEqual(["seven"]);
  });
});

describe("what would undo the ladder is refused at once", () => {
  const plain = async () => ({});

  it("a retryPolicy beside resilient(), whose attempts would multiply", () => {
    const builder = new StateGraph(LogState)
      .addNode("node", resilient(plain), { retryPolicy: { maxAttempts: 3 } })
      .addEdge(START, "node");
    expect(() => installRecovery(builder)).toThrow(/node "node" has a retryPolicy beside resilient\(\)/);
  });

  it("a decorated node that is added after installRecovery", () => {
    const builder = new StateGraph(LogState).addNode("early", resilient(plain)).addEdge(START, "early");
    installRecovery(builder);
    builder.addNode("late", resilient(plain)).addEdge("early", "late");
    expect(() => builder.compile()).toThrow(/node "late" was added after it/);
  });

  it("a fault for a node that is not there, or of no category", async () => {
    const builder = new StateGraph(LogState).addNode("node", resilient(plain)).addEdge(START, "node");
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });
    await expect(runThread(graph, {}, { threadId: "t", injectFaults: { typo: "network" } })).rejects.toThrow(
      /node "typo"; nodes wrapped in resilient\(\) are: node$/,
    );
    const banana = { node: "banana" } as unknown as Record<string, "network">;
    await expect(runThread(graph, {}, { threadId: "t", injectFaults: banana })).rejects.toThrow(/"banana"/);
  });
});
