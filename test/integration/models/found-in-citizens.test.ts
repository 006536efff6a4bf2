/** What was wrong with the chain of models as a citizen of LangChain and LangGraph. */
import { ChatAnthropic } from "@langchain/anthropic";
import { InMemoryCache } from "@langchain/core/caches";
import { load } from "@langchain/core/load";
import { AIMessage, type AIMessageChunk, type BaseMessage, HumanMessage } from "@langchain/core/messages";
import { JsonOutputParser, StringOutputParser } from "@langchain/core/output_parsers";
import { tool } from "@langchain/core/tools";
import { Annotation, Command, END, interrupt, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent, initChatModel } from "langchain";
import { openPersistence, resilient, resilientModel, restartOf, threadUsage } from "langgraph-resilience";
import { expect, it } from "vitest";
import { z } from "zod";
import { toolCalls } from "../../../src/chaos/chat-answer.js";
import { Cancellation } from "../../../src/core/abort.js";
import { anthropicServer } from "../../support/anthropic-server.js";
import { ANSWER, chatOpenAi, providerFor } from "../provider/provider.js";

const claude = (url: string, fields: object = {}) =>
  new ChatAnthropic({ model: "claude-sonnet-4-5", apiKey: "x", anthropicApiUrl: url, ...fields });
const weather = tool(() => "sunny", {
  name: "weather",
  description: "weather",
  schema: z.object({ city: z.string() }),
});
const IN_OSLO = [{ name: "weather", input: '{"city":"Oslo"}' }];
const START_STATE = { messages: [new HumanMessage("Go on.")] };
const thread = (id: string) => ({ configurable: { thread_id: id } });
const all = async <T>(stream: AsyncIterable<T> | Promise<AsyncIterable<T>>) => {
  const list: T[] = [];
  for await (const one of await stream) list.push(one);
  return list;
};

it("a run that is given up on ends its request, and asks nobody else", async () => {
  const provider = await providerFor({ script: [{ kind: "stall" }] });
  const model = resilientModel([chatOpenAi(provider.baseUrl)]);
  const graph = new StateGraph(MessagesAnnotation)
    .addNode("a", async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
    .addEdge(START, "a")
    .compile();
  const caller = new AbortController();
  const run = graph.invoke(START_STATE, { signal: caller.signal });
  await provider.waitForRequest(1);
  caller.abort();
  await expect(run).rejects.toThrow(/abort/i);
  await provider.waitForRequest(({ outcome }) => outcome === "client_gone");
}, 5000);

it("work hears its outer signal although somebody else heard it first", () => {
  const caller = new AbortController();
  caller.signal.addEventListener("abort", () => undefined);
  const work = new Cancellation({ outer: caller.signal });
  caller.abort("enough");
  expect(work.reason).toBe("enough");
});

it("the raw message of a structured answer says who gave it", async () => {
  const { baseUrl } = await providerFor({ answer: () => ({ city: "Oslo" }) });
  const asking = resilientModel([chatOpenAi(baseUrl)]).withStructuredOutput(z.object({ city: z.string() }), {
    includeRaw: true,
  });
  expect((await asking.invoke("Where?")).raw.response_metadata.resilience).toMatchObject({ answeredBy: "m-1" });
});

it("a model of another maker that options are bound to can have tools bound to it", async () => {
  const { url, requests } = await anthropicServer();
  const agent = createAgent({ model: resilientModel([claude(url).withConfig({ tags: ["mine"] })]), tools: [weather] });
  await agent.invoke(START_STATE);
  expect(requests[0]?.tools).toMatchObject([{ name: "weather" }]);
});

it("a thread whose streamed answer is a pending write can be resumed", async () => {
  const { baseUrl } = await providerFor();
  const model = resilientModel([chatOpenAi(baseUrl)]);
  const graph = new StateGraph(MessagesAnnotation)
    .addNode("answer", async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
    .addNode("ask", async () => ({ messages: [interrupt("Really?")] }))
    .addEdge(START, "answer")
    .addEdge(START, "ask")
    .compile({ checkpointer: openPersistence("memory:").checkpointer });
  await all(graph.stream(START_STATE, { ...thread("t"), streamMode: "messages" }));
  const { messages } = await graph.invoke(new Command({ resume: "yes" }), thread("t"));
  expect(messages.map(({ text }) => text)).toContain(ANSWER);
});

it("a streamed answer in a channel of its own can be read back, as can its JSON", async () => {
  const { baseUrl } = await providerFor();
  const model = resilientModel([chatOpenAi(baseUrl)]);
  const graph = new StateGraph(Annotation.Root({ answer: Annotation<BaseMessage>() }))
    .addNode("a", async () => ({ answer: await model.invoke("Go on.") }))
    .addEdge(START, "a")
    .compile({ checkpointer: openPersistence("memory:").checkpointer });
  await all(graph.stream({}, { ...thread("t"), streamMode: "messages" }));
  const { values } = await graph.getState(thread("t"));
  expect(AIMessage.isInstance(values.answer)).toBe(true);
  const [first] = await all(model.stream("Go on."));
  expect(await load(JSON.stringify(first))).toMatchObject({ id: first?.id });
});

it("behind a parser, text that was taken back is not in the result", async () => {
  const { baseUrl } = await providerFor({
    script: [{ kind: "cut_stream" }, { kind: "cut_stream" }],
    answer: ({ messages }) =>
      messages[0]?.text === "json" ? { facts: "one two three four five six seven eight nine" } : ANSWER,
  });
  const parts = await all(
    resilientModel([chatOpenAi(baseUrl)])
      .pipe(new StringOutputParser())
      .stream("Go on."),
  );
  expect(parts.join("")).toBe(ANSWER);
  const values = await all(
    resilientModel([chatOpenAi(baseUrl)])
      .pipe(new JsonOutputParser())
      .stream("json"),
  );
  expect(values.at(-1)).toMatchObject({ facts: "one two three four five six seven eight nine" });
});

it("structured answers of Claude are read", async () => {
  const { url, requests } = await anthropicServer([
    { kind: "answer", tools: [{ name: "extract", input: '{"city":"Oslo"}' }] },
  ]);
  const answer = await resilientModel([claude(url)])
    .withStructuredOutput(z.object({ city: z.string() }))
    .invoke("Where?");
  expect(answer).toEqual({ city: "Oslo" });
  expect(requests).toHaveLength(1);
});

it("what Claude has said is told to a model of OpenAI in a form that it takes", async () => {
  const down = { kind: "status", status: 529 } as const;
  const server = await anthropicServer([{ kind: "answer", text: "Let me see.", tools: IN_OSLO }, down, down]);
  const bodies: { messages: { role: string; content: { type: string }[] }[] }[] = [];
  const { baseUrl } = await providerFor();
  const openai = new ChatOpenAI({
    model: "m-1",
    apiKey: "x",
    configuration: {
      baseURL: baseUrl,
      fetch: (url, init) => {
        bodies.push(JSON.parse(String(init?.body)));
        return fetch(url, init);
      },
    },
  });
  const agent = createAgent({ model: resilientModel([claude(server.url), openai]), tools: [weather] });
  await agent.invoke(START_STATE);
  expect(bodies[0]?.messages[1]?.content.map(({ type }) => type)).toEqual(["text"]);
});

it.each(["openai", "claude"])("5: in a streamed graph the answer of %s has one ID", async (maker) => {
  const { baseUrl } = await providerFor();
  const { url } = await anthropicServer();
  const model = resilientModel([maker === "openai" ? chatOpenAi(baseUrl) : claude(url)]);
  const graph = new StateGraph(MessagesAnnotation)
    .addNode("a", async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
    .addEdge(START, "a")
    .addEdge("a", END)
    .compile();
  const pieces = (await all(graph.stream(START_STATE, { streamMode: "messages" }))) as unknown as [AIMessageChunk][];
  expect(new Set(pieces.map(([{ id }]) => id)).size).toBe(1);
});

it("a model of initChatModel does not retry by itself, streams, and is checked", async () => {
  const { baseUrl, requests } = await providerFor({
    script: [{ kind: "status", status: 500 }, { kind: "cut_stream" }],
  });
  const model = await initChatModel("openai:gpt-4o", {
    apiKey: "x",
    maxRetries: 1,
    useResponsesApi: false,
    configuration: { baseURL: baseUrl },
  });
  const chain = resilientModel([model], { retry: false });
  await expect(chain.invoke("Go on.")).rejects.toMatchObject({ status: 500 });
  expect(requests).toHaveLength(1);
  await expect(chain.invoke("Go on.")).rejects.toMatchObject({ code: "ANSWER_CUT" });
});

it("a tool without arguments that was bound before may be called without", async () => {
  const now = tool(() => "noon", { name: "now", description: "now", schema: z.object({}) });
  const { url } = await anthropicServer([{ kind: "answer", tools: [{ name: "now", input: "" }] }]);
  const { tool_calls } = await resilientModel([claude(url).bindTools([now])]).invoke("When?");
  expect(tool_calls).toMatchObject([{ name: "now", args: {} }]);
});

it("in the standard form tool calls have their arguments, and text is in one piece", async () => {
  const { baseUrl } = await providerFor({
    answer: ({ tools }) => (tools.length > 0 ? toolCalls([{ name: "weather", args: { city: "Oslo" } }]) : ANSWER),
  });
  const model = resilientModel([
    new ChatOpenAI({
      model: "m-1",
      apiKey: "x",
      outputVersion: "v1",
      useResponsesApi: false,
      configuration: { baseURL: baseUrl },
    }),
  ]);
  expect((await model.invoke("Go on.")).content).toMatchObject([{ type: "text", text: ANSWER }]);
  expect((await model.bindTools([weather]).invoke("Go on.")).content).toMatchObject([
    { type: "tool_call", args: { city: "Oslo" } },
  ]);
  const { url, requests } = await anthropicServer([{ kind: "answer", tools: IN_OSLO }]);
  await createAgent({ model: resilientModel([claude(url, { outputVersion: "v1" })]), tools: [weather] }).invoke(
    START_STATE,
  );
  expect(requests[1]?.messages[1]?.content).toMatchObject([
    { type: "tool_use", name: "weather", input: { city: "Oslo" } },
  ]);
});

it("streamEvents v3 of a graph counts an answer once", async () => {
  const { baseUrl } = await providerFor();
  const model = resilientModel([chatOpenAi(baseUrl)]);
  const graph = new StateGraph(MessagesAnnotation)
    .addNode(
      "a",
      resilient(async ({ messages }: typeof MessagesAnnotation.State) => ({
        messages: [await model.invoke(messages)],
      })),
    )
    .addEdge(START, "a")
    .compile({ checkpointer: openPersistence("memory:").checkpointer });
  await all(
    (await graph.streamEvents(START_STATE, { ...thread("t"), version: "v3" } as never)) as AsyncIterable<unknown>,
  );
  expect((await threadUsage(graph, "t")).useful.totalTokens).toBe(18);
});

it("the whole of a restarted answer is no restart", async () => {
  const { baseUrl } = await providerFor({ script: [{ kind: "cut_stream" }] });
  const pieces = await all(resilientModel([chatOpenAi(baseUrl)]).stream("Go on."));
  const whole = pieces.reduce((before, next) => before.concat(next));
  expect(whole.text).toBe(ANSWER);
  expect(restartOf(whole)).toBeUndefined();
});

it("a cache of the model is used", async () => {
  const { baseUrl, requests } = await providerFor();
  const model = resilientModel([
    new ChatOpenAI({ model: "m-1", apiKey: "x", cache: new InMemoryCache(), configuration: { baseURL: baseUrl } }),
  ]);
  await model.invoke("Go on.");
  await model.invoke("Go on.");
  expect(requests).toHaveLength(1);
});
