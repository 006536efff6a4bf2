/** What real model calls within real graphs are counted as, and what the checkpoints say of it afterwards. */
import type { RunnableConfig } from "@langchain/core/runnables";
import { RunnableLambda } from "@langchain/core/runnables";
import { interrupt, type LangGraphRunnableConfig, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Fault } from "../../../src/chaos/faults.js";
import { USAGE_NOTE } from "../../../src/core/checkpoint-notes.js";
import { systemClock } from "../../../src/core/clock.js";
import { runInConfig } from "../../../src/langgraph/attempt-internals.js";
import { checkpointerOf } from "../../../src/langgraph/internals.js";
import { countAttempt } from "../../../src/langgraph/metered-attempt.js";
import { meterOf } from "../../../src/langgraph/thread-usage.js";
import { threadUsage } from "../../../src/langgraph/threads/read-usage.js";
import { UsageHandler, withHandlers } from "../../../src/langgraph/usage-handler.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { ResilientPostgresSaver } from "../../../src/persistence/saver.js";
import { definePrice } from "../../../src/policies/prices.js";
import type { ModelUsage } from "../../../src/policies/usage.js";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../../support/databases.js";
import { type Log, LogState } from "../../support/graphs.js";
import { call } from "../../support/spending.js";
import { ANSWER, chatOpenAi, providerFor } from "../provider/provider.js";

const QUESTION = "How did the quarter go?";
/** 23 and 64 characters, four to a token. */
const ONE_CALL = call(6, 16, "offline-m-1");
const CUT_OFF = { ...call(0, 0, "m-1"), unmeasured: true };

type Model = ReturnType<typeof chatOpenAi>;

async function modelThat(...faults: Fault[]): Promise<Model> {
  return chatOpenAi((await providerFor({ script: faults })).baseUrl);
}

/** What was heard of a piece of work that is run as an attempt is. */
async function heardOf(work: (config: RunnableConfig) => Promise<unknown>, config: RunnableConfig = {}) {
  const heard: ModelUsage[] = [];
  const handler = new UsageHandler((one) => void heard.push(one));
  const own = withHandlers(config, [handler]);
  const result = await runInConfig(own as LangGraphRunnableConfig, () => work(own)).catch((error: unknown) => error);
  handler.settle();
  return { heard, result };
}

async function readAll(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

describe("a call to a chat model", () => {
  it.each<[string, (model: Model, config: RunnableConfig) => Promise<unknown>]>([
    ["with the config", (model, config) => model.invoke(QUESTION, config)],
    ["without a config", (model) => model.invoke(QUESTION)],
    ["streamed with the config", async (model, config) => readAll(await model.stream(QUESTION, config))],
    ["streamed without a config", async (model) => readAll(await model.stream(QUESTION))],
    [
      "deep within a chain",
      (model) =>
        RunnableLambda.from(async () => QUESTION)
          .pipe(model)
          .invoke("x"),
    ],
    [
      "within a function that is run as a runnable",
      (model) => RunnableLambda.from(() => model.invoke(QUESTION)).invoke(1),
    ],
  ])("%s is counted", async (_, ask) => {
    const model = await modelThat();
    expect((await heardOf((config) => ask(model, config))).heard).toEqual([ONE_CALL]);
  });

  it("is counted beside the callbacks that are there, which still hear of it", async () => {
    const model = await modelThat();
    const ended: unknown[] = [];
    const callbacks = [{ handleLLMEnd: (output: unknown) => void ended.push(output), awaitHandlers: true }];
    expect((await heardOf(() => model.invoke(QUESTION), { callbacks })).heard).toEqual([ONE_CALL]);
    expect(ended).toHaveLength(1);
  });

  it("that is refused costs nothing", async () => {
    const model = await modelThat({ kind: "status", status: 503 });
    const { heard, result } = await heardOf(() => model.invoke(QUESTION));
    expect(result).toMatchObject({ status: 503 });
    expect(heard).toEqual([]);
  });

  it.each<[string, Fault, (model: Model) => Promise<unknown>]>([
    ["is reset in the middle of a stream", { kind: "reset_stream" }, async (m) => readAll(await m.stream(QUESTION))],
    ["carries a broken event", { kind: "malformed_event" }, async (m) => readAll(await m.stream(QUESTION))],
    ["ends too early", { kind: "cut_stream" }, async (m) => readAll(await m.stream(QUESTION))],
    ["is reset before it begins", { kind: "reset" }, (m) => m.invoke(QUESTION)],
    ["is no answer", { kind: "junk_body" }, (m) => m.invoke(QUESTION)],
  ])("whose answer %s is counted as one of which nobody knows what it cost", async (_, fault, ask) => {
    const model = await modelThat(fault);
    expect((await heardOf(() => ask(model))).heard).toEqual([CUT_OFF]);
  });

  it("that is aborted, or read no further, is counted as one of which nobody knows what it cost", async () => {
    const hanging = await modelThat({ kind: "stall" }, { kind: "none" });
    const abort = new AbortController();
    const { heard } = await heardOf(async () => {
      for await (const chunk of await hanging.stream(QUESTION, { signal: abort.signal })) if (chunk.text) abort.abort();
    });
    expect(heard).toEqual([CUT_OFF]);
    const left = await heardOf(async () => {
      for await (const _ of await hanging.stream(QUESTION)) break;
    });
    expect(left).toEqual({ heard: [CUT_OFF], result: undefined });
  });

  it("within an attempt within an attempt is counted by the inner one only", async () => {
    const model = await modelThat();
    const inner: ModelUsage[] = [];
    const { heard } = await heardOf(async (config) => {
      await model.invoke(QUESTION);
      const own = withHandlers(config, [new UsageHandler((one) => void inner.push(one))]);
      await runInConfig(own as LangGraphRunnableConfig, () => model.invoke(QUESTION));
    });
    expect(heard).toEqual([ONE_CALL]);
    expect(inner).toEqual([ONE_CALL]);
  });
});

/** A node that runs as a metered attempt, as the decorators do it. */
function metered(work: (state: Log, config: LangGraphRunnableConfig) => Promise<Partial<Log>>) {
  return async (state: Log, config: LangGraphRunnableConfig): Promise<Partial<Log>> => {
    const meter = await meterOf(checkpointerOf(config) as object, String(config.configurable?.thread_id), systemClock);
    const attempt = countAttempt(config, meter);
    let outcome: "useful" | "wasted" = "wasted";
    try {
      const made = await runInConfig(attempt.config, () => work(state, attempt.config));
      outcome = "useful";
      return made;
    } finally {
      attempt.end(outcome);
    }
  };
}

const thread = (id: string) => ({ configurable: { thread_id: id } });

/** Two nodes that ask a model, without a config; the first fails as often as told, each time after it has asked. */
function asking(model: Model, saver: BaseCheckpointSaver, failures = 0) {
  let left = failures;
  return new StateGraph(LogState)
    .addNode(
      "a",
      metered(async () => {
        const { text } = await model.invoke(QUESTION);
        left -= 1;
        if (left >= 0) throw new Error("after the call");
        return { log: [text] };
      }),
      { retryPolicy: { maxAttempts: 5, initialInterval: 1, logWarning: false } },
    )
    .addNode("pause", async () => ({ log: [String(interrupt("go on?"))] }))
    .addNode(
      "b",
      metered(async () => {
        await readAll(await model.stream(QUESTION));
        return {};
      }),
    )
    .addEdge(START, "a")
    .addEdge("a", "pause")
    .addEdge("pause", "b")
    .compile({ checkpointer: saver });
}

const priced = () => onTestFinished(definePrice("offline-m-1", { input: 1, output: 10 }));

describe("a graph on a persistence", () => {
  it("has in its checkpoints what it has cost, failed attempts apart", async () => {
    priced();
    const { checkpointer } = openPersistence("memory:");
    const graph = asking(await modelThat(), checkpointer, 2);
    await graph.invoke({ value: 1 }, thread("t"));
    const first = await threadUsage(graph, "t");
    expect(first).toMatchObject({
      threadId: "t",
      useful: { attempts: 1, inputTokens: 6, outputTokens: 16, totalTokens: 22, usd: 0.000166 },
      wasted: { attempts: 2, totalTokens: 44, usd: 0.000332 },
      totalUsd: 0.000498,
    });
    await graph.updateState(thread("t"), { log: ["edited"] });
    expect(await threadUsage(graph, "t")).toEqual(first);
    await graph.invoke(null, thread("t"));
    expect((await graph.getState(thread("t"))).values.log).toContain(ANSWER);
  });

  it("says what is spent in its state's metadata, and nothing in its values", async () => {
    const { checkpointer } = openPersistence("memory:");
    const graph = asking(await modelThat(), checkpointer);
    await graph.invoke({ value: 1 }, thread("t"));
    const { metadata, values } = await graph.getState(thread("t"));
    expect((metadata as Record<string, unknown>)[USAGE_NOTE]).toMatchObject({ v: 1, useful: { unpricedTokens: 22 } });
    expect(Object.keys(values).sort()).toEqual(["log", "value"]);
  });

  it("does not cost less after it was forked from an earlier checkpoint", async () => {
    const { checkpointer } = openPersistence("memory:");
    const graph = asking(await modelThat(), checkpointer);
    await graph.invoke({ value: 1 }, thread("t"));
    const history = [];
    for await (const one of graph.getStateHistory(thread("t"))) history.push(one);
    await graph.invoke(null, history.find((one) => one.next.includes("a"))?.config as LangGraphRunnableConfig);
    expect(await threadUsage(graph, "t")).toMatchObject({ useful: { attempts: 2, totalTokens: 44 } });
    await graph.updateState(history.at(-1)?.config as LangGraphRunnableConfig, { log: ["from the start"] });
    expect(await threadUsage(graph, "t")).toMatchObject({ useful: { attempts: 2, totalTokens: 44 } });
  });

  it("counts what subgraphs and parallel nodes spend for the thread, each call once", async () => {
    const model = await modelThat();
    const ask = metered(async () => {
      await model.invoke(QUESTION);
      return {};
    });
    const inner = new StateGraph(LogState).addNode("in", ask).addEdge(START, "in").compile();
    const { checkpointer } = openPersistence("memory:");
    const graph = new StateGraph(LogState)
      .addNode("sub", inner)
      .addNode("left", ask)
      .addNode("right", ask)
      .addEdge(START, "sub")
      .addEdge(START, "left")
      .addEdge(START, "right")
      .compile({ checkpointer });
    await graph.invoke({ value: 1 }, thread("t"));
    expect(await threadUsage(graph, "t")).toMatchObject({ useful: { attempts: 3, totalTokens: 66 } });
  });

  it("has spent nothing where it was never metered, and is not there where nothing is stored", async () => {
    const { checkpointer } = openPersistence("memory:");
    const graph = new StateGraph(LogState)
      .addNode("plain", async () => ({}))
      .addEdge(START, "plain")
      .compile({ checkpointer });
    await graph.invoke({ value: 1 }, thread("t"));
    expect(await threadUsage(graph, "t")).toMatchObject({ useful: { attempts: 0 }, totalUsd: 0 });
    await expect(threadUsage(graph, "nowhere")).rejects.toMatchObject({
      code: "THREAD_NOT_FOUND",
      message: expect.stringContaining('"nowhere"'),
    });
  });

  it("on a checkpointer of another make leaves its checkpoints alone", async () => {
    const saver = new MemorySaver();
    const graph = asking(await modelThat(), saver);
    await graph.invoke({ value: 1 }, thread("t"));
    expect((await graph.getState(thread("t"))).metadata).not.toHaveProperty(USAGE_NOTE);
    expect((await meterOf(saver, "t", systemClock)).spent.useful.totalTokens).toBe(22);
  });
});

describeOnPostgres("a thread in PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  it("goes on counting in the next process, and a saver of its own reads it as it is", async () => {
    const model = await modelThat();
    const one = openPersistence(database.url);
    onTestFinished(() => one.close());
    await asking(model, one.checkpointer, 1).invoke({ value: 1 }, thread("t"));
    const two = openPersistence(database.url);
    onTestFinished(() => two.close());
    const resumed = asking(model, two.checkpointer);
    // a plain node goes first: nothing is metered in this process when its checkpoint is written
    await resumed.updateState(thread("t"), { value: 2 });
    expect(await threadUsage(resumed, "t")).toMatchObject({ useful: { attempts: 1 }, wasted: { attempts: 1 } });
    await resumed.updateState(thread("t"), { log: ["yes"] }, "pause");
    await resumed.invoke(null, thread("t"));
    const usage = await threadUsage(resumed, "t");
    expect(usage).toMatchObject({ useful: { attempts: 2, totalTokens: 44 }, wasted: { attempts: 1, totalTokens: 22 } });
    const alone = ResilientPostgresSaver.fromConnString(database.url);
    onTestFinished(() => alone.end());
    const { values, next } = await asking(model, alone).getState(thread("t"));
    expect(values).toMatchObject({ value: 2, log: [ANSWER, "yes"] });
    expect(next).toEqual([]);
    expect(await threadUsage({ ...resumed, checkpointer: alone } as never, "t")).toEqual(usage);
  });
});
