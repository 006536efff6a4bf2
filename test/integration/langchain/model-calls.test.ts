/** What becomes of model calls that fail, in real agents on a real server. */
import { type AIMessage, type AIMessageChunk, HumanMessage } from "@langchain/core/messages";
import { RunnableBinding } from "@langchain/core/runnables";
import type { ChatOpenAI } from "@langchain/openai";
import { createAgent, createMiddleware, initChatModel, modelFallbackMiddleware } from "langchain";
import { describe, expect, it, vi } from "vitest";
import { eventsOf } from "../../../src/core/persistence-of.js";
import { type ResilienceMiddlewareOptions, resilienceMiddleware } from "../../../src/entries/langchain.js";
import { resilientModel } from "../../../src/langgraph/model/resilient-model.js";
import { threadUsage } from "../../../src/langgraph/threads/read-usage.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { quick, recorder } from "../../support/graphs.js";
import { ANSWER, chatOpenAi, providerFor } from "../provider/provider.js";
import { calling, THREAD, talk, toolNamed, turnOf } from "./agents.js";

type AgentOptions = Parameters<typeof createAgent>[0];
type Script = NonNullable<Parameters<typeof providerFor>[0]>["script"];

/** An agent on model "m-1" that "m-2" and "m-3" may stand in for, and the models that were asked for its answer. */
async function asked(
  script: Script,
  {
    models = ["m-2", "m-3"],
    options = {},
    agent: changes = () => ({}),
  }: {
    models?: readonly string[];
    options?: ResilienceMiddlewareOptions;
    agent?: (model: ChatOpenAI) => Partial<AgentOptions>;
  } = {},
) {
  const provider = await providerFor({ script: script ?? [] });
  const fallbacks = models.map((name) => chatOpenAi(provider.baseUrl, name));
  const own = chatOpenAi(provider.baseUrl);
  const agent = createAgent({
    model: own,
    middleware: [resilienceMiddleware({ model: { retry: quick }, fallbacks, ...options })],
    ...changes(own),
  } as AgentOptions);
  const ask = async (config: object = {}) => {
    const { messages } = await agent.invoke({ messages: [new HumanMessage("How did it go?")] }, config);
    return messages.at(-1) as AIMessage;
  };
  return { agent, ask, provider, asked: () => provider.requests.map((request) => request.model) };
}

const down = (model: string) => ({ kind: "status", status: 503, when: { model } }) as const;

describe("a model of an agent that fails", () => {
  it("is asked again, and stood in for by the next; the answer says by whom, and why", async () => {
    const { ask, asked: models } = await asked([down("m-1"), down("m-1"), { ...down("m-2"), status: 404 }]);
    const answer = await ask();
    expect(answer.text).toBe(ANSWER);
    expect(models()).toEqual(["m-1", "m-1", "m-2", "m-3"]);
    expect(answer.response_metadata.resilience).toMatchObject({
      answeredBy: "m-3",
      attempts: 4,
      failures: [
        { model: "m-1", category: "server_error" },
        { model: "m-1", category: "server_error" },
        { model: "m-2", category: "model_unavailable" },
      ],
    });
  });

  it("is stood in for by category: nobody is asked where only people can help, as the stock fallback does", async () => {
    const refused = { kind: "status", status: 401, when: { model: "m-1" } } as const;
    const { ask, asked: models } = await asked([refused]);
    await expect(ask()).rejects.toThrow(/401|Unauthorized/);
    expect(models()).toEqual(["m-1"]);
    const provider = await providerFor({ script: [refused] });
    const stock = createAgent({
      model: chatOpenAi(provider.baseUrl),
      middleware: [modelFallbackMiddleware(chatOpenAi(provider.baseUrl, "m-2"))],
    });
    await stock.invoke({ messages: [new HumanMessage("Go on.")] });
    expect(provider.requests.map((request) => request.model)).toEqual(["m-1", "m-2"]);
  });

  it("is remembered from call to call: a circuit that opened stays open, and the wait it asked for is kept to", async () => {
    const { ask, asked: models } = await asked(
      [1, 2, 3, 4, 5, 6].map(() => down("m-1")),
      { models: ["m-2"], options: { model: { retry: false } } },
    );
    for (let call = 0; call < 4; call += 1) expect((await ask()).text).toBe(ANSWER);
    expect(models(), "after three failures m-1 rests").toEqual(["m-1", "m-2", "m-1", "m-2", "m-1", "m-2", "m-2"]);
  });

  it("may have a circuit breaker of its own without another to stand in", async () => {
    const { ask, asked: models } = await asked([down("m-1"), down("m-1"), down("m-1")], {
      models: [],
      options: {
        model: { retry: false },
        primary: { circuitBreaker: { trip: { kind: "consecutive", failures: 2 } } },
      },
    });
    for (let call = 0; call < 3; call += 1) await ask().catch(() => undefined);
    expect(models()).toEqual(["m-1", "m-1"]);
  });

  it("is left alone on demand", async () => {
    const { ask, asked: models } = await asked([down("m-1")], { options: { model: false } });
    await expect(ask()).rejects.toThrow("503");
    expect(models()).toEqual(["m-1"]);
  });
});

describe("whatever an agent is given for a model", () => {
  const hiccup = [down("m-1")];

  it("a model with options bound to it keeps them", async () => {
    const { ask, provider } = await asked(hiccup, {
      models: [],
      agent: (model: ChatOpenAI) => ({
        model: new RunnableBinding({ bound: model, config: { tags: ["bound"] } }) as unknown as ChatOpenAI,
      }),
    });
    const tags: (readonly string[] | undefined)[] = [];
    const handleChatModelStart = (...started: unknown[]) => void tags.push(started[5] as string[]);
    expect((await ask({ callbacks: [{ handleChatModelStart }] })).text).toBe(ANSWER);
    expect(provider.requests).toHaveLength(2);
    expect(tags).toEqual([expect.arrayContaining(["bound"])]);
  });

  it("a model of initChatModel is made as the run says", async () => {
    const provider = await providerFor({ script: hiccup });
    const model = await initChatModel("openai:m-1", {
      apiKey: "sk-secret",
      maxRetries: 0,
      useResponsesApi: false,
      configuration: { baseURL: provider.baseUrl },
      configurableFields: ["model"],
    });
    const agent = createAgent({ model, middleware: [resilienceMiddleware({ model: { retry: quick } })] });
    const input = { messages: [new HumanMessage("Go on.")] };
    await agent.invoke(input);
    await agent.invoke(input, { configurable: { model: "m-9" } });
    expect(provider.requests.map((request) => request.model)).toEqual(["m-1", "m-1", "m-9"]);
  });

  it("a resilient model is left as it is: its own fallbacks answer, and ours are not asked", async () => {
    const { ask, asked: models } = await asked([...hiccup, ...hiccup], {
      models: ["never"],
      agent: (model: ChatOpenAI) => ({
        model: resilientModel([{ model, retry: false }, chatOpenAi(baseUrlOf(model), "m-5")], { retry: quick }),
      }),
    });
    expect((await ask()).response_metadata).toMatchObject({ resilience: { answeredBy: "m-5" } });
    expect(models()).toEqual(["m-1", "m-5"]);
  });

  it("a chain that is no chat model is called as it is, with a warning", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const { ask } = await asked([], {
      agent: (model: ChatOpenAI) => ({ model: model.pipe((message) => message) as unknown as ChatOpenAI }),
    });
    const call = ask();
    await call.catch(() => undefined);
    expect(warned.mock.calls.map(([text]) => text)).toContainEqual(expect.stringContaining("RunnableSequence"));
    warned.mockRestore();
  });
});

function baseUrlOf(model: ChatOpenAI): string {
  return (model as unknown as { clientConfig: { baseURL: string } }).clientConfig.baseURL;
}

describe("among other middlewares", () => {
  it("the model that one further out chooses is protected, each with a memory of its own", async () => {
    const provider = await providerFor({ script: [1, 2, 3, 4].map(() => down("m-1")) });
    const [first, second] = ["m-1", "m-8"].map((name) => chatOpenAi(provider.baseUrl, name));
    let turn = 0;
    const choosing = createMiddleware({
      name: "choosing",
      wrapModelCall: (request, handler) => {
        turn += 1;
        return handler({ ...request, model: turn % 2 === 1 ? first! : second! });
      },
    });
    const agent = createAgent({
      model: chatOpenAi(provider.baseUrl, "never"),
      middleware: [
        choosing,
        resilienceMiddleware({ model: { retry: false }, fallbacks: [chatOpenAi(provider.baseUrl, "m-2")] }),
      ],
    });
    for (let call = 0; call < 8; call += 1) await agent.invoke({ messages: [new HumanMessage("Go on.")] });
    const models = provider.requests.map((request) => request.model);
    expect(
      models.filter((name) => name === "m-1"),
      "it rests after three failures",
    ).toHaveLength(3);
    expect(models.filter((name) => name === "m-8")).toHaveLength(4);
    expect(models).not.toContain("never");
  });

  it("what others change of the request reaches every model", async () => {
    const changing = createMiddleware({
      name: "changing",
      wrapModelCall: (request, handler) =>
        handler({ ...request, systemPrompt: `${request.systemPrompt} Be brief.`, modelSettings: { stop: ["END"] } }),
    });
    for (const order of ["before", "after"] as const) {
      const { ask, provider } = await asked([down("m-1"), down("m-1")], {
        models: ["m-2"],
        options: {},
        agent: (model: ChatOpenAI) => {
          const ours = resilienceMiddleware({
            model: { retry: quick },
            fallbacks: [chatOpenAi(baseUrlOf(model), "m-2")],
          });
          return {
            systemPrompt: "You count.",
            middleware: order === "before" ? [changing, ours] : [ours, changing],
            includeAgentName: "inline",
            name: "counter",
          };
        },
      });
      await ask();
      expect(provider.requests.map(({ model, messages }) => [model, messages[0]?.text])).toEqual([
        ["m-1", "You count. Be brief."],
        ["m-1", "You count. Be brief."],
        ["m-2", "You count. Be brief."],
      ]);
    }
  });
});

describe("an agent's stream", () => {
  const cut = [{ kind: "cut_stream" }] as const;

  it("of messages: a broken answer is taken back and comes anew", async () => {
    const { agent } = await asked(cut, { models: [] });
    const input = { messages: [new HumanMessage("Go on.")] };
    const chunks: AIMessageChunk[] = [];
    for await (const [chunk] of await agent.stream(input, { streamMode: "messages" }))
      chunks.push(chunk as AIMessageChunk);
    expect(chunks.length).toBeGreaterThan(2);
    expect(chunks.reduce((all, chunk) => all.concat(chunk)).text).toBe(ANSWER);
  });

  it("of updates: one answer, and it is whole", async () => {
    const { agent } = await asked(cut, { models: [] });
    const updates: unknown[] = [];
    const input = { messages: [new HumanMessage("Go on.")] };
    for await (const update of await agent.stream(input, { streamMode: "updates" })) updates.push(update);
    expect(updates).toMatchObject([{ model_request: { messages: [{ content: ANSWER }] } }]);
  });
});

describe("with a persistence", () => {
  it("failures show in its events, and what they cost in the thread's usage", async () => {
    const { checkpointer } = openPersistence("memory:");
    const { onEvent, events } = recorder();
    eventsOf(checkpointer).subscribe(onEvent);
    const { agent, begin } = await talk([calling("stock")], {
      tools: [toolNamed("stock", () => "4 left")],
      middleware: [resilienceMiddleware({ model: { retry: quick } })],
      checkpointer,
      faults: [{ kind: "none" }, { kind: "status", status: 503 }],
    });
    await begin();
    expect(events.filter(({ type }) => type === "attempt.failed")).toMatchObject([
      { node: "model_request", threadId: THREAD, report: { category: "server_error" } },
    ]);
    const usage = await threadUsage(agent.graph as never, THREAD);
    expect(usage).toMatchObject({ useful: { attempts: 3 }, wasted: { attempts: 1 } });
    expect(usage.useful.totalTokens).toBeGreaterThan(0);
  });

  it("a budget holds for model and tool calls together", async () => {
    const { begin, provider } = await talk([calling("stock"), calling("stock")], {
      tools: [toolNamed("stock", () => "4 left")],
      middleware: [resilienceMiddleware({ budget: { maxAttempts: 3 } })],
      checkpointer: openPersistence("memory:").checkpointer,
    });
    await expect(begin()).rejects.toThrow("3 of 3 attempts");
    expect(provider.requests).toHaveLength(2);
  });
});

it("tool calls of a model that stood in are carried out", async () => {
  const provider = await providerFor({ answer: turnOf([calling("stock")]), script: [down("m-1"), down("m-1")] });
  const agent = createAgent({
    model: chatOpenAi(provider.baseUrl),
    tools: [toolNamed("stock", () => "4 left")],
    middleware: [resilienceMiddleware({ model: { retry: false }, fallbacks: [chatOpenAi(provider.baseUrl, "m-2")] })],
  });
  const { messages } = await agent.invoke({ messages: [new HumanMessage("Go on.")] });
  expect(messages.map((one) => one.text)).toContain("4 left");
  expect(provider.requests.every(({ tools }) => tools.length === 1)).toBe(true);
});
