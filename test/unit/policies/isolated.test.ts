import { getEventListeners } from "node:events";
import { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import { classifyError } from "../../../src/errors/classify.js";
import { isolated } from "../../../src/policies/isolated.js";
import type { IsolatedOptions } from "../../../src/policies/isolated-options.js";
import { FakeClock } from "../../support/fake-clock.js";
import type * as Work from "../../support/isolated/work.js";
import { BEGUN, CLEANED, failInDepth, HEARD } from "../../support/isolated/work.js";

const here = (file: string) => new URL(`../../support/isolated/${file}`, import.meta.url);
const work = (name: string, options?: IsolatedOptions) =>
  isolated<unknown, unknown>({ module: here("work.js"), export: name }, options);

const workers: Worker[] = [];
const note = (worker: Worker) => void workers.push(worker);
beforeAll(() => void process.on("worker", note));
afterAll(() => void process.off("worker", note));
/** A thread that has ended has no number any more. */
const alive = () => workers.filter((worker) => worker.threadId !== -1);
afterEach(() => {
  expect(alive()).toEqual([]);
  workers.length = 0;
});

const failureOf = (running: Promise<unknown>): Promise<unknown> =>
  running.then(
    (value) => {
      throw new Error(`expected a failure, got ${String(value)}`);
    },
    (error: unknown) => error,
  );

/** The flags the worker raises, and a wait for one of them that needs no clock. */
function progress() {
  const flags = new Int32Array(new SharedArrayBuffer(12));
  const raised = async (flag: number): Promise<void> => {
    const { waitAsync } = Atomics as unknown as {
      waitAsync(flags: Int32Array, index: number, value: number): { readonly value: unknown };
    };
    await waitAsync(flags, flag, 0).value;
  };
  return { flags, raised, is: (flag: number) => Atomics.load(flags, flag) === 1 };
}

describe("work in a thread of its own", () => {
  it("is given the input and returns the result, typed by the function itself", async () => {
    const addUp = isolated<typeof Work.addUp>({ module: here("work.js"), export: "addUp" });
    expectTypeOf(addUp).parameter(0).toEqualTypeOf<{ readonly numbers: readonly number[] }>();
    expectTypeOf(addUp).returns.toEqualTypeOf<Promise<{ readonly sum: number }>>();
    expect(await addUp({ numbers: [1, 2, 3] })).toEqual({ sum: 6 });
    expect(workers).toHaveLength(1);
  });

  it("may ignore its input, and is then called with any", async () => {
    const nothing = isolated<typeof Work.answerNothing>({ module: here("work.ts"), export: "answerNothing" });
    expectTypeOf(nothing).parameter(0).toEqualTypeOf<unknown>();
    expect(await nothing({ any: "state" })).toBeUndefined();
  });

  it("is the default export unless another is named, and is called after it or after the file", async () => {
    const double = isolated<number, number>({ module: here("work.js").href });
    expect(await double(21)).toBe(42);
    expect(double.name).toBe("work");
    expect(work("addUp").name).toBe("addUp");
  });

  it("finds nothing that an earlier call left behind", async () => {
    const count = work("countCalls");
    expect([await count(0), await count(0)]).toEqual([2, 2]);
  });

  it("runs beside another call of the same work", async () => {
    const { flags } = progress();
    const meet = work("meet");
    expect(await Promise.all([meet({ flags, me: 0 }), meet({ flags, me: 1 })])).toEqual(["0 met 1", "1 met 0"]);
  });

  it("reads no environment but what is named", async () => {
    process.env.ISOLATED_SECRET = "hunter2";
    process.env.ISOLATED_REGION = "eu";
    try {
      expect(await work("environment")(0)).toEqual({});
      expect(await work("environment", { env: ["ISOLATED_REGION", "ISOLATED_ABSENT"] })(0)).toEqual({
        ISOLATED_REGION: "eu",
      });
    } finally {
      delete process.env.ISOLATED_SECRET;
      delete process.env.ISOLATED_REGION;
    }
  });
});

describe("the thread ends with the call", () => {
  it("and its answer is heard although it has ended before anybody listened", async () => {
    const { flags } = progress();
    const running = work("answerAndTell")({ flags });
    Atomics.wait(flags, CLEANED, 0);
    expect(await running).toBe("answered");
  });

  it("although the work has left a timer behind", async () => {
    expect(await work("keepATimer")(0)).toBe("answered");
  });

  it("by force, after the grace period, when the work holds the thread after its answer", async () => {
    const clock = new FakeClock();
    const running = work("answerThenSpin", { clock, graceMs: 200, maxMemoryMb: 64 })(0);
    const settled = expect(running).resolves.toBe("answered");
    await until(() => clock.alarms.includes(200));
    expect(alive()).toHaveLength(1);
    await clock.advance(200);
    await settled;
  });

  it("and leaves no alarm and no listener", async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    await isolated<number, number>({ module: here("work.js") }, { clock })(1, { signal: controller.signal });
    expect(clock.alarms).toEqual([]);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });
});

describe("an abort", () => {
  it("before the call starts no thread", async () => {
    const reason = new Error("enough");
    expect(await failureOf(work("countCalls")(0, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(workers).toEqual([]);
  });

  it("while the thread starts ends it at once", async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const reason = new Error("enough");
    const running = failureOf(
      isolated({ module: new URL("../../support/isolated/never-loads.ts", import.meta.url) }, { clock })(0, {
        signal: controller.signal,
      }),
    );
    controller.abort(reason);
    expect(await running).toBe(reason);
    expect(clock.alarms).toEqual([]);
  });

  it("reaches the work as a signal with the same reason, and lets it end by itself", async () => {
    const clock = new FakeClock();
    const { flags, raised, is } = progress();
    const controller = new AbortController();
    const reason = Object.assign(new Error("deadline"), { code: "DEADLINE_EXCEEDED" });
    const running = failureOf(work("untilAborted", { clock })({ flags }, { signal: controller.signal }));
    await raised(BEGUN);
    await clock.settle();
    controller.abort(reason);
    expect(await running).toBe(reason);
    expect([is(HEARD), is(CLEANED)]).toEqual([true, true]);
  });

  it("ends the thread by force when the work does not listen, after the grace period", async () => {
    const clock = new FakeClock();
    const { flags, raised } = progress();
    const controller = new AbortController();
    const running = failureOf(work("deafToAbort", { clock, graceMs: 700 })({ flags }, { signal: controller.signal }));
    await raised(BEGUN);
    await clock.settle();
    controller.abort(new Error("enough"));
    await raised(HEARD);
    expect(clock.alarms).toContain(700);
    expect(alive()).toHaveLength(1);
    await clock.advance(700);
    expect(await running).toMatchObject({ message: "enough" });
  });

  it("ends a loop that cannot hear anything", async () => {
    const clock = new FakeClock();
    const { flags, raised } = progress();
    const controller = new AbortController();
    const running = failureOf(work("spinForever", { clock })({ flags }, { signal: controller.signal }));
    await raised(BEGUN);
    await clock.settle();
    controller.abort(new Error("enough"));
    await clock.advance(500);
    expect(await running).toMatchObject({ message: "enough" });
  });

  it("counts although the work answers after it", async () => {
    const { flags, raised } = progress();
    const controller = new AbortController();
    const running = failureOf(work("returnsWhenAborted")({ flags }, { signal: controller.signal }));
    await raised(BEGUN);
    await new FakeClock().settle();
    controller.abort(new Error("enough"));
    expect(await running).toMatchObject({ message: "enough" });
  });
});

describe("memory", () => {
  it("that runs out on the heap is a failure of the environment, with the limit and the option", async () => {
    const error = await failureOf(work("fillHeap", { maxMemoryMb: 32 })(0));
    expect(error).toMatchObject({
      code: "ERR_WORKER_OUT_OF_MEMORY",
      message: expect.stringMatching(/isolated\(fillHeap\).*limit of 32 MB; raise maxMemoryMb/),
      details: { maxMemoryMb: 32 },
    });
    expect(classifyError(error)).toMatchObject({ category: "environment", retryable: false });
  });
});

describe("buffers, looked at from outside", () => {
  type Look = () => Promise<{ external_memory: number }>;
  const prototype = Worker.prototype as { getHeapStatistics?: Look };
  const real = prototype.getHeapStatistics;
  afterEach(() => {
    if (real === undefined) delete prototype.getHeapStatistics;
    else prototype.getHeapStatistics = real;
  });

  it("are watched on when the first look came before the thread was up", async () => {
    const looks: Look[] = [
      () => Promise.reject(Object.assign(new Error("not running"), { code: "ERR_WORKER_NOT_RUNNING" })),
      () => Promise.resolve({ external_memory: 96 * 2 ** 20 }),
      () => Promise.resolve({ external_memory: 96 * 2 ** 20 + 1 }),
    ];
    prototype.getHeapStatistics = () => looks.shift()?.() ?? Promise.reject(new Error("looked too often"));
    const clock = new FakeClock();
    const { flags, raised } = progress();
    const running = failureOf(work("spinForever", { clock, maxMemoryMb: 32 })({ flags }));
    await raised(BEGUN);
    await clock.advance(299);
    expect([looks.length, alive().length]).toEqual([1, 1]);
    await clock.advance(1);
    expect(await running).toMatchObject({
      code: "ERR_WORKER_OUT_OF_MEMORY",
      message: expect.stringContaining("held 96 MB in buffers"),
    });
    expect(clock.alarms).toEqual([]);
  });
});

describe("what the work does wrong", () => {
  it("process.exit() is no answer", async () => {
    const error = await failureOf(work("exit")(3));
    expect(error).toMatchObject({ code: "WORKER_EXITED", message: expect.stringContaining("exit code 3") });
    expect(classifyError(error).category).toBe("bug");
  });

  it("an exception that nobody caught fails the call with that exception", async () => {
    expect(await failureOf(work("throwLater")(0))).toMatchObject({ message: "nobody caught this", status: 503 });
  });

  it("a rejection that nobody awaited fails the call with its reason", async () => {
    expect(await failureOf(work("rejectLater")(0))).toMatchObject({
      message: "nobody awaited this",
      code: "ECONNRESET",
    });
  });

  it("a result that cannot be copied is named", async () => {
    const error = await failureOf(work("returnFunction")(0));
    expect(error).toMatchObject({
      code: "NOT_CLONEABLE",
      message: expect.stringMatching(/the result .*=> ?(undefined|void 0) could not be cloned; return/),
    });
    expect(classifyError(error)).toMatchObject({ category: "bug", retryable: false });
  });

  it("an input that cannot be copied is named, and no thread is started for it", async () => {
    const error = await failureOf(work("addUp")({ numbers: [], onDone: () => undefined }));
    expect(error).toMatchObject({ code: "NOT_CLONEABLE", message: expect.stringMatching(/the input .*=> undefined/) });
    expect(workers).toEqual([]);
  });

  it.each([
    [
      "interrupt()",
      isolated({ module: new URL("../../support/isolated/ask-person.ts", import.meta.url) }),
      /interrupt\(\) steers the graph/,
    ],
    ["a thrown interrupt", work("throwInterrupt"), /GraphInterrupt steers the graph/],
    ["a returned Command", work("returnCommand"), /a Command steers the graph/],
  ])("LangGraph's control flow cannot leave the thread: %s", async (_, node, message) => {
    const error = await failureOf(node(0));
    expect(error).toMatchObject({ code: "CONTROL_FLOW_IN_WORKER", message: expect.stringMatching(message) });
    expect(error).not.toHaveProperty("is_bubble_up");
    expect(classifyError(error)).toMatchObject({ category: "bug", retryable: false });
  });
});

describe("a module", () => {
  it("that does not exist is refused when the node is made", () => {
    expect(() => isolated({ module: here("absent.js") })).toThrow(
      expect.objectContaining({
        code: "CONFIG",
        message: expect.stringMatching(/isolated\/absent\.js does not exist/),
      }),
    );
  });

  it("of another machine is refused when the node is made", () => {
    expect(() => isolated({ module: new URL("https://example.com/a.js") })).toThrow(/example\.com.*give a file: URL/);
  });

  it("that lacks the export fails at the first call with what it does export", async () => {
    const error = await failureOf(work("subtract")(0));
    expect(error).toMatchObject({
      code: "CONFIG",
      message: expect.stringMatching(/work\.ts exports no function "subtract".*addUp/),
    });
    expect(classifyError(error)).toMatchObject({ category: "invalid_input", retryable: false });
    expect(await failureOf(work("noFunction")(0))).toMatchObject({ code: "CONFIG" });
  });

  it("that fails while it is loaded fails the call with its own error", async () => {
    const error = await failureOf(
      isolated({ module: new URL("../../support/isolated/broken.ts", import.meta.url) })(0),
    );
    expect(error).toMatchObject({ message: "the licence has expired", status: 402 });
  });

  it("that lacks a dependency is a failure of the environment", async () => {
    const error = await failureOf(
      isolated({ module: new URL("../../support/isolated/missing-dependency.ts", import.meta.url) })(0),
    );
    expect(error).toMatchObject({ code: "ERR_MODULE_NOT_FOUND" });
    expect(classifyError(error).category).toBe("environment");
  });

  it("that does not load within startTimeoutMs is given up", async () => {
    const clock = new FakeClock();
    const running = failureOf(
      isolated(
        { module: new URL("../../support/isolated/never-loads.ts", import.meta.url) },
        { clock, startTimeoutMs: 4000 },
      )(0),
    );
    await clock.advance(4000);
    expect(await running).toMatchObject({
      code: "ATTEMPT_TIMEOUT",
      message: expect.stringContaining("startTimeoutMs"),
    });
  });

  it("may be a data: URL", async () => {
    const module = new URL("data:text/javascript,export default (n) => n + 1");
    expect(await isolated<number, number>({ module })(1)).toBe(2);
  });
});

describe("options", () => {
  it.each([
    [{ maxMemoryMb: 8 }, /isolated\(addUp\): option "maxMemoryMb" is 8/],
    [{ env: [""] }, /option "env.0" is ""/],
    [{ startTimeoutMs: 0 }, /option "startTimeoutMs" is 0/],
    [{ graceMs: -1 }, /option "graceMs" is -1/],
    [{ memory: 5 } as object, /memory/],
  ])("%j are refused by name", (options, message) => {
    expect(() => work("addUp", options)).toThrow(message);
  });

  it("a module that is no URL is refused with what would do", () => {
    expect(() => isolated({ module: "./work.js" })).toThrow(/option "module" is "\.\/work\.js".*new URL\(/);
  });
});

describe("an error comes back", () => {
  it("with its class names, words, facts and causes, and the stack of the worker in terms of its source", async () => {
    const error = await failureOf(work("failInDepth")(0));
    expect(error).toBeInstanceOf(Error);
    expect(Object.getPrototypeOf(error).constructor.name).toBe("QuotaProblem");
    expect(error).toMatchObject({
      message: "no money left",
      status: 429,
      code: "insufficient_quota",
      stack: expect.stringMatching(/no money left\n.*failInDepth.*work\.ts:\d+/),
      cause: { message: "fetch failed", cause: { message: "connect", code: "ECONNREFUSED" } },
    });
    expect((error as Error).cause).toBeInstanceOf(TypeError);
    expect(classifyError(error)).toEqual(classifyError(caught(failInDepth)));
  });

  it.each([["a text"], [{ status: 503, message: "unavailable" }], [undefined]])(
    "as it was thrown where it is no Error: %j",
    async (thrown) => {
      expect(await failureOf(work("throwValue")(thrown))).toEqual(thrown);
    },
  );
});

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error("expected a failure");
}

/** Until a condition holds that another thread brings about. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
