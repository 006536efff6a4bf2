/** Wrapped tools, called directly, by a model's request, in a ToolNode and in an agent. */
import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import { AIMessage, HumanMessage, type ToolMessage } from "@langchain/core/messages";
import { fakeModel } from "@langchain/core/testing";
import { DynamicStructuredTool, StructuredTool, type ToolRuntime, tool } from "@langchain/core/tools";
import { Annotation, type LangGraphRunnableConfig, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { createReactAgent, ToolNode } from "@langchain/langgraph/prebuilt";
import { describe, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { failureOf } from "../../../src/core/failures.js";
import type { Degradation } from "../../../src/core/records.js";
import { installRecovery } from "../../../src/langgraph/install-recovery.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import type { ResilientOptions } from "../../../src/langgraph/resilient-options.js";
import { type ResilientToolOptions, resilientTool } from "../../../src/langgraph/resilient-tool.js";
import { threadUsage } from "../../../src/langgraph/threads/read-usage.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { FakeClock } from "../../support/fake-clock.js";
import { failures, httpError, once, quick, unavailable } from "../../support/graphs.js";
import { chatOpenAi, providerFor } from "../provider/provider.js";

const City = z.object({ city: z.string() });
type City = z.infer<typeof City>;
type Config = LangGraphRunnableConfig;
type Messages = typeof MessagesAnnotation.State;

const weatherOf = (work: (input: City, config: Config) => unknown, fields: object = {}) =>
  tool(work as (input: City) => string, {
    name: "weather",
    description: "The weather of a city",
    schema: City,
    ...fields,
  });

/** A tool that fails as often as told. */
function flaky(times: number, error: (name: string) => unknown = () => new Error("no luck")) {
  const counted = failures({ weather: times }, error);
  const inner = weatherOf(({ city }) => {
    counted.pass("weather");
    return `sunny in ${city}`;
  });
  return { counted, inner };
}

class Convert extends StructuredTool {
  readonly name = "convert";
  readonly description = "Euros of cents";
  readonly schema = z.object({ cents: z.number() });
  readonly #divisor = 100;

  async _call({ cents }: { cents: number }): Promise<string> {
    return String(cents / this.#divisor);
  }
}

const rome = { name: "weather", args: { city: "Rome" }, id: "call-1", type: "tool_call" } as const;
const asking = (...calls: { name: string; args: object; id: string }[]): Messages => ({
  messages: [
    new AIMessage({ content: "", tool_calls: calls.map((call) => ({ ...call, type: "tool_call" as const })) }),
  ],
});
const told = ({ messages }: Messages) => messages.filter((one) => one.getType() === "tool") as ToolMessage[];
const texts = (state: Messages) => told(state).map((message) => message.text);

const toolNode = (...tools: StructuredTool[]) => new ToolNode(tools, { handleToolErrors: false });

/** The same node, undecorated or within a decorated one. */
const graphs = {
  "a ToolNode": (node: ToolNode) =>
    new StateGraph(MessagesAnnotation).addNode("tools", node).addEdge(START, "tools").compile(),
  "a ToolNode within a decorated node": (node: ToolNode) => decorated(node).compile(),
};

function decorated(node: ToolNode, options: ResilientOptions<Messages, Messages> = { retry: quick }) {
  return new StateGraph(MessagesAnnotation)
    .addNode(
      "tools",
      resilient((state: Messages, config) => node.invoke(state, config) as Promise<Messages>, options),
    )
    .addEdge(START, "tools");
}

describe("a wrapped tool", () => {
  const { inner } = flaky(0);
  const wrapped = resilientTool(inner);

  it("is what it was: name, description, schema and class", async () => {
    expect(wrapped).toMatchObject({ name: "weather", description: "The weather of a city" });
    expect(wrapped.schema).toBe(City);
    expect(wrapped).toBeInstanceOf(DynamicStructuredTool);
    expectTypeOf(wrapped).toEqualTypeOf(inner);
    const convert = resilientTool(new Convert());
    expect(convert).toBeInstanceOf(Convert);
    expect(convert).toMatchObject({ name: "convert", description: "Euros of cents" });
    expect(await convert.invoke({ cents: 250 }), "its private fields are at hand").toBe("2.5");
  });

  it("leaves the tool it was made of as it was", async () => {
    const { counted, inner: plain } = flaky(1);
    resilientTool(plain, { retry: quick });
    await expect(plain.invoke({ city: "Rome" })).rejects.toThrow("no luck");
    expect(counted.calls.weather).toBe(1);
  });

  it("answers a direct call with the content, and a tool call with a message", async () => {
    expect(await wrapped.invoke({ city: "Rome" })).toBe("sunny in Rome");
    const message = (await wrapped.invoke(rome)) as unknown as ToolMessage;
    expect(message).toMatchObject({ content: "sunny in Rome", tool_call_id: "call-1", name: "weather" });
    expect(message.getType()).toBe("tool");
  });

  it("answers a batch, and as part of a chain", async () => {
    expect(await wrapped.batch([{ city: "Rome" }, { city: "Oslo" }])).toEqual(["sunny in Rome", "sunny in Oslo"]);
    const chain = wrapped.pipe((text) => String(text).toUpperCase());
    expect(await chain.invoke({ city: "Rome" })).toBe("SUNNY IN ROME");
  });

  it("can be bound to a model, which is told of it as of the tool itself", async () => {
    const provider = await providerFor();
    const model = chatOpenAi(provider.baseUrl);
    await model.bindTools([inner]).invoke("How is Rome?");
    await model.bindTools([wrapped]).invoke("How is Rome?");
    const [plain, bound] = provider.requests.map((request) => request.tools);
    expect(bound).toHaveLength(1);
    expect(bound).toEqual(plain);
  });

  it("is refused where it is no tool of this process, or with wrong options", () => {
    expect(() => resilientTool({ name: "x" } as unknown as StructuredTool)).toThrowError(/expected a LangChain tool/);
    expect(() => resilientTool(inner, { retry: { maxAttempts: 0 } })).toThrowError(
      /^resilientTool\(weather\): option "retry.maxAttempts" is 0/,
    );
  });

  it("has its arguments checked before any policy is asked", async () => {
    const { counted, inner: checked } = flaky(0);
    const failed: unknown[] = [];
    const guarded = resilientTool(checked, {
      retry: { ...quick, onRetry: (report) => void failed.push(report) },
      circuitBreaker: { trip: { kind: "consecutive", failures: 1 } },
      fallback: [{ name: "f", when: ["invalid_input", "malformed_output"], run: () => "from f" }],
    });
    await expect(guarded.invoke({ town: "Rome" } as unknown as City)).rejects.toThrow(/did not match expected schema/);
    expect([counted.calls, failed]).toEqual([{}, []]);
    expect(await guarded.invoke({ city: "Rome" }), "the circuit knows nothing of it").toBe("sunny in Rome");
  });

  it("types its fallbacks and its cache by the arguments as the schema gives them", () => {
    const options: ResilientToolOptions<typeof inner> = {
      fallback: [
        {
          name: "f",
          run: (input) => {
            expectTypeOf(input).toEqualTypeOf<City>();
            return input.city;
          },
        },
      ],
      cache: { ttlMs: 1, key: (input) => input.city },
    };
    expect(resilientTool(inner, options)).toBeInstanceOf(DynamicStructuredTool);
    // @ts-expect-error a person is asked about nodes
    expect(() => resilientTool(inner, { humanAfter: "retry", wrong: 1 })).toThrow();
  });
});

describe("a tool that fails", () => {
  it.each<[string, unknown, number]>([
    ["with what nothing is known of: tool_execution", new Error("no luck"), 3],
    ["as its service does", unavailable(), 4],
    ["for lack of a right", httpError(403), 1],
    ["by a mistake in its code", new TypeError("x is undefined"), 1],
  ])("%s is tried as often as that allows", async (_, error, calls) => {
    const { counted, inner } = flaky(99, () => error);
    await expect(resilientTool(inner, { retry: quick }).invoke(rome)).rejects.toBe(error);
    expect(counted.calls.weather).toBe(calls);
  });

  it("has a record of it, under the category of a tool", async () => {
    const { inner } = flaky(99);
    const error = await resilientTool(inner, { retry: quick })
      .invoke(rome)
      .catch((thrown: unknown) => thrown);
    expect(failureOf(error)).toMatchObject({
      node: "weather",
      input: { city: "Rome" },
      report: { category: "tool_execution" },
      attempts: [{ number: 1 }, { number: 2 }, { number: 3 }],
    });
  });

  it("waits no less than Retry-After asks for", async () => {
    const clock = new FakeClock();
    const limited = () => Object.assign(httpError(429), { headers: { "retry-after": "7" } });
    const { inner } = flaky(1, limited);
    const call = resilientTool(inner, { clock, retry: { jitter: "none" } }).invoke({ city: "Rome" });
    await clock.settle();
    expect(clock.pending).toEqual([7000]);
    await clock.advance(7000);
    expect(await call).toBe("sunny in Rome");
  });

  it("is answered for by another tool", async () => {
    const { inner } = flaky(99);
    const almanac = weatherOf(({ city }) => `mostly fair in ${city}`, { name: "almanac" });
    const wrapped = resilientTool(inner, {
      ...once,
      fallback: [{ name: "almanac", run: (input) => almanac.invoke(input) }],
    });
    expect(await wrapped.invoke(rome)).toMatchObject({
      content: "mostly fair in Rome",
      tool_call_id: "call-1",
      name: "weather",
    });
  });

  it("may call another within it, which answers that call and not the model's", async () => {
    const { inner: helper } = flaky(0);
    class Outer extends StructuredTool {
      readonly name = "outer";
      readonly description = "Asks another";
      readonly schema = City;
      async _call(input: City): Promise<string> {
        return `${await helper.invoke(input)}!`;
      }
    }
    expect(await resilientTool(new Outer()).invoke(rome)).toMatchObject({ content: "sunny in Rome!" });
    const seen: unknown[] = [];
    const inner = weatherOf((_, config) => {
      seen.push((config as { toolCall?: object }).toolCall);
      return "sunny";
    });
    await resilientTool(inner).invoke(rome);
    expect(seen, "the tool itself knows what it was called by").toEqual([rome]);
  });

  it("by an answer that its validation refuses is asked again", async () => {
    let calls = 0;
    const inner = weatherOf(() => {
      calls += 1;
      return calls < 3 ? "" : "sunny";
    });
    const wrapped = resilientTool(inner, { validate: (text) => (text === "" ? "an empty answer" : undefined) });
    expect(await wrapped.invoke({ city: "Rome" })).toBe("sunny");
  });

  it("by hanging is aborted, and tried again with twice the time", async () => {
    const clock = new FakeClock();
    const signals: (AbortSignal | undefined)[] = [];
    const inner = weatherOf((_, config) => {
      signals.push(config.signal);
      return signals.length < 3 ? new Promise(() => undefined) : "sunny";
    });
    const call = resilientTool(inner, {
      clock,
      retry: { jitter: "none" },
      timeout: { baseMs: 1000 },
    }).invoke({ city: "Rome" });
    await clock.advance(1000);
    expect(signals.map((signal) => signal?.aborted)).toEqual([true]);
    expect(signals[0]?.reason).toMatchObject({
      code: "ATTEMPT_TIMEOUT",
      message: expect.stringContaining('Tool "weather" did not finish within 1000 ms'),
    });
    await clock.advance(500);
    expect(clock.alarms).toEqual([2000]);
    await clock.advance(3000);
    expect(await call).toBe("sunny");
  });

  it("ends with its caller's signal, for the reason of that", async () => {
    const abort = new AbortController();
    const reason = new Error("enough");
    const inner = weatherOf(() => new Promise(() => undefined));
    const call = resilientTool(inner).invoke({ city: "Rome" }, { signal: abort.signal });
    abort.abort(reason);
    await expect(call).rejects.toBe(reason);
  });

  it("counts for itself when it is called several times at once", async () => {
    const counted = failures({ Rome: 2, Oslo: 1 });
    const inner = weatherOf(({ city }) => {
      counted.pass(city);
      return `sunny in ${city}`;
    });
    const wrapped = resilientTool(inner, { retry: { ...quick, maxAttempts: 3 } });
    const cities = ["Rome", "Oslo", "Bern"].map((city) => wrapped.invoke({ city }));
    expect(await Promise.all(cities)).toEqual(["sunny in Rome", "sunny in Oslo", "sunny in Bern"]);
    expect(counted.calls).toEqual({ Rome: 3, Oslo: 2, Bern: 1 });
  });
});

describe("a tool that gives content and an artifact", () => {
  const pair = { responseFormat: "content_and_artifact" };

  it("gives both, retried as any other", async () => {
    const counted = failures({ weather: 1 });
    const inner = weatherOf(({ city }) => {
      counted.pass("weather");
      return [`sunny in ${city}`, { degrees: 30 }];
    }, pair);
    expect(await resilientTool(inner, { retry: quick }).invoke(rome)).toMatchObject({
      content: "sunny in Rome",
      artifact: { degrees: 30 },
    });
  });

  it("is answered for in the same form", async () => {
    const inner = weatherOf(() => {
      throw unavailable();
    }, pair);
    const wrapped = resilientTool(inner, {
      ...once,
      fallback: [{ name: "guess", run: () => ["fair", { degrees: 20 }] }],
    });
    expect(await wrapped.invoke(rome)).toMatchObject({ content: "fair", artifact: { degrees: 20 } });
  });

  it("is refused, where its answer is no pair, within the attempt if it says so", async () => {
    let calls = 0;
    const inner = weatherOf(() => {
      calls += 1;
      return calls === 1 ? "no pair" : ["sunny", null];
    }, pair);
    const wrapped = resilientTool(inner, { validate: (made) => (Array.isArray(made) ? undefined : "no pair") });
    expect(await wrapped.invoke(rome)).toMatchObject({ content: "sunny" });
  });
});

/** Hears of a tool what LangChain tells. */
class Listener extends BaseCallbackHandler {
  readonly name = "listener";
  override awaitHandlers = true;
  override raiseError = false;
  readonly heard: string[] = [];

  override handleToolStart(_tool: unknown, _input: string, runId: string, parentRunId?: string): void {
    this.heard.push(parentRunId === undefined ? "start" : "start of a child");
    expect(runId).toBeTypeOf("string");
  }

  override handleToolEnd(output: unknown): void {
    this.heard.push(`end ${String((output as { content?: unknown }).content ?? output)}`);
  }

  override handleToolError(error: Error): void {
    this.heard.push(`error ${error.message}`);
  }

  // biome-ignore lint/suspicious/noExplicitAny: as LangChain declares it
  override handleToolEvent(event: any): void {
    this.heard.push(`event ${event}`);
  }
}

describe("callbacks", () => {
  it("hear of one start and one end, however many attempts there were", async () => {
    const listener = new Listener();
    const { inner } = flaky(2);
    await resilientTool(inner, { retry: quick }).invoke(rome, { callbacks: [listener] });
    expect(listener.heard).toEqual(["start", "end sunny in Rome"]);
  });

  it("hear of one error, when all attempts have failed", async () => {
    const listener = new Listener();
    const { inner } = flaky(99);
    await resilientTool(inner, { retry: quick })
      .invoke(rome, { callbacks: [listener] })
      .catch(() => undefined);
    expect(listener.heard).toEqual(["start", "error no luck"]);
  });

  it("hear of what the tool calls, and a fallback calls, as of its children", async () => {
    const listener = new Listener();
    const { inner: helper } = flaky(0);
    const outer = tool((input: City, config: Config) => helper.invoke(input, config) as Promise<string>, {
      name: "outer",
      schema: City,
    });
    await resilientTool(outer).invoke({ city: "Rome" }, { callbacks: [listener] });
    const nested = ["start", "start of a child", "end sunny in Rome", "end sunny in Rome"];
    expect(listener.heard).toEqual(nested);
    listener.heard.length = 0;
    const failing = resilientTool(flaky(99).inner, {
      ...once,
      fallback: [{ name: "helper", run: (input, config) => helper.invoke(input, config) }],
    });
    await failing.invoke({ city: "Rome" }, { callbacks: [listener] });
    expect(listener.heard).toEqual(nested);
  });
});

describe("a tool that reports on its way, as a generator does", () => {
  const reporting = (plan: Record<string, number> = {}) => {
    const counted = failures(plan);
    return weatherOf(async function* ({ city }) {
      yield "looking";
      counted.pass("weather");
      yield "found";
      return `sunny in ${city}`;
    });
  };

  it("has its reports passed on, and answers once", async () => {
    const listener = new Listener();
    expect(await resilientTool(reporting()).invoke({ city: "Rome" }, { callbacks: [listener] })).toBe("sunny in Rome");
    expect(listener.heard).toEqual(["start", "event looking", "event found", "end sunny in Rome"]);
  });

  it("is retried when it breaks off in the middle", async () => {
    const listener = new Listener();
    const wrapped = resilientTool(reporting({ weather: 1 }), { retry: quick });
    expect(await wrapped.invoke({ city: "Rome" }, { callbacks: [listener] })).toBe("sunny in Rome");
    expect(listener.heard).toEqual(["start", "event looking", "event looking", "event found", "end sunny in Rome"]);
  });

  it("may be a sync one", async () => {
    const inner = weatherOf(function* ({ city }) {
      yield "looking";
      return `sunny in ${city}`;
    });
    const listener = new Listener();
    expect(await resilientTool(inner).invoke({ city: "Rome" }, { callbacks: [listener] })).toBe("sunny in Rome");
    expect(listener.heard).toEqual(["start", "event looking", "end sunny in Rome"]);
  });

  it("is read no further once its attempt was given up on, and closed", async () => {
    const clock = new FakeClock();
    const listener = new Listener();
    const closed: number[] = [];
    let calls = 0;
    const inner = weatherOf(async function* () {
      calls += 1;
      const call = calls;
      try {
        yield `attempt ${call}`;
        // Ignores its signal.
        await clock.sleep(call === 1 ? 1600 : 600);
        yield `late ${call}`;
        return `sunny at ${call}`;
      } finally {
        closed.push(call);
      }
    });
    const wrapped = resilientTool(inner, { clock, retry: { jitter: "none" }, timeout: { baseMs: 1000 } });
    const call = wrapped.invoke({ city: "Rome" }, { callbacks: [listener] });
    await clock.advance(5000);
    expect(await call).toBe("sunny at 2");
    expect(listener.heard).toEqual(["start", "event attempt 1", "event attempt 2", "event late 2", "end sunny at 2"]);
    expect(closed).toEqual([1, 2]);
  });
});

describe.each(Object.entries(graphs))("in %s", (where, graphOf) => {
  it("a wrapped tool is retried and answers with a message", async () => {
    const { counted, inner } = flaky(2);
    const graph = graphOf(toolNode(resilientTool(inner, { retry: quick })));
    const done = await graph.invoke(asking(rome));
    expect(told(done)).toMatchObject([{ content: "sunny in Rome", tool_call_id: "call-1", name: "weather" }]);
    expect(counted.calls.weather).toBe(3);
  });

  it("parallel calls of one tool count each for itself", async () => {
    const counted = failures({ Rome: 2, Oslo: 1 });
    const inner = weatherOf(({ city }) => {
      counted.pass(city);
      return `sunny in ${city}`;
    });
    const graph = graphOf(toolNode(resilientTool(inner, { retry: { ...quick, maxAttempts: 3 } })));
    const done = await graph.invoke(asking(rome, { ...rome, id: "call-2", args: { city: "Oslo" } }));
    expect(texts(done)).toEqual(["sunny in Rome", "sunny in Oslo"]);
    expect(counted.calls).toEqual({ Rome: 3, Oslo: 2 });
  });

  it("what a tool has given up on is its error, once", async () => {
    const mine = unavailable();
    const { counted, inner } = flaky(99, () => mine);
    const graph = graphOf(toolNode(resilientTool(inner, { retry: { ...quick, maxAttempts: 2 } })));
    await expect(graph.invoke(asking(rome))).rejects.toBe(mine);
    expect(counted.calls.weather).toBe(2);
  });

  it("the tool is given what a ToolNode gives, of its own attempt", async () => {
    const seen: Partial<ToolRuntime>[] = [];
    const inner = weatherOf((_, runtime) => {
      seen.push(runtime as unknown as ToolRuntime);
      return "sunny";
    });
    await graphOf(toolNode(resilientTool(inner))).invoke(asking(rome));
    const [runtime] = seen;
    expect(runtime).toMatchObject({ toolCallId: "call-1", state: { messages: [expect.any(AIMessage)] } });
    expect(runtime?.config?.signal).toBeInstanceOf(AbortSignal);
    expect(runtime?.config?.signal, where).toBe((runtime as unknown as Config).signal);
  });
});

describe("a tool within a decorated node", () => {
  it("that makes one attempt is tried again with the node", async () => {
    const { counted, inner } = flaky(2, unavailable);
    const done = await decorated(toolNode(resilientTool(inner, once)))
      .compile()
      .invoke(asking(rome));
    expect(texts(done)).toEqual(["sunny in Rome"]);
    expect(counted.calls.weather).toBe(3);
  });

  it("is part of the node's failure: its attempts, and not one of the node's own beside them", async () => {
    const { inner } = flaky(99);
    const builder = decorated(toolNode(resilientTool(inner, { retry: quick })));
    const error = await builder
      .compile()
      .invoke(asking(rome))
      .catch((thrown: unknown) => thrown);
    expect(failureOf(error)).toMatchObject({
      node: "tools",
      attempts: [1, 2, 3].map((number) => ({ number, step: "node", report: { category: "tool_execution" } })),
    });
  });

  it("that something simpler answered for is noted in the state, once for each call", async () => {
    const { inner } = flaky(99);
    const wrapped = resilientTool(inner, {
      ...once,
      fallback: [{ name: "guess", run: ({ city }) => `fair in ${city}` }],
    });
    const { checkpointer } = openPersistence("memory:");
    const graph = installRecovery(decorated(toolNode(wrapped))).compile({ checkpointer });
    const config = { configurable: { thread_id: "t" } };
    await graph.invoke(asking(rome, { ...rome, id: "call-2", args: { city: "Oslo" } }), config);
    const { values } = await graph.getState(config);
    expect(texts(values as Messages)).toEqual(["fair in Rome", "fair in Oslo"]);
    const note = { v: 1, node: "weather", answeredBy: "guess", category: "tool_execution", reason: "no luck" };
    expect((values as { degradations: Degradation[] }).degradations).toMatchObject([note, note]);
  });

  it("is noted only for the attempt of the node that counts", async () => {
    const { inner } = flaky(1, unavailable);
    const counted = failures({ node: 1 });
    const wrapped = resilientTool(inner, { ...once, fallback: [{ name: "guess", run: () => "fair" }] });
    const State = Annotation.Root({ text: Annotation<string>, degradations: Annotation<Degradation[]> });
    const node = resilient(
      async (_: typeof State.State, config) => {
        const text = await wrapped.invoke({ city: "Rome" }, config);
        counted.pass("node");
        return { text };
      },
      { retry: quick },
    );
    const graph = new StateGraph(State).addNode("node", node).addEdge(START, "node").compile();
    expect(await graph.invoke({}), "the second attempt's tool answered itself").toEqual({ text: "sunny in Rome" });
  });

  it("has its own limit of time, which ends it and not the node", async () => {
    const inner = weatherOf(
      (_, config) =>
        new Promise((_resolve, reject) => {
          config.signal?.addEventListener("abort", () => reject(config.signal?.reason));
        }),
    );
    const wrapped = resilientTool(inner, {
      ...once,
      timeout: { baseMs: 20 },
      fallback: [{ name: "guess", run: (_, __, failure) => `${failure.code}` }],
    });
    expect(texts(await decorated(toolNode(wrapped)).compile().invoke(asking(rome)))).toEqual(["ATTEMPT_TIMEOUT"]);
  });
});

describe("what a wrapped tool uses of a model", () => {
  const answering = async () => {
    const provider = await providerFor();
    const model = chatOpenAi(provider.baseUrl);
    return weatherOf(async ({ city }, config) => (await model.invoke(`How is ${city}?`, config)).text);
  };

  it.each(["a plain ToolNode", "a decorated node"])("is charged to the thread once, in %s", async (where) => {
    const { checkpointer } = openPersistence("memory:");
    const node = toolNode(resilientTool(await answering()));
    const builder =
      where === "a decorated node"
        ? decorated(node)
        : new StateGraph(MessagesAnnotation).addNode("tools", node).addEdge(START, "tools");
    const graph = builder
      .addNode("after", () => ({}))
      .addEdge("tools" as never, "after")
      .compile({ checkpointer });
    await graph.invoke(asking(rome), { configurable: { thread_id: "t" }, callbacks: [new Listener()] });
    const { useful } = await threadUsage(graph, "t");
    expect(useful, "four characters to a token").toMatchObject({ inputTokens: 3, outputTokens: 16 });
  });

  it("keeps it alive: a token heard in time puts off the limit between two of them", async () => {
    const clock = new FakeClock();
    const provider = await providerFor();
    const model = chatOpenAi(provider.baseUrl);
    const inner = weatherOf(async (_, config) => {
      for (let ask = 0; ask < 3; ask += 1) {
        await model.invoke("How is Rome?", config);
        await clock.sleep(900);
      }
      return "sunny";
    });
    const wrapped = resilientTool(inner, { ...once, clock, timeout: { baseMs: 60_000, idleMs: 1000 } });
    const listener = new Listener();
    let done: unknown;
    const call = wrapped.invoke({ city: "Rome" }, { callbacks: [listener] }).then(
      (text) => {
        done = text;
      },
      (error: unknown) => {
        done = error;
      },
    );
    while (done === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (clock.pending.length > 0) await clock.advance(900);
    }
    await call;
    expect(done).toBe("sunny");
  });
});

describe("an agent", () => {
  const model = () =>
    fakeModel()
      .respondWithTools([{ name: "weather", args: { city: "Rome" }, id: "call-1" }])
      .respond(new AIMessage("It is sunny."));

  it("goes on when a tool's retry has helped", async () => {
    const { counted, inner } = flaky(1);
    const llm = model();
    const agent = createReactAgent({ llm, tools: [resilientTool(inner, { retry: quick })] });
    const { messages } = await agent.invoke({ messages: [new HumanMessage("How is Rome?")] });
    expect(messages.map((message) => message.text).slice(-2)).toEqual(["sunny in Rome", "It is sunny."]);
    expect(counted.calls.weather).toBe(2);
  });

  it("tells the model what a tool has given up on, as it does of any tool", async () => {
    const { counted, inner } = flaky(99);
    const agent = createReactAgent({ llm: model(), tools: [resilientTool(inner, { retry: quick })] });
    const { messages } = await agent.invoke({ messages: [new HumanMessage("How is Rome?")] });
    expect(told({ messages })).toMatchObject([{ status: "error", content: expect.stringContaining("no luck") }]);
    expect(counted.calls.weather).toBe(3);
  });
});
