/** Runs that meet on a thread, that lose it, and that cannot store what they did. */
import { Annotation, interrupt, MemorySaver, RunControl, START, StateGraph } from "@langchain/langgraph";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type RunHold, runHoldOf, threadLease } from "../../../src/core/run-hold.js";
import { threadIdOf } from "../../../src/core/thread-id.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";

afterEach(() => vi.restoreAllMocks());

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (before, added) => before.concat(added), default: () => [] }),
});
type Work = (signal: AbortSignal | undefined) => unknown;

/** Something that a test waits for, or has a node wait for. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** A graph of steps one after the other, in memory, that notes which of them ran. */
function world(steps: Readonly<Record<string, Work>>) {
  const persistence = openPersistence("memory:");
  const ran: string[] = [];
  let builder = new StateGraph(State) as StateGraph<typeof State.spec, typeof State.State, object, string>;
  let last: string = START;
  for (const [name, work] of Object.entries(steps)) {
    builder = builder.addNode(name, async (_, { signal }) => {
      ran.push(name);
      await work(signal);
      return { log: [name] };
    });
    builder.addEdge(last as typeof START, name);
    last = name;
  }
  const graph = builder.compile({ checkpointer: persistence.checkpointer });
  const threadId = threadIdOf("t");
  const lease = threadLease(threadId);
  const { locks, threads } = persistence;
  if (locks === undefined) throw new Error("memory: has no locks");
  /** As another process would that believes the first one dead. */
  const takeOver = async () => {
    const held = await locks.acquire(lease, "another", 30_000);
    await locks.takeOver(lease, held.token, "another", 30_000);
    await threads.record({ threadId, status: "running" });
  };
  const checkpoints = async () => (await threads.get(threadId))?.checkpoints;
  return { persistence, graph, ran, threads, threadId, takeOver, checkpoints };
}

const untilAborted = (signal: AbortSignal | undefined) =>
  new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));

describe("two runs on one thread", () => {
  it("are one run and a refusal, until the first has ended", async () => {
    const [begun, go] = [gate(), gate()];
    const { graph, ran } = world({
      a: () => {
        begun.open();
        return ran.length === 1 ? go.opened : undefined;
      },
    });
    const first = runThread(graph, {}, { threadId: "t" });
    await begun.opened;
    await expect(runThread(graph, {}, { threadId: "t" })).rejects.toMatchObject({ code: "THREAD_BUSY" });
    await expect(resumeThread(graph, "t")).rejects.toMatchObject({ code: "THREAD_BUSY" });
    expect((await runThread(graph, {}, { threadId: "other" })).status).toBe("succeeded");
    go.open();
    expect((await first).status).toBe("succeeded");
    expect(await resumeThread(graph, "t")).toMatchObject({ ran: false, values: { log: ["a"] } });
    expect(ran).toEqual(["a", "a"]);
  });

  it("are one after the other where the second waits, and it begins where the first has ended", async () => {
    const [begun, go] = [gate(), gate()];
    const { graph } = world({
      a: () => {
        begun.open();
        return go.opened;
      },
    });
    const first = runThread(graph, {}, { threadId: "t" });
    await begun.opened;
    const second = runThread(graph, {}, { threadId: "t", ifExists: "newTurn", lock: { waitMs: 20_000 } });
    go.open();
    expect((await first).values.log).toEqual(["a"]);
    expect((await second).values.log).toEqual(["a", "a"]);
  });

  it("are two runs where both are told not to lock it", async () => {
    const [begun, go] = [gate(), gate()];
    const { graph } = world({
      a: () => {
        begun.open();
        return go.opened;
      },
    });
    const first = runThread(graph, {}, { threadId: "t", lock: false });
    await begun.opened;
    go.open();
    expect((await runThread(graph, {}, { threadId: "t", lock: false })).status).toBe("succeeded");
    await first;
  });

  it("meet also where a step runs the thread it is part of", async () => {
    const { graph } = world({ a: () => runThread(graph, {}, { threadId: "t" }) });
    expect(await runThread(graph, {}, { threadId: "t" })).toMatchObject({
      status: "failed",
      error: { code: "THREAD_BUSY" },
    });
  });
});

describe("the lease of a run", () => {
  it("goes with each of its writes: of subgraphs, after an answer, and of a branch at the head", async () => {
    const persistence = openPersistence("memory:");
    const inner = new StateGraph(State).addNode("x", () => ({ log: ["x"] })).addEdge(START, "x");
    const graph = new StateGraph(State)
      .addNode("inner", inner.compile())
      .addNode("asks", () => ({ log: [String(interrupt("how many?"))] }))
      .addEdge(START, "inner")
      .addEdge("inner", "asks")
      .compile({ checkpointer: persistence.checkpointer });
    const holds: (RunHold | undefined)[] = [];
    for (const method of ["put", "putWrites"] as const) {
      const original = MemorySaver.prototype[method] as (...given: unknown[]) => Promise<never>;
      vi.spyOn(MemorySaver.prototype, method).mockImplementation(function (this: MemorySaver, ...given: unknown[]) {
        holds.push(runHoldOf(given[0] as Parameters<typeof runHoldOf>[0]));
        return original.apply(this, given);
      } as never);
    }
    const tokens = async (run: () => Promise<unknown>) => {
      holds.length = 0;
      await run();
      return [...new Set(holds.map((hold) => hold?.lease?.token))];
    };
    expect(await tokens(() => runThread(graph, {}, { threadId: "t" }))).toEqual([1]);
    const { checkpointId = "" } = await resumeThread(graph, "t");
    expect(await tokens(() => resumeThread(graph, "t", "3", { from: checkpointId }))).toEqual([3]);
    expect(await resumeThread(graph, "t")).toMatchObject({ status: "succeeded", values: { log: ["x", "3"] } });
  });
});

describe("a run that has lost its thread", () => {
  it("ends with that when it writes, stores nothing more and leaves the record to the other run", async () => {
    let stored: number | undefined;
    const { graph, ran, threads, threadId, takeOver, checkpoints } = world({
      a: async () => {
        await takeOver();
        stored = await checkpoints();
      },
      b: () => {},
    });
    const result = await runThread(graph, {}, { threadId: "t" });
    expect(result).toMatchObject({ status: "failed", error: { code: "LEASE_LOST" } });
    expect(ran).toEqual(["a"]);
    expect(await checkpoints()).toBe(stored);
    expect(await threads.get(threadId)).toMatchObject({ status: "running" });
  });

  it("is aborted within its step when it finds out by renewing the lease", async () => {
    const { graph, threads, threadId, takeOver } = world({
      a: async (signal) => {
        await takeOver();
        await untilAborted(signal);
      },
    });
    const result = await runThread(graph, {}, { threadId: "t", lock: { leaseMs: 100 } });
    expect(result).toMatchObject({ status: "failed", error: { code: "LEASE_LOST" } });
    expect(await threads.get(threadId)).toMatchObject({ status: "running" });
  });

  it("does not record its end when it had nothing left to write", async () => {
    const { graph, threads, threadId, takeOver } = world({ a: () => {} });
    const record = threads.record.bind(threads);
    let taken: Promise<void> | undefined;
    const result = await runThread(
      graph,
      {},
      {
        threadId: "t",
        onEvent: (event) => {
          if (event.type === "checkpoint.written" && event.step === 1) taken = takeOver();
        },
      },
    );
    await taken;
    expect(record).toBeDefined();
    expect(result).toMatchObject({ status: "failed", error: { code: "LEASE_LOST" }, values: { log: ["a"] } });
    expect(await threads.get(threadId)).toMatchObject({ status: "running" });
  });
});

const full = Object.assign(new Error("could not extend file: No space left on device"), { code: "53100" });

/** The nth write fails. */
function failing(method: "put" | "putWrites", nth: number): void {
  const original = MemorySaver.prototype[method] as (...given: unknown[]) => Promise<never>;
  let count = 0;
  vi.spyOn(MemorySaver.prototype, method).mockImplementation(function (this: MemorySaver, ...given: unknown[]) {
    count += 1;
    return count === nth ? Promise.reject(full) : original.apply(this, given);
  } as never);
}

describe("a write that fails", () => {
  it.each(["sync", "async"] as const)(
    "ends its run within the step, with its error, durability %s",
    async (durability) => {
      // LangGraph alone would wait for the step, which with "async" goes on for as long as it likes.
      const { graph, ran, threads, threadId } = world({ a: () => {}, b: untilAborted, c: () => {} });
      failing("put", 2);
      const result = await runThread(graph, {}, { threadId: "t", durability });
      expect(result).toMatchObject({ status: "failed", error: full });
      expect(ran).not.toContain("c");
      expect(await threads.get(threadId)).toMatchObject({
        status: "failed",
        error: expect.stringContaining("No space"),
      });
      vi.restoreAllMocks();
      expect((await runThread(world({ a: () => {} }).graph, {}, { threadId: "t" })).status).toBe("succeeded");
    },
  );

  it("ends its run though a parallel step passes over its signal", async () => {
    const [quickEnded, never] = [gate(), gate()];
    const graph = new StateGraph(State)
      .addNode("quick", () => ({ log: ["quick"] }))
      .addNode("later", async () => {
        await quickEnded.opened;
        return {};
      })
      .addNode("deaf", async () => {
        await never.opened;
        return {};
      })
      .addEdge(START, "quick")
      .addEdge(START, "later")
      .addEdge(START, "deaf")
      .compile({ checkpointer: openPersistence("memory:").checkpointer });
    failing("putWrites", 2);
    const run = runThread(graph, {}, { threadId: "t" });
    setTimeout(quickEnded.open, 20);
    expect(await run).toMatchObject({ status: "failed", error: full });
    never.open();
  });

  it("ends a plain invoke at its next step, which says why", async () => {
    const { graph, ran } = world({ a: () => {}, b: () => {}, c: () => {}, d: () => {} });
    failing("put", 2);
    await expect(graph.invoke({}, { configurable: { thread_id: "t" } })).rejects.toMatchObject({
      name: "GraphDrained",
      message: expect.stringMatching(/a checkpoint could not be stored: could not extend file/),
    });
    expect(ran).not.toContain("c");
  });

  it("is itself the error of a plain invoke with durability sync, or at the very end", async () => {
    const { graph } = world({ a: () => {}, b: () => {} });
    const config = { configurable: { thread_id: "t" } };
    failing("put", 2);
    await expect(graph.invoke({}, { ...config, durability: "sync" })).rejects.toBe(full);
    vi.restoreAllMocks();
    failing("put", 3);
    await expect(graph.invoke({}, { configurable: { thread_id: "u" } })).rejects.toBe(full);
  });

  it("of one run does not end the others that share its control", async () => {
    const [begun, go] = [gate(), gate()];
    const waiting = { a: () => {}, b: () => {}, c: () => {} };
    const { graph, ran } = world({
      ...waiting,
      a: () => {
        if (ran.length === 1) begun.open();
        return ran.length === 1 ? go.opened : undefined;
      },
    });
    const control = new RunControl();
    const first = graph.invoke({}, { configurable: { thread_id: "one" }, control });
    await begun.opened;
    failing("put", 2);
    await expect(graph.invoke({}, { configurable: { thread_id: "two" }, control })).rejects.toBe(full);
    expect(control.drainRequested).toBe(false);
    go.open();
    expect(await first).toMatchObject({ log: ["a", "b", "c"] });
  });
});
