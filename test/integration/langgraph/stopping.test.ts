/** Runs that are told to stop, run out of time, or whose process dies: nothing is lost and nothing hangs on. */
import { MemorySaver, RunControl, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { type Node, resilient } from "../../../src/langgraph/resilient.js";
import type { ResilientOptions } from "../../../src/langgraph/resilient-options.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import {
  DyingSaver,
  failures,
  type Log,
  LogState,
  once,
  quick,
  recorder,
  unavailable,
  unhandledDuring,
} from "../../support/graphs.js";

type Update = Partial<Log>;
const ERROR_SOURCE = "__error_source_node__";

function builderOf(node: Node<Log, Update>, options: ResilientOptions<Log, Update>) {
  const builder = new StateGraph(LogState)
    .addNode("first", async () => ({ log: ["first"] }))
    .addNode("node", resilient(node, options))
    .addEdge(START, "first")
    .addEdge("first", "node");
  return installRecovery(builder);
}
const graphOf = (node: Node<Log, Update>, options: ResilientOptions<Log, Update>, saver = new MemorySaver()) =>
  builderOf(node, options).compile({ checkpointer: saver });

describe("a drain during the wait between two attempts", () => {
  it("ends the run soon, and a resume tries the step again", async () => {
    const failing = failures({ node: 1 });
    const control = new RunControl();
    const graph = graphOf(
      async () => {
        failing.pass("node");
        return { log: ["node"] };
      },
      { retry: { initialDelayMs: 60_000 } },
    );
    const startedAt = Date.now();
    const drained = await runThread(
      graph,
      { value: 1 },
      {
        threadId: "t",
        control,
        onEvent: (event) => {
          if (event.type === "attempt.failed") control.requestDrain("deploy");
        },
      },
    );
    expect(drained.status).toBe("drained");
    expect(drained.error).toBeUndefined();
    expect(Date.now() - startedAt).toBeLessThan(5000);
    expect(await resumeThread(graph, "t")).toMatchObject({ status: "succeeded", values: { log: ["first", "node"] } });
  });
});

describe("an abort by the caller", () => {
  it.each([
    ["in the middle of an attempt", "node.started", { retry: quick }],
    ["during the wait between two attempts", "attempt.failed", { retry: { initialDelayMs: 60_000 } }],
  ] as const)("%s ends the run at once, and a resume tries the step again", async (_, moment, options) => {
    const controller = new AbortController();
    let calls = 0;
    let told: unknown;
    const graph = graphOf(async (_state, config) => {
      calls += 1;
      if (calls > 1) return { log: ["node"] };
      if (moment === "attempt.failed") throw unavailable();
      await new Promise((_resolve, reject) =>
        config.signal?.addEventListener("abort", () => {
          told = config.signal?.reason;
          reject(new Error("gave up"));
        }),
      );
      return {};
    }, options);
    const seen = recorder();
    const unhandled = await unhandledDuring(async () => {
      const stopped = await runThread(
        graph,
        { value: 1 },
        {
          threadId: "t",
          signal: controller.signal,
          onEvent: (event) => {
            seen.onEvent(event);
            if (event.type === moment) setTimeout(() => controller.abort(new Error("enough")), 5);
          },
        },
      );
      expect(stopped.status).toBe("drained");
    });
    expect(unhandled).toEqual([]);
    if (moment === "node.started") expect(told).toBeDefined();
    expect(seen.types("node.failed", "human.requested")).toEqual([]);
    expect(await resumeThread(graph, "t")).toMatchObject({ status: "succeeded", values: { log: ["first", "node"] } });
    expect(calls).toBe(2);
  });
});

describe("an attempt past its time limit", () => {
  it("is aborted, its late result dropped, and the next attempt answers", async () => {
    let calls = 0;
    const aborted: unknown[] = [];
    const graph = graphOf(
      async (_, config) => {
        calls += 1;
        if (calls > 1) return { log: ["in time"] };
        config.signal?.addEventListener("abort", () =>
          aborted.push((config.signal?.reason as { code: string } | undefined)?.code),
        );
        await new Promise((resolve) => setTimeout(resolve, 60));
        return { log: ["too late"] };
      },
      { retry: quick, timeout: { baseMs: 20 } },
    );
    const unhandled = await unhandledDuring(async () => {
      expect((await runThread(graph, { value: 1 }, { threadId: "t" })).values.log).toEqual(["first", "in time"]);
    }, 100);
    expect(aborted).toEqual(["ATTEMPT_TIMEOUT"]);
    expect(unhandled).toEqual([]);
  });

  it("that fails late as well leaves no unhandled rejection", async () => {
    const graph = graphOf(
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 40));
        throw new Error("late failure");
      },
      { retry: false, timeout: { baseMs: 10 } },
    );
    const unhandled = await unhandledDuring(async () => {
      const stopped = await runThread(graph, { value: 1 }, { threadId: "t" });
      expect(stopped.waitingFor[0]?.request).toMatchObject({
        failure: { category: "timeout", code: "ATTEMPT_TIMEOUT" },
      });
    }, 100);
    expect(unhandled).toEqual([]);
  });
});

describe("deadlineMs", () => {
  it("holds over all attempts, waits and fallbacks together", async () => {
    const calls: string[] = [];
    const graph = graphOf(
      async (_, config) => {
        calls.push("node");
        await new Promise((_, reject) => config.signal?.addEventListener("abort", () => reject(config.signal?.reason)));
        return {};
      },
      { timeout: { deadlineMs: 50 }, fallback: [{ name: "f", run: () => ({ log: ["f"] }) }] },
    );
    const stopped = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(stopped.waitingFor[0]?.request).toMatchObject({
      failure: { category: "timeout", code: "DEADLINE_EXCEEDED" },
      fallbacksTried: [],
    });
    expect(stopped.waitingFor[0]?.request?.failure.message).toContain("retries and fallbacks included");
    expect(calls).toEqual(["node"]);
  });

  it("begins no wait that would end after it, but lets a fallback answer at once", async () => {
    const failing = failures({ node: 99 });
    const graph = graphOf(
      async () => {
        failing.pass("node");
        return {};
      },
      {
        retry: { initialDelayMs: 60_000, maxElapsedMs: 600_000 },
        timeout: { deadlineMs: 20_000 },
        fallback: [{ name: "f", run: () => ({ log: ["f"] }) }],
      },
    );
    const answered = await runThread(graph, { value: 1 }, { threadId: "t" });
    expect(answered.values).toMatchObject({ log: ["first", "f"] });
    expect(failing.calls.node).toBe(1);
  });
});

describe("a process that dies between a failure and what was to be done about it", () => {
  it("tries the step anew on resume", async () => {
    const saver = new DyingSaver();
    const failing = failures({ node: 1 });
    const node: Node<Log, Update> = async () => {
      failing.pass("node");
      return { log: ["node"] };
    };
    // The failure is stored, the handler's answer is not, nor anything after it.
    let dead = false;
    saver.keeps = ({ channels }) => {
      if (dead) return false;
      if (channels.includes(ERROR_SOURCE)) dead = true;
      return true;
    };
    const put = saver.put.bind(saver);
    saver.put = async (...parameters) => (dead ? parameters[0] : put(...parameters));
    await runThread(graphOf(node, once, saver), { value: 1 }, { threadId: "t" });
    saver.keeps = () => true;
    dead = false;
    const anew = graphOf(node, once, saver);
    expect(await resumeThread(anew, "t")).toMatchObject({ status: "succeeded", values: { log: ["first", "node"] } });
    expect(failing.calls.node).toBe(2);
  });

  it("while the person is being asked still asks after a restart", async () => {
    const saver = new MemorySaver();
    const failing = failures({ node: 1 });
    const node: Node<Log, Update> = async () => {
      failing.pass("node");
      return { log: ["node"] };
    };
    const stopped = await runThread(graphOf(node, once, saver), { value: 1 }, { threadId: "t" });
    const restarted = graphOf(node, once, saver);
    expect((await resumeThread(restarted, "t")).waitingFor).toEqual(stopped.waitingFor);
    expect((await resumeThread(restarted, "t", { action: "retry" })).values.log).toEqual(["first", "node"]);
    expect(failing.calls.node).toBe(2);
  });
});

describe("a long run of attempts", () => {
  it("leaves no listener on the caller's signal", async () => {
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = ((...parameters: Parameters<typeof add>) => {
      listeners += 1;
      add(...parameters);
    }) as typeof add;
    signal.removeEventListener = ((...parameters: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...parameters);
    }) as typeof remove;
    let calls = 0;
    const node = resilient(
      async (_: Log) => {
        calls += 1;
        if (calls % 20 !== 0) throw unavailable();
        return {};
      },
      {
        retry: {
          initialDelayMs: 1,
          strategy: "fixed",
          jitter: "none",
          maxAttempts: 30,
          categories: { server_error: { retries: 30 } },
        },
        timeout: { baseMs: 1000, deadlineMs: 10_000 },
      },
    );
    for (let run = 0; run < 3; run += 1) await node({ log: [], value: 1 }, { signal });
    expect(calls).toBe(60);
    expect(listeners).toBe(0);
  });
});
