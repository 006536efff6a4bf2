/** How long a node may stay silent, what is left of a deadline further in, and waits that end when the run is told to. */
import { MemorySaver, RunControl, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it, vi } from "vitest";
import type { Clock } from "../../../src/core/clock.js";
import type { AttemptRecord } from "../../../src/core/records.js";
import { attempt } from "../../../src/langgraph/attempt-scope.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { type Node, resilient } from "../../../src/langgraph/resilient.js";
import type { ResilientOptions } from "../../../src/langgraph/resilient-options.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { type RunThreadOptions, runThread } from "../../../src/langgraph/threads/run-thread.js";
import { protect } from "../../../src/policies/protect.js";
import { FakeClock } from "../../support/fake-clock.js";
import { type Log, LogState, recorder, unavailable } from "../../support/graphs.js";
import { ANSWER, chatOpenAi, HALF, providerFor } from "../provider/provider.js";

type Update = Partial<Log>;
type Options = ResilientOptions<Log, Update>;

const input: Log = { log: [], value: 1 };
const atOnce = { initialDelayMs: 0 };
const codeOf = (error: unknown) => (error as { code?: unknown }).code;
const graphOf = (node: Node<Log, Update>) =>
  installRecovery(new StateGraph(LogState).addNode("node", node).addEdge(START, "node")).compile({
    checkpointer: new MemorySaver(),
  });

describe("a node that shows signs of life", () => {
  /** Runs a node that does something every 90 ms, five times, under limits of 100 ms. */
  async function everyNinety(sign: (config: Parameters<Node<Log, Update>>[1]) => void, timeout: Options["timeout"]) {
    const clock = new FakeClock();
    const node = resilient(
      async (_: Log, config): Promise<Update> => {
        for (let step = 1; step <= 5; step += 1) {
          await clock.sleep(90, config.signal);
          sign(config);
        }
        return { log: ["done"] };
      },
      { clock, retry: false, timeout: timeout ?? {} },
    );
    const outcome = graphOf(node).invoke({ value: 1 }, { configurable: { thread_id: "t" } });
    await vi.waitFor(() => expect(clock.pending).toEqual([90]));
    await clock.advance(1000);
    const { log, __interrupt__ } = (await outcome) as Log & { __interrupt__?: [{ value: { failure: object } }] };
    return { log, failure: __interrupt__?.[0].value.failure, alarms: clock.alarms };
  }

  it.each<[string, Parameters<typeof everyNinety>[0]]>([
    ["a chunk written", (config) => config.writer?.("chunk")],
    ["a heartbeat", (config) => config.heartbeat?.()],
  ])("by %s may go on for as long as it shows them", async (_, sign) => {
    const { log, alarms } = await everyNinety(sign, { firstTokenMs: 100, idleMs: 100 });
    expect(log).toEqual(["done"]);
    expect(alarms).toEqual([]);
  });

  it("has only as long as an attempt may take at most", async () => {
    const { failure } = await everyNinety((config) => config.heartbeat?.(), { baseMs: 400, idleMs: 100 });
    expect(failure).toMatchObject({ category: "timeout", code: "ATTEMPT_TIMEOUT" });
  });

  it.each([
    [{ firstTokenMs: 80, idleMs: 100 }, "FIRST_TOKEN_TIMEOUT"],
    [{ firstTokenMs: 100, idleMs: 80 }, "IDLE_TIMEOUT"],
    [{ idleMs: 80 }, "IDLE_TIMEOUT"],
  ])("is given up on where it shows one too late: %j", async (timeout, code) => {
    const { failure } = await everyNinety((config) => config.heartbeat?.(), timeout);
    expect(failure).toMatchObject({ category: "timeout", code });
  });

  it("shows them for the decorators around as well, but no longer once it was given up on", async () => {
    const clock = new FakeClock();
    const begun: number[] = [];
    const inner = resilient(
      async (_: Log, config): Promise<Update> => {
        const { number } = attempt(config);
        begun.push(number);
        if (number === 2) return await new Promise<Update>(() => {});
        // Deaf to its signal: goes on beating when the second attempt, which is silent, has taken its place.
        for (;;) {
          await clock.sleep(50);
          config.heartbeat?.();
        }
      },
      { clock, retry: atOnce, timeout: { baseMs: 200 } },
    );
    const outer = resilient(inner, { clock, retry: false, timeout: { baseMs: 10_000, idleMs: 100 } });
    const failure = outer(input, {}).catch((error: unknown) => error);
    await clock.advance(200);
    expect(begun, "the outer limit of 100 ms was kept by the heartbeats").toEqual([1, 2]);
    await clock.advance(100);
    expect(codeOf(await failure)).toBe("IDLE_TIMEOUT");
    expect(begun).toEqual([1, 2]);
  });
});

describe("a model that is streamed", () => {
  const timeout = { firstTokenMs: 1000, idleMs: 500 };
  const fallback: Options["fallback"] = [{ name: "other", run: (): Update => ({ log: ["other"] }) }];

  /** Streams its model's answer; the model finds the attempt's config by itself or is handed it. */
  async function streaming(kind: "hang" | "stall", options: Options, handsOn = false) {
    const provider = await providerFor({ script: [{ kind }] });
    const model = chatOpenAi(provider.baseUrl);
    const clock = new FakeClock();
    const heard: string[] = [];
    const signals: (AbortSignal | undefined)[] = [];
    const node: Node<Log, Update> = async (_, config) => {
      signals.push(config.signal);
      const call = attempt(config).number - 1;
      heard[call] = "";
      for await (const chunk of await model.stream("How did the quarter go?", handsOn ? config : undefined))
        heard[call] += chunk.text;
      return { log: [heard[call] ?? ""] };
    };
    const seen = recorder();
    const run = runThread(
      graphOf(resilient(node, { clock, timeout, retry: atOnce, ...options })),
      { value: 1 },
      { threadId: "t", onEvent: seen.onEvent },
    );
    const half = kind === "stall" ? HALF : "";
    await vi.waitFor(
      () => {
        expect(provider.requests).toHaveLength(1);
        expect(heard[0]).toBe(half);
      },
      { timeout: 20_000 },
    );
    await clock.advance(kind === "stall" ? timeout.idleMs : timeout.firstTokenMs);
    const { values } = await run;
    const failed = seen.events.filter((event) => event.type === "attempt.failed");
    return { values, requests: provider.requests.length, failed, signals };
  }

  it("and stays silent is not asked again while a fallback is left", async () => {
    const { values, requests, failed, signals } = await streaming("hang", { fallback });
    expect(values.log).toEqual(["other"]);
    expect(requests).toBe(1);
    expect(signals[0]?.aborted).toBe(true);
    expect(failed).toMatchObject([
      { report: { code: "FIRST_TOKEN_TIMEOUT" }, gaveUp: "it stayed silent, and a fallback may answer sooner" },
    ]);
  });

  it.each([false, true])("and stays silent is asked again when none is (config handed on: %s)", async (handsOn) => {
    const { values, requests } = await streaming("hang", {}, handsOn);
    expect(values.log).toEqual([ANSWER]);
    expect(requests).toBe(2);
  });

  it.each([false, true])("and stops in the middle is asked again (config handed on: %s)", async (handsOn) => {
    const { values, requests, failed } = await streaming("stall", { fallback }, handsOn);
    expect(values.log).toEqual([ANSWER]);
    expect(requests).toBe(2);
    expect(failed).toMatchObject([{ report: { code: "IDLE_TIMEOUT" } }]);
  });

  it("and stays silent as a fallback is not asked again while another fallback is left", async () => {
    const clock = new FakeClock();
    const asked: string[] = [];
    const silent = (name: string) => (): Promise<Update> => {
      asked.push(name);
      return new Promise(() => {});
    };
    const node = resilient(async (): Promise<Update> => Promise.reject(unavailable()), {
      clock,
      retry: false,
      timeout,
      fallback: [
        { name: "first", run: silent("first"), retry: atOnce },
        { name: "last", run: silent("last"), retry: atOnce },
      ],
    });
    const failure = node(input, {}).catch((error: unknown) => error);
    await clock.advance(10 * timeout.firstTokenMs);
    await failure;
    expect(asked).toEqual(["first", "last", "last", "last"]);
  });
});

describe("deadlineMs", () => {
  const failing = (clock: Clock, call: Node<Log, Update>): Node<Log, Update> =>
    resilient(call, { clock, retry: false, timeout: { deadlineMs: 1500 } });

  it("is inherited by a decorator further in, which begins no wait that would end after it", async () => {
    const clock = new FakeClock();
    const inner = resilient(async (): Promise<Update> => Promise.reject(unavailable()), {
      clock,
      retry: { jitter: "none" },
    });
    const stopped = runThread(graphOf(failing(clock, inner)), { value: 1 }, { threadId: "t" });
    await vi.waitFor(() => expect(clock.begun).toEqual([1000]));
    await clock.advance(1000);
    expect((await stopped).waitingFor[0]?.request?.attempts).toMatchObject([
      { number: 1, delayMs: 1000 },
      { number: 2, gaveUp: "a wait of 2000 ms would end after the deadline" },
    ]);
  });

  it("is inherited by protect() that is given the node's signal", async () => {
    const clock = new FakeClock();
    const records: AttemptRecord[] = [];
    const call = protect(async () => Promise.reject(unavailable()), {
      clock,
      retry: { jitter: "none" },
      onFailedAttempt: (record) => records.push(record),
    });
    const node = failing(clock, async (_, config) => {
      await call(undefined, { signal: config.signal });
      return {};
    });
    const failure = Promise.resolve(node(input, {})).catch((error: unknown) => error);
    await clock.advance(1000);
    expect(await failure).toMatchObject({ status: 503 });
    expect(records.map(({ delayMs, gaveUp }) => delayMs ?? gaveUp)).toEqual([
      1000,
      "a wait of 2000 ms would end after the deadline",
    ]);
  });
});

/** On the real clock, in waits longer than a test may take: one that was not cut short would fail by that. */
describe("a wait of a minute", () => {
  const aMinute = { initialDelayMs: 60_000, maxElapsedMs: 600_000, jitter: "none" } as const;
  const failsOnce = () => {
    let calls = 0;
    return async (): Promise<Update> => {
      calls += 1;
      if (calls === 1) throw unavailable();
      return { log: ["done"] };
    };
  };
  const places: [string, () => Node<Log, Update>][] = [
    ["of the node", () => resilient(failsOnce(), { retry: aMinute })],
    [
      "of a fallback",
      () =>
        resilient(async (): Promise<Update> => Promise.reject(unavailable()), {
          retry: false,
          fallback: [{ name: "other", run: failsOnce(), retry: aMinute }],
        }),
    ],
    [
      "of a decorator further in",
      () => resilient(resilient(failsOnce(), { retry: aMinute }), { timeout: { deadlineMs: 600_000 } }),
    ],
    [
      "of protect() within the node",
      () => {
        const call = protect(failsOnce(), { retry: aMinute });
        return resilient(async (_: Log, config) => await call(undefined, { signal: config.signal }));
      },
    ],
  ];

  it.each(places)("%s ends at once when the run is aborted, and the thread can go on", async (_, decorated) => {
    const aborting = new AbortController();
    const waits = vi.spyOn(globalThis, "setTimeout");
    const graph = graphOf(decorated());
    const run = runThread(graph, { value: 1 }, { threadId: "t", signal: aborting.signal });
    await vi.waitFor(() => expect(waits.mock.calls.some(([, ms]) => ms === 60_000)).toBe(true));
    waits.mockRestore();
    aborting.abort(new Error("enough"));
    expect((await run).status).toBe("drained");
    expect(await resumeThread(graph, "t")).toMatchObject({ status: "succeeded", values: { log: ["done"] } });
  });

  it.each(places.slice(0, 3))("%s ends at once on a drain, and the thread can go on", async (_, decorated) => {
    const control = new RunControl();
    const options: RunThreadOptions = {
      threadId: "t",
      control,
      onEvent: (event) => {
        const waits = event.type === "attempt.failed" && event.delayMs === 60_000;
        if (waits) setImmediate(() => control.requestDrain("deploy"));
      },
    };
    const graph = graphOf(decorated());
    expect((await runThread(graph, { value: 1 }, options)).status).toBe("drained");
    expect(await resumeThread(graph, "t")).toMatchObject({ status: "succeeded", values: { log: ["done"] } });
  });
});
