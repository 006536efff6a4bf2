/** What LangGraph and its tools throw in real runs, and what a checkpoint leaves of an error. */
import { AIMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import {
  Annotation,
  type BaseCheckpointSaver,
  Command,
  END,
  interrupt,
  MemorySaver,
  MessagesAnnotation,
  MultipleSubgraphsError,
  RunControl,
  START,
  StateGraph,
} from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Category } from "../../../src/errors/categories.js";
import { classifyError } from "../../../src/errors/classify.js";
import { isControlFlow } from "../../../src/errors/control-flow.js";
import { CancelledError, InvalidInputError, MalformedOutputError } from "../../../src/errors/own-errors.js";
import { CircuitOpenError, RateLimitedError } from "../../../src/errors/policy-errors.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { failureOf } from "./failing.js";
import { chatOpenAi, provider } from "./provider-server.js";

const server = provider();

const State = Annotation.Root({ n: Annotation<number> });
type Work = (state: { n: number }) => unknown;
/** A graph of one node. */
const graphOf = (work: Work, saver?: BaseCheckpointSaver) =>
  new StateGraph(State)
    .addNode("work", work as () => object)
    .addEdge(START, "work")
    .compile(saver === undefined ? {} : { checkpointer: saver });
const thread = (id = "thread-1", more: object = {}) => ({ configurable: { thread_id: id, ...more } });
const never = () => new Promise(() => {});

const asks = () => {
  const answer = interrupt("How many?", { responseSchema: z.object({ count: z.number() }) });
  return { n: answer.count };
};
async function waiting() {
  const graph = graphOf(asks, new MemorySaver());
  await graph.invoke({ n: 0 }, thread());
  return graph;
}

const runs: readonly (readonly [what: string, run: () => unknown, category: Category])[] = [
  [
    "a graph that runs in circles",
    () =>
      new StateGraph(State)
        .addNode("loop", ({ n }) => ({ n: n + 1 }))
        .addEdge(START, "loop")
        .addConditionalEdges("loop", ({ n }) => (n < 0 ? END : "loop"))
        .compile()
        .invoke({ n: 0 }, { recursionLimit: 5 }),
    "stuck",
  ],
  [
    "two nodes that write one value",
    () =>
      new StateGraph(State)
        .addNode("one", () => ({ n: 1 }))
        .addNode("two", () => ({ n: 2 }))
        .addEdge(START, "one")
        .addEdge(START, "two")
        .compile()
        .invoke({ n: 0 }),
    "bug",
  ],
  ["a node that returns no state", () => graphOf(() => 5).invoke({ n: 0 }), "bug"],
  ["an interrupt without a checkpointer", () => graphOf(asks).invoke({ n: 0 }), "bug"],
  ["a resume without a checkpointer", () => graphOf(asks).invoke(new Command({ resume: 1 })), "bug"],
  ["a run without a thread ID", () => graphOf(() => ({}), new MemorySaver()).invoke({ n: 0 }), "bug"],
  [
    "a node that cannot be reached",
    () =>
      new StateGraph(State)
        .addNode("one", () => ({}))
        .addNode("two", () => ({}))
        .addEdge(START, "one")
        .compile(),
    "bug",
  ],
  [
    "two nodes of one name",
    () => new StateGraph(State).addNode("one", () => ({})).addNode("one" as "two", () => ({})),
    "bug",
  ],
  ["a state that is none", () => new StateGraph({ n: "number" } as never), "bug"],
  ["a run without input", () => graphOf(() => ({})).invoke(null), "invalid_input"],
  [
    "input of another shape",
    () =>
      new StateGraph(z.object({ n: z.number() }))
        .addNode("work", () => ({}))
        .addEdge(START, "work")
        .compile()
        .invoke({ n: "one" } as never),
    "invalid_input",
  ],
  [
    "an answer of another shape than was asked for",
    async () => (await waiting()).invoke(new Command({ resume: { count: "one" } }), thread()),
    "invalid_input",
  ],
  [
    "an answer to a question nobody asked",
    async () =>
      (await waiting()).invoke(
        new Command({ resume: { ["0".repeat(32)]: 1 } }),
        thread("thread-1", { __pregel_strict_resume: true }),
      ),
    "invalid_input",
  ],
  [
    "a node past its run timeout",
    () =>
      new StateGraph(State)
        .addNode("slow", never as never, { timeout: { runTimeout: 10 } })
        .addEdge(START, "slow")
        .compile()
        .invoke({ n: 0 }),
    "timeout",
  ],
  [
    "a node past its idle timeout",
    () =>
      new StateGraph(State)
        .addNode("slow", never as never, { timeout: { idleTimeout: 10 } })
        .addEdge(START, "slow")
        .compile()
        .invoke({ n: 0 }),
    "timeout",
  ],
  [
    "a run that its caller aborts",
    () => {
      const controller = new AbortController();
      const work = () => {
        controller.abort();
        return never();
      };
      return graphOf(work).invoke({ n: 0 }, { signal: controller.signal });
    },
    "cancelled",
  ],
];

describe("a run of LangGraph:", () => {
  it.each(runs)("%s", async (_what, run, category) => {
    expect(classifyError(await failureOf(run))).toMatchObject({ category });
  });

  it("the name that MultipleSubgraphsError really has; LangGraph throws it no more", () => {
    const { name, message } = new MultipleSubgraphsError("two at once");
    expect(name).toBe("MultipleSubgraphError");
    expect(classifyError({ name, message })).toMatchObject({ category: "bug" });
  });
});

describe("LangGraph's control flow", () => {
  const seenIn = async (work: Work, run: (work: Work) => Promise<unknown>) => {
    let seen: unknown;
    const watched: Work = async (state) => {
      try {
        return await work(state);
      } catch (error) {
        seen = error;
        throw error;
      }
    };
    await run(watched);
    return seen;
  };
  const inner = new StateGraph(State)
    .addNode("up", () => new Command({ graph: Command.PARENT, goto: "next" }))
    .addEdge(START, "up")
    .compile();

  const signals: readonly (readonly [what: string, seen: () => Promise<unknown>])[] = [
    ["GraphInterrupt", () => seenIn(asks, (work) => graphOf(work, new MemorySaver()).invoke({ n: 0 }, thread()))],
    [
      "ParentCommand",
      () =>
        seenIn(
          (state) => inner.invoke(state),
          (work) =>
            new StateGraph(State)
              .addNode("outer", work as () => object, { ends: ["next"] })
              .addNode("next", () => ({}))
              .addEdge(START, "outer")
              .compile()
              .invoke({ n: 0 }),
        ),
    ],
    [
      "GraphDrained",
      () => {
        const control = new RunControl();
        const graph = new StateGraph(State)
          .addNode("one", () => {
            control.requestDrain("SIGTERM");
            return {};
          })
          .addNode("two", () => ({}))
          .addEdge(START, "one")
          .addEdge("one", "two")
          .compile({ checkpointer: new MemorySaver() });
        return failureOf(() => graph.invoke({ n: 0 }, { ...thread(), control }));
      },
    ],
  ];

  it.each(signals)("%s is recognized and, if it is classified all the same, never retried", async (name, seen) => {
    const signal = await seen();
    expect(signal).toMatchObject({ name });
    expect(isControlFlow(signal)).toBe(true);
    expect(classifyError(signal)).toMatchObject({ category: "cancelled", retryable: false });
    const stored = JSON.parse(JSON.stringify(signal));
    expect(classifyError(stored)).toMatchObject({ category: "cancelled", retryable: false });
  });
});

describe("a ToolNode", () => {
  const look = tool(
    ({ city }) => {
      if (city === "Atlantis") throw Object.assign(new Error("the weather service is busy"), { status: 503 });
      throw new Error(`no weather in ${city}`);
    },
    { name: "look", description: "Looks", schema: z.object({ city: z.string() }) },
  );
  const called = (name: string, args: object, handleToolErrors = false) =>
    new StateGraph(MessagesAnnotation)
      .addNode("tools", new ToolNode([look], { handleToolErrors }))
      .addEdge(START, "tools")
      .compile()
      .invoke({ messages: [new AIMessage({ content: "", tool_calls: [{ name, args, id: "1", type: "tool_call" }] })] });

  it.each([
    ["arguments of another shape", "look", { city: 5 }, "malformed_output"],
    ["a tool that does not exist", "listen", {}, "malformed_output"],
    ["a service beneath the tool that is busy", "look", { city: "Atlantis" }, "server_error"],
    ["a failure of the tool that says nothing of itself", "look", { city: "Berlin" }, "unknown"],
  ] as const)("that throws: %s", async (_what, name, args, category) => {
    expect(classifyError(await failureOf(() => called(name, args)))).toMatchObject({ category });
  });

  it("that handles its errors throws none", async () => {
    const { messages } = await called("look", { city: 5 }, true);
    expect(messages.at(-1)).toMatchObject({ status: "error" });
  });
});

/** LangGraph stores name and message of an error and nothing else. */
describe("an error read back from a checkpoint", () => {
  const busy = (status: number, message: string, code: string) => {
    server.reply = { status, body: { error: { message, type: code, code, param: null } } };
    return chatOpenAi(server.baseUrl).invoke("hello");
  };
  const failures: readonly (readonly [what: string, work: () => unknown, category: Category])[] = [
    ["429", () => busy(429, "Rate limit reached for gpt-4.1", "rate_limit_exceeded"), "rate_limit"],
    ["429 without quota", () => busy(429, "You exceeded your current quota", "insufficient_quota"), "quota"],
    [
      "400 too long",
      () => busy(400, "maximum context length is 8 tokens", "context_length_exceeded"),
      "context_length",
    ],
    ["400 filtered", () => busy(400, "blocked by our content filter", "content_filter"), "content_policy"],
    ["401", () => busy(401, "Incorrect API key provided", "invalid_api_key"), "auth"],
    ["404", () => busy(404, "The model `gpt-9` does not exist", "model_not_found"), "model_unavailable"],
    ["503", () => busy(503, "The engine is currently overloaded", "server_error"), "server_error"],
    ["a refused connection", () => fetch("http://host.invalid/"), "network"],
    ["a schema mismatch", () => z.object({ n: z.number() }).parse({}), "invalid_input"],
    ["a TypeError", () => (undefined as unknown as { x: number }).x, "bug"],
    ["JSON that is none", () => JSON.parse("Sure!"), "malformed_output"],
    ["MalformedOutputError", () => Promise.reject(new MalformedOutputError("no table")), "malformed_output"],
    ["InvalidInputError", () => Promise.reject(new InvalidInputError("no quarter")), "invalid_input"],
    ["CircuitOpenError", () => Promise.reject(new CircuitOpenError("openai", 10)), "model_unavailable"],
    ["RateLimitedError", () => Promise.reject(new RateLimitedError("openai", "used up", 10)), "rate_limit"],
    ["CancelledError", () => Promise.reject(new CancelledError("stop")), "cancelled"],
  ];

  async function storedBy(saver: BaseCheckpointSaver, work: () => unknown, id: string): Promise<unknown> {
    const graph = graphOf(work, saver);
    await failureOf(() => graph.invoke({ n: 0 }, { ...thread(id), durability: "sync" }));
    const { tasks } = await graph.getState(thread(id));
    return tasks[0]?.error;
  }

  const readBack = (saver: () => BaseCheckpointSaver, rows: typeof failures) => {
    it.each(rows)("%s keeps its category", async (what, work, category) => {
      const stored = await storedBy(saver(), work, what);
      expect(Object.keys(stored as object).sort()).toEqual(["message", "name"]);
      expect(stored).not.toBeInstanceOf(Error);
      expect(classifyError(stored)).toMatchObject({ category });
    });
  };

  describe("in memory", () => readBack(() => new MemorySaver(), failures));

  describeOnPostgres("in PostgreSQL", () => {
    let database: TestDatabase;
    let persistence: ReturnType<typeof openPersistence>;
    beforeAll(async () => {
      database = await createDatabase();
      persistence = openPersistence(database.url);
    });
    afterAll(async () => {
      await persistence.close();
      await database.drop();
    });
    async function query(sql: string): Promise<void> {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      try {
        await client.query(sql);
      } finally {
        await client.end();
      }
    }
    readBack(
      () => persistence.checkpointer,
      [
        ...failures,
        [
          "a duplicate key",
          () => query("create temp table t (id int primary key); insert into t values (1), (1)"),
          "conflict",
        ],
        ["a syntax error in SQL", () => query("selec"), "invalid_input"],
        ["a statement timeout", () => query("set statement_timeout = 10; select pg_sleep(60)"), "timeout"],
      ],
    );
  });

  it("keeps status, code and category as JSON too, where its fields are stored", async () => {
    const error = await failureOf(() => busy(429, "Rate limit reached", "rate_limit_exceeded"));
    const { status, code, category } = classifyError(JSON.parse(JSON.stringify(error)));
    expect({ status, code, category }).toEqual({ status: 429, code: "rate_limit_exceeded", category: "rate_limit" });
  });
});
