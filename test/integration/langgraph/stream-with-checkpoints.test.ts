/** Texts that are saved while they are generated: what a retry or another process goes on from, and what it must not. */
import { AIMessageChunk, HumanMessage } from "@langchain/core/messages";
import { interrupt, type LangGraphRunnableConfig, RunControl, Send, START, StateGraph } from "@langchain/langgraph";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { Persistence } from "../../../src/core/ports.js";
import type { StreamPart, StreamScope, StreamStore } from "../../../src/core/store-ports.js";
import { MalformedOutputError } from "../../../src/errors/own-errors.js";
import { type Node, resilient } from "../../../src/langgraph/resilient.js";
import type { ResilientOptions } from "../../../src/langgraph/resilient-options.js";
import { restoredOf } from "../../../src/langgraph/stream-chunks.js";
import type { StreamCheckpoint, StreamCheckpointOptions } from "../../../src/langgraph/stream-options.js";
import { streamWithCheckpoints } from "../../../src/langgraph/stream-with-checkpoints.js";
import { resumeThread } from "../../../src/langgraph/threads/resume-thread.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { type Log, LogState, quick, unavailable } from "../../support/graphs.js";
import { type Call, finish, streamingModel, words } from "../../support/streaming-model.js";
import { chatOpenAi, providerFor } from "../provider/provider.js";

type Update = Partial<Log>;
type Model = ReturnType<typeof streamingModel>;

const thread = { threadId: "t" };
const input = { value: 1 };
const prompt = "Count to twenty.";
const whole = words(1, 20).join("");
/** Twenty characters are five tokens, and two words. */
const every = { everyTokens: 5 };
const neverEnds = () => new Promise<never>(() => {});
const breaksOff = () => Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });

let persistence: Persistence;
let store: StreamStore;
let parts: (StreamPart & { readonly scope: StreamScope })[];
let warnings: string[];
beforeEach(() => {
  persistence = openPersistence("memory:");
  store = persistence.streams as StreamStore;
  parts = [];
  const append = store.append.bind(store);
  vi.spyOn(store, "append").mockImplementation((scope, part) => {
    parts.push({ ...part, scope });
    return append(scope, part);
  });
  warnings = [];
  vi.spyOn(process, "emitWarning").mockImplementation((warning) => void warnings.push(String(warning)));
  return () => vi.restoreAllMocks();
});

const streamed = (model: Model, config: LangGraphRunnableConfig, options: StreamCheckpointOptions = every) =>
  streamWithCheckpoints(model, prompt, config, options);

/** A graph of one node, compiled afresh as each process does. */
function graphOf(node: Node<Log, Update>, options: ResilientOptions<Log, Update> | false = { retry: quick }) {
  return new StateGraph(LogState)
    .addNode("write", options === false ? node : resilient(node, options))
    .addEdge(START, "write")
    .compile({ checkpointer: persistence.checkpointer });
}

const writes = (model: Model, options?: StreamCheckpointOptions): Node<Log, Update> => {
  return async (_, config) => ({ log: [(await streamed(model, config, options).final()).text] });
};
const run = (node: Node<Log, Update>) => runThread(graphOf(node), input, thread);
/**
 * A run that comes to stand still for ever, as if its process had died there, and its lock with it. It ends with the test,
 * or it would come to its timeout in one after it.
 */
function begin(node: Node<Log, Update>): void {
  const over = new AbortController();
  onTestFinished(() => over.abort());
  void runThread(graphOf(node), input, { ...thread, lock: false, signal: over.signal });
}

/** A call that counts on from where the text in the request stops. */
const goesOn: Call = function* (messages) {
  const counted = messages.at(-2)?.text ?? "";
  yield* words(counted.length / 8 + 1, 20);
  yield finish();
};
const breaksOffAfter = (last: number): Call =>
  function* () {
    yield* words(1, last);
    throw breaksOff();
  };

/** What is stored of the texts that parts were saved of. */
async function stored() {
  const scopes = new Map(parts.map(({ scope }) => [JSON.stringify(scope), scope]));
  const found = await Promise.all([...scopes.values()].map((scope) => store.load(scope)));
  return found.filter((one) => one !== undefined);
}

describe("a text that is generated", () => {
  it("is saved at each interval, in whole words, and its rest with its end", async () => {
    const told: StreamCheckpoint[] = [];
    const model = streamingModel(() => [...words(1, 7), finish()]);
    const done = await run(writes(model, { everyTokens: 5, onCheckpoint: (checkpoint) => told.push(checkpoint) }));
    expect(done.values.log).toEqual([words(1, 7).join("")]);
    expect(parts.map(({ text }) => text)).toEqual([
      words(1, 2).join(""),
      words(3, 4).join(""),
      words(5, 6).join(""),
      words(7, 7).join(""),
    ]);
    expect(told).toEqual([
      { characters: 16, tokens: 4, finished: false },
      { characters: 32, tokens: 8, finished: false },
      { characters: 48, tokens: 12, finished: false },
      { characters: 56, tokens: 14, finished: true },
    ]);
  });

  it("counts as the provider does, in the end", async () => {
    await run(writes(streamingModel(() => [...words(1, 7), finish({ usage: [10, 31] })])));
    expect((await stored())[0]?.tokens).toBe(31);
  });

  it("is saved at each interval also where the provider counts thoughts before it", async () => {
    const thoughts = finish({ usage: [10, 1000] });
    await run(writes(streamingModel(() => [thoughts, ...words(1, 7), finish({ usage: [0, 14] })])));
    expect(parts.length).toBeGreaterThanOrEqual(4);
    expect((await stored())[0]).toMatchObject({ tokens: 1014, end: {} });
  });

  it("flows while it is saved, and is complete when that is durable", async () => {
    let durable: (() => void) | undefined;
    vi.mocked(store.append).mockImplementationOnce(async () => {
      await new Promise<void>((resolve) => {
        durable = resolve;
      });
      return true;
    });
    const seen: string[] = [];
    const graph = graphOf(async (_, config) => {
      const stream = streamed(
        streamingModel(() => words(1, 5)),
        config,
      );
      for await (const { text } of stream) seen.push(text);
      return { log: [(await stream.final()).text] };
    });
    let isOver = false;
    const running = runThread(graph, input, thread).finally(() => {
      isOver = true;
    });
    await vi.waitFor(() => expect(seen).toEqual(words(1, 5)));
    expect(isOver).toBe(false);
    durable?.();
    expect((await running).status).toBe("succeeded");
  });

  it("waits once two intervals are not saved yet", async () => {
    vi.mocked(store.append).mockImplementationOnce(neverEnds);
    const seen: string[] = [];
    const model = streamingModel(() => words(1, 20));
    begin(async (_, config) => {
      for await (const { text } of streamed(model, config)) seen.push(text);
      return {};
    });
    await vi.waitFor(() => expect(seen).toHaveLength(5));
    await new Promise(setImmediate);
    expect(seen).toHaveLength(5);
  });

  it("goes on where it cannot be saved, with one warning, and is saved once it can", async () => {
    for (let time = 0; time < 3; time += 1)
      vi.mocked(store.append).mockImplementationOnce(() => Promise.reject(new Error("disk full")));
    const done = await run(writes(streamingModel(goesOn)));
    expect(done.values.log).toEqual([whole]);
    expect(warnings).toEqual([expect.stringContaining("disk full")]);
    expect(await stored()).toMatchObject([{ text: whole, end: {} }]);
  });

  it("is generated unsaved where what was saved cannot be read", async () => {
    vi.spyOn(store, "load").mockRejectedValue(new Error("no connection"));
    const done = await run(writes(streamingModel(goesOn)));
    expect(done.values.log).toEqual([whole]);
    expect([parts, warnings]).toEqual([[], [expect.stringContaining("no connection")]]);
  });

  it("is not saved on by who has fallen behind another process", async () => {
    const model = streamingModel(async function* () {
      yield* words(1, 4);
      await vi.waitFor(async () => expect((await stored())[0]?.parts).toBe(1));
      const { scope, writer } = parts[0] as (typeof parts)[number];
      await store.append(scope, { seq: 1, text: "theirs ", tokens: 2, writer: "other", after: writer });
      yield* words(5, 20);
    });
    expect((await run(writes(model, { everyTokens: 8 }))).values.log).toEqual([whole]);
    expect(await stored()).toMatchObject([{ text: `${words(1, 3).join("")}theirs ` }]);
    expect(warnings).toEqual([expect.stringContaining("another process")]);
  });

  it("is not harmed by an onCheckpoint that throws", async () => {
    const onCheckpoint = () => {
      throw new Error("mine");
    };
    const done = await run(writes(streamingModel(goesOn), { everyTokens: 5, onCheckpoint }));
    expect(done.values.log).toEqual([whole]);
    expect(warnings.length).toBeGreaterThan(0);
  });

  it("whose reader leaves is saved as far as it came, and has no final message", async () => {
    const model = streamingModel(() => words(1, 20));
    let answer: Promise<unknown> | undefined;
    await run(async (_, config) => {
      const stream = streamed(model, config, {});
      for await (const { text } of stream) if (text.startsWith("w6")) break;
      answer = stream.final();
      await answer.catch(() => {});
      return {};
    });
    await expect(answer).rejects.toMatchObject({ code: "CANCELLED" });
    expect(await stored()).toMatchObject([{ text: words(1, 5).join("") }]);
  });

  it("is read once", async () => {
    const stream = streamWithCheckpoints(streamingModel(goesOn), prompt, {});
    expect((await stream.final()).text).toBe(whole);
    expect((await stream.final()).text).toBe(whole);
    expect(() => stream[Symbol.asyncIterator]()).toThrow("once");
  });

  it("is streamed and not saved outside of a graph, and on a persistence without streams", async () => {
    const model = streamingModel(goesOn);
    expect((await streamed(model, {}).final()).text).toBe(whole);
    Object.assign(persistence, { streams: undefined });
    expect((await run(writes(model))).values.log).toEqual([whole]);
    expect(parts).toEqual([]);
  });
});

describe("another attempt", () => {
  it("goes on with what had come, and hands that out first", async () => {
    const model = streamingModel(breaksOffAfter(11), goesOn);
    const pieces: AIMessageChunk[] = [];
    await run(async (_, config) => {
      for await (const piece of streamed(model, config, { continueWith: "Go on." })) pieces.push(piece);
      return {};
    });
    expect(model.requests[1]?.map(({ type, text }) => [type, text])).toEqual([
      ["human", prompt],
      ["ai", words(1, 10).join("")],
      ["human", "Go on."],
    ]);
    const second = pieces.slice(11);
    expect(second.map(({ text }) => text).join("")).toBe(whole);
    expect(second.map((piece) => restoredOf(piece)?.characters)).toEqual([80, ...second.slice(1).map(() => undefined)]);
  });

  it.each([
    ["is cut", { kind: "cut_stream" }],
    ["stands still", { kind: "stall" }],
  ] as const)("goes on after a stream that %s, over HTTP", async (_, fault) => {
    const text = words(1, 40).join("").trim();
    const provider = await providerFor({
      script: [fault],
      answer: ({ messages }) => text.slice(messages.length === 1 ? 0 : messages.at(-2)?.text.length),
    });
    const node: Node<Log, Update> = async (_, config) => {
      const answer = await streamWithCheckpoints(chatOpenAi(provider.baseUrl), prompt, config).final();
      return { log: [answer.text, JSON.stringify(answer.response_metadata.finish_reason)] };
    };
    const graph = graphOf(node, { retry: quick, timeout: { idleMs: 300 } });
    const done = await runThread(graph, input, thread);
    expect(done.values).toMatchObject({ log: [text, '"stop"'] });
    expect(provider.requests).toHaveLength(2);
    expect(text.startsWith(provider.requests[1]?.messages[1]?.text ?? "nothing")).toBe(true);
    expect(provider.requests[1]?.messages[1]?.text.length).toBeGreaterThan(100);
  });

  it("leaves out what the model says again", async () => {
    const model = streamingModel(breaksOffAfter(11), () => [...words(6, 20), finish()]);
    expect((await run(writes(model))).values.log).toEqual([whole]);
  });

  it("of a node that was given up on saves what that one still sends", async () => {
    const heard: string[] = [];
    const model = streamingModel(async function* () {
      yield* words(1, 11);
      await neverEnds();
    }, goesOn);
    const node: Node<Log, Update> = async (_, config) => {
      const stream = streamed(model, config, {});
      for await (const { text } of stream) heard.push(text);
      return { log: [(await stream.final()).text] };
    };
    const done = await runThread(graphOf(node, { retry: quick, timeout: { idleMs: 30 } }), input, thread);
    expect(done.values.log).toEqual([whole]);
    expect(model.requests[1]?.at(-2)?.text).toBe(words(1, 10).join(""));
  });

  it("begins when what the one before has left is saved", async () => {
    const order: string[] = [];
    const { append, load } = store;
    vi.mocked(store.append).mockImplementationOnce(async (...given) => {
      order.push("saving");
      await new Promise((resolve) => setTimeout(resolve, 50));
      order.push("saved");
      return append(...given);
    });
    vi.spyOn(store, "load").mockImplementation((...given) => {
      order.push("asked");
      return load(...given);
    });
    const model = streamingModel(async function* () {
      yield* words(1, 11);
      await neverEnds();
    }, goesOn);
    const graph = graphOf(writes(model, {}), { retry: quick, timeout: { baseMs: 100 } });
    expect((await runThread(graph, input, thread)).values.log).toEqual([whole]);
    expect(order).toEqual(["asked", "saving", "saved", "asked"]);
  });

  it("counts what was saved as used, where the provider says what it has used", async () => {
    const model = streamingModel(breaksOffAfter(11), () => [...words(11, 20), finish({ usage: [100, 20] })]);
    let usage: unknown;
    await run(async (_, config) => {
      usage = (await streamed(model, config).final()).usage_metadata;
      return {};
    });
    const saved = parts.filter(({ seq }) => seq < 5).reduce((sum, { tokens }) => sum + tokens, 0);
    expect(usage).toMatchObject({ input_tokens: 100, output_tokens: saved + 20, total_tokens: saved + 120 });
  });

  /** A node that fails once its text is complete. */
  async function failsAfterwards(error: () => Error) {
    const model = streamingModel(goesOn);
    let attempts = 0;
    const done = await run(async (_, config) => {
      const answer = await streamed(model, config).final();
      attempts += 1;
      if (attempts === 1) throw error();
      return { log: [answer.text] };
    });
    expect(done.values.log).toEqual([whole]);
    return model.requests.length;
  }

  it("is handed a complete text without asking again, if something else failed", async () => {
    expect(await failsAfterwards(unavailable)).toBe(1);
  });

  it.each([
    ["the text was refused", () => new MalformedOutputError("no such number")],
    ["nobody knows what failed", () => new Error("no")],
  ])("generates a complete text anew if %s", async (_, error) => {
    expect(await failsAfterwards(error)).toBe(2);
  });

  it("is handed what was complete when another text was cut", async () => {
    const cut: Call = () => [
      ...words(1, 4),
      new AIMessageChunk({ content: "", response_metadata: { model_provider: "p" } }),
    ];
    const first = streamingModel(goesOn);
    const second = streamingModel(cut, goesOn);
    const done = await run(async (_, config) => {
      await streamed(first, config).final();
      return { log: [(await streamWithCheckpoints(second, "And again.", config, every).final()).text] };
    });
    expect(done.values.log).toEqual([whole]);
    expect([first.requests.length, second.requests.length]).toEqual([1, 2]);
  });

  it("begins a text anew that answers another question, or is another model's", async () => {
    const first = streamingModel(breaksOffAfter(11));
    const second = streamingModel(breaksOffAfter(11), goesOn);
    const other = { ...streamingModel(goesOn), model: "other" };
    let attempts = 0;
    const done = await run(async (_, config) => {
      attempts += 1;
      if (attempts === 1)
        await streamWithCheckpoints(first, [new HumanMessage("Count to ten.")], config, every).final();
      if (attempts === 2) await streamed(second, config).final();
      return { log: [(await streamed(other, config).final()).text] };
    });
    expect(done.values.log).toEqual([whole]);
    expect([second, other].map(({ requests }) => requests[0]?.length)).toEqual([1, 1]);
  });

  it("keeps apart texts of one node that answer the same question, by order or by key", async () => {
    const model = streamingModel(
      () => ["one "],
      () => ["two "],
      () => ["three "],
      () => ["four "],
    );
    let attempts = 0;
    const done = await run(async (_, config) => {
      const texts = [];
      const options = [{}, {}, { key: "a" }, { key: "b" }];
      for (const option of options) texts.push((await streamed(model, config, option).final()).text);
      attempts += 1;
      if (attempts === 1) throw unavailable();
      return { log: texts };
    });
    expect(done.values.log).toEqual(["one ", "two ", "three ", "four "]);
    expect(model.requests).toHaveLength(4);
  });

  it("keeps apart the texts of decorated functions that a node calls side by side", async () => {
    const model = streamingModel(breaksOffAfter(5), breaksOffAfter(11), goesOn);
    const write = resilient(async (_: Log, config) => (await streamed(model, config).final()).text, { retry: quick });
    const done = await run(async (state, config) => ({
      log: await Promise.all([write(state, config), write(state, config)]),
    }));
    expect(done.values.log).toEqual([whole, whole]);
    const wentOnFrom = model.requests.slice(2).map((request) => request.at(-2)?.text.length);
    expect(wentOnFrom.toSorted((a = 0, b = 0) => a - b)).toEqual([32, 80]);
  });

  it("by LangGraph itself goes on as well, and does not trust what was complete", async () => {
    const model = streamingModel(breaksOffAfter(11), goesOn, goesOn);
    let attempts = 0;
    const graph = new StateGraph(LogState)
      .addNode(
        "write",
        async (_, config) => {
          attempts += 1;
          const answer = await streamed(model, config).final();
          if (attempts === 2) throw new Error("refused");
          return { log: [answer.text] };
        },
        { retryPolicy: { initialInterval: 1, jitter: false, logWarning: false } },
      )
      .addEdge(START, "write")
      .compile({ checkpointer: persistence.checkpointer });
    expect((await runThread(graph, input, thread)).values.log).toEqual([whole]);
    expect(model.requests.map((request) => request.length)).toEqual([1, 3, 1]);
  });
});

describe("an answer that calls tools", () => {
  const called = (args: string) =>
    new AIMessageChunk({
      content: "",
      tool_call_chunks: [{ type: "tool_call_chunk", name: "add", args, id: "c1", index: 0 }],
    });

  it("is saved up to the call, which is generated whole", async () => {
    const model = streamingModel(
      function* () {
        yield* words(1, 11);
        yield called('{"a": 1, "b"');
        yield "and more text ";
        throw breaksOff();
      },
      (messages) => [...words((messages.at(-2)?.text.length ?? 0) / 8 + 1, 12), called('{"a": 1, "b": 2}'), finish()],
    );
    let answer: unknown;
    await run(async (_, config) => {
      answer = await streamed(model, config).final();
      return {};
    });
    expect(answer).toMatchObject({
      text: words(1, 12).join(""),
      tool_calls: [{ name: "add", args: { a: 1, b: 2 }, id: "c1" }],
      invalid_tool_calls: [],
    });
    expect(model.requests[1]?.at(-2)?.text).toBe(words(1, 10).join(""));
    expect((await stored()).map(({ end }) => end)).toEqual([undefined]);
  });

  it("is not saved at all where it says nothing to speak of before", async () => {
    await run(writes(streamingModel(() => ["Let me see. ", called("{}"), finish()])));
    expect(parts).toEqual([]);
  });
});

describe("a model that begins its answer anew", () => {
  const restarts = new AIMessageChunk({
    content: "",
    response_metadata: { resilience: { restarted: { model: "m" } } },
  });

  it("voids what this call has saved, and not what was saved before", async () => {
    const model = streamingModel(breaksOffAfter(5), async function* () {
      yield* ["x".repeat(30), " ", "y".repeat(30), " and "];
      await vi.waitFor(async () => expect((await stored())[0]?.text).toContain("y"));
      yield restarts;
      await vi.waitFor(async () => expect((await stored())[0]?.text).toBe(words(1, 4).join("")));
      yield* words(5, 20);
      yield finish();
    });
    expect((await run(writes(model))).values.log).toEqual([whole]);
    expect(await stored()).toMatchObject([{ text: whole, end: {} }]);
  });
});

describe("a process that dies", () => {
  /** A run that comes to stand still in the middle of its text, for ever. */
  async function standsStill(model: Model, at: number) {
    const seen: string[] = [];
    begin(async (_, config) => {
      for await (const { text } of streamed(model, config)) seen.push(text);
      return {};
    });
    await vi.waitFor(() => expect(seen).toHaveLength(at));
  }

  it("leaves a text to the next one, which goes on with it", async () => {
    const model = streamingModel(async function* () {
      yield* words(1, 11);
      await neverEnds();
    }, goesOn);
    await standsStill(model, 11);
    const done = await resumeThread(graphOf(writes(model)), "t");
    expect(done.values.log).toEqual([whole]);
    expect(model.requests[1]?.at(-2)?.text).toBe(words(1, 10).join(""));
  });
});

describe("a step that is run again", () => {
  it("after a person's answer has its text, and asks for none", async () => {
    const model = streamingModel(goesOn);
    const node: Node<Log, Update> = async (_, config) => {
      const { text } = await streamed(model, config).final();
      return { log: [text, String(interrupt("publish?"))] };
    };
    await run(node);
    const done = await resumeThread(graphOf(node), "t", "yes");
    expect(done.values.log).toEqual([whole, "yes"]);
    expect(model.requests).toHaveLength(1);
  });

  it("saves what there is when the run is told to stop after it", async () => {
    const control = new RunControl();
    const model = streamingModel(async function* () {
      yield* words(1, 11);
      control.requestDrain("deploy");
      await vi.waitFor(async () => expect(await stored()).toMatchObject([{ text: words(1, 10).join("") }]));
      yield* words(12, 20);
    });
    await runThread(graphOf(writes(model, {})), input, { ...thread, control });
    expect(await stored()).toMatchObject([{ text: whole, end: {} }]);
  });

  it("saves what there is when the run is aborted while whoever reads it is busy", async () => {
    const aborting = new AbortController();
    const node: Node<Log, Update> = async (_, config) => {
      const model = streamingModel(() => words(1, 20));
      for await (const { text } of streamed(model, config, {})) {
        if (!text.startsWith("w11")) continue;
        aborting.abort(new Error("enough"));
        await neverEnds();
      }
      return {};
    };
    void runThread(graphOf(node), input, { ...thread, signal: aborting.signal });
    await vi.waitFor(async () => expect(await stored()).toMatchObject([{ text: words(1, 10).join("") }]));
  });

  it("saves what there is when the run is aborted, and goes on with it", async () => {
    const aborting = new AbortController();
    const model = streamingModel(async function* () {
      yield* words(1, 11);
      aborting.abort(new Error("enough"));
      await neverEnds();
    }, goesOn);
    const graph = graphOf(writes(model, {}));
    await runThread(graph, input, { ...thread, signal: aborting.signal });
    expect((await resumeThread(graph, "t")).values.log).toEqual([whole]);
    expect(model.requests[1]?.at(-2)?.text).toBe(words(1, 10).join(""));
  });
});

describe("what is saved of a node", () => {
  it("goes when the node begins a text in a later step, and the texts of its step stay", async () => {
    const model = streamingModel((messages) => [`${messages[0]?.text} `]);
    const graph = new StateGraph(LogState)
      .addNode("write", async ({ value }: { value: number }, config): Promise<Update> => {
        await streamWithCheckpoints(model, `text ${value}`, config).final();
        return { log: [`text ${value}`] };
      })
      .addNode("again", () => ({}))
      .addConditionalEdges(START, () => [new Send("write", { value: 1 }), new Send("write", { value: 2 })])
      .addEdge("write", "again")
      .addConditionalEdges("again", ({ log }) =>
        log.length < 4 ? [3, 4].map((value) => new Send("write", { value })) : [],
      )
      .compile({ checkpointer: persistence.checkpointer });
    await runThread(graph, input, thread);
    expect((await stored()).map(({ text }) => text).sort()).toEqual(["text 3 ", "text 4 "]);
  });

  it("goes with the thread", async () => {
    const { threadId } = await run(writes(streamingModel(goesOn)));
    expect(await stored()).toHaveLength(1);
    await persistence.checkpointer.deleteThread(threadId);
    expect(await stored()).toEqual([]);
  });
});
