/** Attempts that were given up on and go on all the same: whatever they do no longer counts. And effects that must not happen twice. */
import {
  Command,
  interrupt,
  type LangGraphRunnableConfig,
  MemorySaver,
  ParentCommand,
  START,
  StateGraph,
} from "@langchain/langgraph";
import { describe, expect, it, vi } from "vitest";
import { attempt, beginEffect } from "../../../src/langgraph/attempt-scope.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { type Node, resilient } from "../../../src/langgraph/resilient.js";
import type { ResilientOptions } from "../../../src/langgraph/resilient-options.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { FakeClock } from "../../support/fake-clock.js";
import { httpError, type Log, LogState, quick, unavailable, unhandledDuring } from "../../support/graphs.js";

type Update = Partial<Log>;
type Options = ResilientOptions<Log, Update>;
type Work = (config: LangGraphRunnableConfig) => unknown;

const input: Log = { log: [], value: 1 };
const thread = { configurable: { thread_id: "t" } };
const limitMs = 1000;

/** Something that happens when the test says so. */
function occasion(): { readonly came: Promise<void>; come: () => void } {
  let come = (): void => undefined;
  const came = new Promise<void>((resolve) => {
    come = resolve;
  });
  return { came, come };
}

function graphOf(node: Node<Log, Update>) {
  const builder = new StateGraph(LogState)
    .addNode("node", node)
    .addNode("elsewhere", async () => ({ log: ["elsewhere"] }))
    .addEdge(START, "node");
  return installRecovery(builder).compile({ checkpointer: new MemorySaver() });
}

/** Writes to a channel of the state as LangGraph itself does, past the node's result. */
function send({ configurable }: LangGraphRunnableConfig, line: string): void {
  const { __pregel_send: write } = configurable as { __pregel_send(writes: unknown): void };
  write([["log", [line]]]);
}

/**
 * Runs a node whose first attempt runs out of time, or fails while a part of it goes on, and does something late while
 * the second is at it.
 */
async function lateWhileAnotherRuns(how: "out of time" | "failed", late: Work) {
  const clock = new FakeClock();
  const [second, released, lateIsOver] = [occasion(), occasion(), occasion()];
  let lateFailure: unknown;
  const doLate = async (config: LangGraphRunnableConfig) => {
    await second.came;
    try {
      return (await late(config)) as Update;
    } catch (error) {
      lateFailure = error;
      throw error;
    } finally {
      lateIsOver.come();
    }
  };
  const signals: (AbortSignal | undefined)[] = [];
  const node: Node<Log, Update> = async (_, config) => {
    signals.push(config.signal);
    if (attempt(config).number === 1) {
      if (how === "out of time") return await doLate(config);
      await Promise.all([doLate(config), Promise.reject(unavailable())]);
    }
    second.come();
    await released.came;
    config.writer?.("chunk in time");
    send(config, "sent in time");
    return { log: ["answered in time"] };
  };
  const graph = graphOf(
    resilient(node, { clock, timeout: { baseMs: limitMs }, retry: { ...quick, initialDelayMs: 0 } }),
  );
  const chunks: unknown[] = [];
  const unhandled = await unhandledDuring(async () => {
    const run = (async () => {
      const stream = await graph.stream({ value: 1 }, { ...thread, streamMode: "custom" });
      for await (const chunk of stream) chunks.push(chunk);
    })();
    await vi.waitFor(() => expect(signals).not.toEqual([]));
    if (how === "out of time") await clock.advance(limitMs);
    await lateIsOver.came;
    await clock.settle();
    released.come();
    await run;
  }, 0);
  const { values } = await graph.getState(thread);
  return { values, chunks, signals, lateFailure, unhandled, clock };
}

describe.each(["out of time", "failed"] as const)("an attempt that is over (%s) while a part of it goes on", (how) => {
  const inTime = { log: ["sent in time", "answered in time"] };

  it.each<[string, Work]>([
    ["writes chunks", (config) => config.writer?.("late chunk")],
    ["writes to the state", (config) => send(config, "sent late")],
    ["returns", () => ({ log: ["answered late"] })],
    ["returns a command", () => new Command({ update: { log: ["late"] }, goto: "elsewhere" })],
    [
      "throws a command to the parent",
      () => {
        throw new ParentCommand(new Command({ graph: Command.PARENT, goto: "elsewhere" }));
      },
    ],
    [
      "throws",
      () => {
        throw httpError(401);
      },
    ],
  ])("no longer counts when it %s", async (_, late) => {
    const { values, chunks, unhandled } = await lateWhileAnotherRuns(how, late);
    expect(values).toMatchObject(inTime);
    expect(chunks).toEqual(["chunk in time"]);
    expect(unhandled).toEqual([]);
  });

  it.each<[string, Work]>([
    ["ask", () => interrupt("late?")],
    ["begin an effect", (config) => beginEffect(config, "charge")],
  ])("may not %s", async (_, late) => {
    const { values, lateFailure } = await lateWhileAnotherRuns(how, late);
    expect(values).toMatchObject(inTime);
    expect(lateFailure).toMatchObject({ code: "CANCELLED", message: expect.stringContaining("given up on") });
  });
});

describe("an attempt that is out of time", () => {
  it("is told so by its signal, before the next one begins with a signal of its own", async () => {
    const seen: unknown[] = [];
    const { signals } = await lateWhileAnotherRuns("out of time", (config) => seen.push(config.signal?.aborted));
    const [first, second] = signals;
    expect(seen).toEqual([true]);
    expect(first?.reason).toMatchObject({ code: "ATTEMPT_TIMEOUT", timeoutMs: limitMs });
    expect(second).not.toBe(first);
    expect(second?.aborted).toBe(false);
  });

  it("does not take the answer that the next one waits for", async () => {
    const clock = new FakeClock();
    const answers: unknown[] = [];
    let asksLate = occasion();
    let isOver = occasion();
    const node: Node<Log, Update> = async (_, config) => {
      if (attempt(config).number === 1) {
        await asksLate.came;
        try {
          answers.push(["late", interrupt("proceed?")]);
        } finally {
          isOver.come();
        }
      }
      asksLate.come();
      await isOver.came;
      answers.push(["in time", interrupt("proceed?")]);
      return { log: ["done"] };
    };
    const decorated = resilient(node, {
      clock,
      timeout: { baseMs: limitMs },
      retry: { maxAttempts: 2, initialDelayMs: 0 },
    });
    const graph = graphOf(decorated);
    const inTwoAttempts = async (given: unknown) => {
      [asksLate, isOver] = [occasion(), occasion()];
      const run = graph.invoke(given as never, thread);
      await vi.waitFor(() => expect(clock.alarms).toEqual([limitMs]));
      await clock.advance(limitMs);
      return await run;
    };
    expect(await inTwoAttempts({ value: 1 })).toMatchObject({ __interrupt__: [{ value: "proceed?" }] });
    expect(await inTwoAttempts(new Command({ resume: "yes" }))).toMatchObject({ log: ["done"] });
    expect(answers).toEqual([["in time", "yes"]]);
  });

  it("and never ends leaves no timer behind", async () => {
    const clock = new FakeClock();
    const timeout = { baseMs: limitMs, firstTokenMs: 60_000, idleMs: 60_000 };
    const node = resilient((_: Log) => new Promise<Update>(() => {}), { clock, retry: false, timeout });
    const failure = node(input, {}).catch((error: unknown) => error);
    await clock.advance(limitMs);
    expect(await failure).toMatchObject({ code: "ATTEMPT_TIMEOUT" });
    expect(clock.alarms).toEqual([]);
  });
});

describe("beginEffect", () => {
  const begins =
    (then: "hangs" | "fails"): Node<Log, Update> =>
    async (_, config) => {
      beginEffect(config, "charge order-17");
      if (then === "fails") throw unavailable();
      return await new Promise<Update>(() => {});
    };
  const instead: Options["fallback"] = [{ name: "other", run: (): Update => ({ log: ["other"] }) }];

  /** Runs it until a person is asked, letting as much time pass as it takes. */
  async function untilAsked(clock: FakeClock, node: Node<Log, Update>) {
    const run = runThread(graphOf(node), { value: 1 }, { threadId: "t" });
    let over = false;
    void run.finally(() => {
      over = true;
    });
    await vi.waitFor(async () => {
      await clock.advance(60_000);
      expect(over).toBe(true);
    });
    const stopped = await run;
    expect(stopped.values.log).toEqual([]);
    return stopped.waitingFor[0]?.request;
  }

  it.each([
    ["runs out of time", "hangs", "ATTEMPT_TIMEOUT"],
    ["fails", "fails", undefined],
  ] as const)("has a person decide when the attempt then %s: no retry, no fallback", async (_, then, code) => {
    const clock = new FakeClock();
    const asked = await untilAsked(clock, resilient(begins(then), { clock, fallback: instead }));
    expect(asked?.attempts).toMatchObject([
      {
        number: 1,
        effects: ["charge order-17"],
        gaveUp: "the attempt had begun charge order-17, which must not happen twice",
        report: code === undefined ? { status: 503 } : { code },
      },
    ]);
    expect(asked?.fallbacksTried).toEqual([]);
  });

  it.each<[string, (clock: FakeClock) => Node<Log, Update>]>([
    ["a retry", (clock) => resilient(begins("fails"), { clock, retry: quick })],
    ["a time limit", (clock) => resilient(begins("hangs"), { clock, retry: false })],
    [
      "a deadline",
      (clock) => resilient(begins("hangs"), { clock, retry: false, timeout: { deadlineMs: 500, baseMs: limitMs } }),
    ],
  ])("holds for the decorators around, too, where %s is further in", async (_, inner) => {
    const clock = new FakeClock();
    const asked = await untilAsked(clock, resilient(inner(clock), { clock, fallback: instead }));
    expect(asked?.attempts.map(({ step, number, effects }) => ({ step, number, effects }))).toEqual([
      { step: "node", number: 1, effects: ["charge order-17"] },
    ]);
    expect(asked?.fallbacksTried).toEqual([]);
  });

  it("is shown when a deadline cuts the attempt short", async () => {
    const clock = new FakeClock();
    const node = resilient(begins("hangs"), { clock, timeout: { deadlineMs: 500 }, fallback: instead });
    const asked = await untilAsked(clock, node);
    expect(asked?.failure.code).toBe("DEADLINE_EXCEEDED");
    expect(asked?.attempts).toMatchObject([{ number: 1, durationMs: 500, effects: ["charge order-17"] }]);
  });

  it("in a fallback has no further fallback tried", async () => {
    const clock = new FakeClock();
    const node = resilient(async (): Promise<Update> => Promise.reject(unavailable()), {
      clock,
      retry: false,
      fallback: [{ name: "charges", run: (state: Log, config) => begins("fails")(state, config) }, ...(instead ?? [])],
    });
    const asked = await untilAsked(clock, node);
    expect(asked?.fallbacksTried).toEqual(["charges"]);
    expect(asked?.attempts[1]).toMatchObject({ step: "charges", effects: ["charge order-17"] });
  });

  it("does not stand in the way of an attempt that succeeds, nor of one that a person asks for", async () => {
    let calls = 0;
    const node: Node<Log, Update> = async (_, config) => {
      beginEffect(config, "charge order-17");
      calls += 1;
      if (calls === 1) throw unavailable();
      return { log: ["charged"] };
    };
    const graph = graphOf(resilient(node));
    expect((await runThread(graph, { value: 1 }, { threadId: "t" })).status).toBe("waiting_human");
    const done = await resumeThread(graph, "t", { action: "retry" });
    expect(done).toMatchObject({ status: "succeeded", values: { log: ["charged"] } });
  });

  it("without a decorator around does nothing", () => {
    expect(() => beginEffect({}, "charge")).not.toThrow();
  });
});
