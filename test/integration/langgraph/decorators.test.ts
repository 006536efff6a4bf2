/** Decorators on their own, nested, and in graphs without recovery. */
import { Annotation, Command, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { failureOf } from "../../../src/core/failures.js";
import type { Category } from "../../../src/errors/categories.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import { withFallback, withRetry, withTimeout } from "../../../src/langgraph/single-rungs.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import {
  errno,
  failures,
  httpError,
  type Log,
  LogState,
  once,
  quick,
  recorder,
  unavailable,
} from "../../support/graphs.js";

type Update = Partial<Log>;
const input: Log = { log: [], value: 1 };
const always = (error: unknown) => async (): Promise<Update> => {
  throw error;
};

describe("a graph without recovery", () => {
  it("rejects with the very error the node threw, and knows its record", async () => {
    const mine = httpError(401);
    const graph = new StateGraph(LogState)
      .addNode("node", resilient(always(mine)))
      .addEdge(START, "node")
      .compile();
    const error = await graph.invoke({ value: 1 }).catch((caught: unknown) => caught);
    expect(error).toBe(mine);
    expect(failureOf(error)).toMatchObject({ node: "node", report: { category: "auth" }, attempts: [{ number: 1 }] });
  });

  it("works without a checkpointer and drops the note of a fallback", async () => {
    const node = resilient(always(unavailable()), {
      ...once,
      fallback: [{ name: "f", run: (): Update => ({ log: ["f"] }) }],
    });
    const graph = new StateGraph(LogState).addNode("node", node).addEdge(START, "node").compile();
    expect(await graph.invoke({ value: 1 })).toEqual({ value: 1, log: ["f"] });
  });
});

describe("outside of any graph", () => {
  it("a decorated node is a function with its own name", async () => {
    async function writeReport(_: Log): Promise<Update> {
      return { value: 2 };
    }
    const node = resilient(writeReport);
    expect(node.name).toBe("writeReport");
    expect(await node(input, {})).toEqual({ value: 2 });
  });

  it("an abort rejects with its own reason", async () => {
    const reason = new Error("enough");
    await expect(resilient(always(unavailable()))(input, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it("what is thrown and is no error is wrapped", async () => {
    await expect(resilient(always("boom"), once)(input, {})).rejects.toMatchObject({ code: "NON_ERROR_THROWN" });
  });
});

describe("nested decorators", () => {
  const nested = (counted: ReturnType<typeof failures>) => {
    const inner = withRetry(
      async (_: Log): Promise<Update> => {
        counted.pass("node");
        return {};
      },
      { ...quick, maxAttempts: 3 },
    );
    return resilient(withFallback(inner, [{ name: "f", run: always(httpError(500, "f is down")) }]), {
      retry: { ...quick, maxAttempts: 5 },
      timeout: false,
    });
  };

  it("do not multiply attempts or what is told of them", async () => {
    const counted = failures({ node: 99 });
    const builder = new StateGraph(LogState).addNode("node", nested(counted)).addEdge(START, "node");
    const graph = installRecovery(builder).compile({ checkpointer: new MemorySaver() });
    const told = recorder();
    const stopped = await runThread(graph, { value: 1 }, { threadId: "t", onEvent: told.onEvent });
    expect(counted.calls.node).toBe(3);
    expect(told.types("attempt.failed", "node.started", "node.failed")).toEqual([
      "node.started",
      "attempt.failed",
      "attempt.failed",
      "attempt.failed",
      "attempt.failed",
      "node.failed",
    ]);
    expect(stopped.waitingFor[0]?.request?.attempts.map((one) => `${one.step} ${one.number}`)).toEqual([
      "node 1",
      "node 2",
      "node 3",
      "f 1",
    ]);
  });

  it("pass on an inner answer without a second note", async () => {
    const counted = failures({ node: 99 });
    const inner = withFallback(
      withRetry(
        async (_: Log): Promise<Update> => {
          counted.pass("node");
          return {};
        },
        { ...quick, maxAttempts: 2 },
      ),
      [{ name: "f", run: (): Update => ({ log: ["f"] }) }],
    );
    const builder = new StateGraph(LogState)
      .addNode("node", withTimeout(inner, { baseMs: 1000 }))
      .addEdge(START, "node");
    const done = await runThread(
      installRecovery(builder).compile({ checkpointer: new MemorySaver() }),
      { value: 1 },
      { threadId: "t" },
    );
    expect(done.values).toMatchObject({ log: ["f"], degradations: [{ answeredBy: "f" }] });
    expect((done.values.degradations as unknown[]).length).toBe(1);
  });
});

describe("an error object that is thrown again and again", () => {
  it("is retried each time, in one call and in the next", async () => {
    const one = unavailable();
    let calls = 0;
    const node = withRetry(
      async (_: Log): Promise<Update> => {
        calls += 1;
        throw one;
      },
      { ...quick, maxAttempts: 3 },
    );
    await expect(node(input, {})).rejects.toBe(one);
    await expect(node(input, {})).rejects.toBe(one);
    expect(calls).toBe(6);
  });
});

describe("fallbacks", () => {
  const chain = (error: unknown, when?: readonly Category[]) =>
    resilient(always(error), {
      retry: quick,
      fallback: [
        { name: "broken", run: always(unavailable()) },
        { name: "works", run: (): Update => ({ log: ["works"] }), ...(when === undefined ? {} : { when }) },
      ],
    })(input, {});

  it("are tried in order until one answers", async () => {
    expect(await chain(errno("ENOSPC"))).toMatchObject({
      log: ["works"],
      degradations: [{ answeredBy: "works", category: "environment" }],
    });
  });

  it("that name a category answer for it where others may not", async () => {
    const tooLong = Object.assign(new Error("too long"), { code: "context_length_exceeded", status: 400 });
    await expect(chain(tooLong)).rejects.toBe(tooLong);
    expect(await chain(tooLong, ["context_length"])).toMatchObject({ log: ["works"] });
  });

  it("get the failure, the input and a config of their own", async () => {
    const node = resilient(async (_: Log): Promise<Update> => always(unavailable())(), {
      ...once,
      fallback: [
        {
          name: "f",
          run: (state: Log, config, failure): Update => ({
            value: state.value,
            log: [failure.category, String(config.signal instanceof AbortSignal)],
          }),
        },
      ],
    });
    expect(await node(input, {})).toMatchObject({ value: 1, log: ["server_error", "true"] });
  });

  it("with retries of their own are retried", async () => {
    const failing = failures({ f: 1 });
    const node = resilient(always(unavailable()), {
      ...once,
      fallback: [
        {
          name: "f",
          retry: quick,
          run: (): Update => {
            failing.pass("f");
            return { log: ["f"] };
          },
        },
      ],
    });
    expect(await node(input, {})).toMatchObject({ log: ["f"] });
    expect(failing.calls.f).toBe(2);
  });

  it("note who answered in an object, in nothing, in a command and in a list", async () => {
    const answeredWith = (result: unknown) =>
      resilient(always(unavailable()) as () => Promise<unknown>, {
        ...once,
        fallback: [{ name: "f", run: () => result }],
      })(input, {});
    const note = [{ node: expect.any(String), answeredBy: "f" }];
    expect(await answeredWith({ value: 2 })).toMatchObject({ value: 2, degradations: note });
    expect(await answeredWith(null)).toMatchObject({ degradations: note });
    expect(await answeredWith(undefined)).toMatchObject({ degradations: note });
    expect(await answeredWith([{ value: 2 }])).toMatchObject([{ value: 2 }, { degradations: note }]);
    const command = (await answeredWith(new Command({ update: { value: 2 }, goto: "there" }))) as Command;
    expect(command).toBeInstanceOf(Command);
    expect(command).toMatchObject({ update: { value: 2, degradations: note }, goto: ["there"] });
    const bare = (await answeredWith(new Command({ goto: "there" }))) as Command;
    expect(bare).toMatchObject({ update: { degradations: note } });
    expect(await answeredWith("text")).toBe("text");
  });
});

describe("validate", () => {
  it("makes a plausible but wrong answer malformed output, fed back and tried again", async () => {
    let calls = 0;
    const seen: (string | undefined)[] = [];
    const { attempt } = await import("../../../src/langgraph/attempt-scope.js");
    const node = resilient(
      async (_: Log, config): Promise<Update> => {
        seen.push(attempt(config).previous?.message);
        calls += 1;
        return { value: calls };
      },
      {
        validate: (result) => ((result.value ?? 0) < 3 ? `value ${result.value} is too small` : undefined),
      },
    );
    expect(await node(input, {})).toEqual({ value: 3 });
    expect(seen[2]).toContain("value 2 is too small");
  });

  it("that throws says what is wrong, too", async () => {
    const node = resilient(async (_: Log): Promise<Update> => ({}), {
      ...once,
      validate: () => {
        throw new Error("no letter");
      },
    });
    await expect(node(input, {})).rejects.toMatchObject({
      code: "MALFORMED_OUTPUT",
      message: expect.stringContaining("no letter"),
    });
  });
});

describe("refusals", () => {
  it("a compiled graph cannot be wrapped", () => {
    const graph = new StateGraph(LogState)
      .addNode("a", async () => ({}))
      .addEdge(START, "a")
      .compile();
    expect(() => resilient(graph as never)).toThrow(/compiled graph cannot be wrapped/);
  });

  it.each([
    [{ retry: { maxAttempts: 0 } }, /resilient\(node\).*"retry.*maxAttempts"|option "retry/],
    [{ timeout: { taskType: "quick" } }, /taskType|option "timeout/],
    [{ colour: "red" }, /colour/],
    [{ fallback: [{ name: "node", run: () => ({}) }] }, /cannot be called "node"/],
    [
      {
        fallback: [
          { name: "a", run: () => ({}) },
          { name: "a", run: () => ({}) },
        ],
      },
      /two fallback steps are called "a"/,
    ],
    [{ humanAfter: "lunch" }, /option "humanAfter" is "lunch"/],
  ])("options %j are refused at once, by name", (options, words) => {
    expect(() => resilient(async () => ({}), { name: "node", ...options } as never)).toThrow(words);
    expect(() => resilient(async () => ({}), options as never)).toThrow(expect.objectContaining({ code: "CONFIG" }));
  });

  it("installRecovery wants a builder with decorated nodes, once", () => {
    const plain = () => new StateGraph(LogState).addNode("a", async () => ({})).addEdge(START, "a");
    const wrapped = () =>
      new StateGraph(LogState)
        .addNode(
          "a",
          resilient(async (_: Log) => ({})),
        )
        .addEdge(START, "a");
    expect(() => installRecovery({})).toThrow(/expected a StateGraph/);
    expect(() => installRecovery(plain())).toThrow(/no node is wrapped/);
    expect(() => installRecovery(wrapped().addNode("humanIntervention", async () => ({})) as never)).toThrow(
      /already has a node/,
    );
    expect(() => installRecovery(installRecovery(wrapped()))).toThrow(/already/);
    expect(() => installRecovery(installRecovery(wrapped()), { humanNode: "second" })).toThrow(/already/);
    expect(() => installRecovery(wrapped(), { actions: ["dance"] as never })).toThrow(
      /humanIntervention\(\): option "actions/,
    );
  });
});

describe("the drawing", () => {
  it("shows the edges to and from the human node, and not the machinery", async () => {
    const builder = new StateGraph(LogState)
      .addNode(
        "a",
        resilient(async (_: Log) => ({})),
      )
      .addEdge(START, "a");
    const drawn = await installRecovery(builder).compile().getGraphAsync();
    const edges = drawn.edges.map((edge) => `${edge.source} → ${edge.target}`);
    expect(edges).toEqual(
      expect.arrayContaining([
        "a → humanIntervention",
        "humanIntervention → a",
        "humanIntervention → humanIntervention",
      ]),
    );
    expect(Object.keys(drawn.nodes).filter((name) => name.includes("handler"))).toEqual([]);
  });

  it("of the output schema leaves the notes in", async () => {
    const own = Annotation.Root({
      ...LogState.spec,
      degradations: Annotation<string[]>({
        reducer: (a, b) => [...a, ...b.map((one) => (one as unknown as { answeredBy: string }).answeredBy)],
        default: () => [],
      }),
    });
    const builder = new StateGraph(own)
      .addNode(
        "a",
        resilient(
          async (): Promise<Update> => {
            throw unavailable();
          },
          { ...once, fallback: [{ name: "f", run: (): Update => ({}) }] },
        ),
      )
      .addEdge(START, "a");
    const done = await runThread(
      installRecovery(builder).compile({ checkpointer: new MemorySaver() }),
      { value: 1 },
      { threadId: "t" },
    );
    expect(done.values.degradations, "a channel of that name in the user's state is the user's").toEqual(["f"]);
  });
});

describe("single decorators around each other", () => {
  it("retry what a time limit of one attempt within has cut short", async () => {
    const counted = failures({ node: 2 });
    const limited = withTimeout(async (_: Log): Promise<Update> => {
      counted.pass("node");
      return { log: ["done"] };
    });
    expect(await withRetry(limited, quick)({ log: [], value: 1 }, {})).toEqual({ log: ["done"] });
    expect(counted.calls.node).toBe(3);
  });
});

describe("a category that is not retried by default", () => {
  it("is retried once an option says how often", async () => {
    const counted = failures({ node: 2 }, () => httpError(402, "pay first"));
    const node = resilient(
      async (_: Log): Promise<Update> => {
        counted.pass("node");
        return {};
      },
      { retry: { ...quick, categories: { quota: { retries: 2 } } } },
    );
    await node({ log: [], value: 1 }, {});
    expect(counted.calls.node).toBe(3);
  });
});
