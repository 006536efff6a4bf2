/** What was wrong with the chain of models when its policies were tested. */
import { AIMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { type LangGraphRunnableConfig, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ChatOpenAI } from "@langchain/openai";
import {
  eventsOf,
  openPersistence,
  protect,
  type ResilientModelOptions,
  resilient,
  resilientModel,
  threadUsage,
} from "langgraph-resilience";
import type { ScriptEntry } from "langgraph-resilience/chaos";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { FakeClock } from "../../support/fake-clock.js";
import { quick, recorder } from "../../support/graphs.js";
import {
  ANSWER,
  finishEvent,
  lines,
  misbehaving,
  OPENING,
  openAi,
  rawServer,
  sendEvents,
  usageEvent,
  withoutWaiting,
} from "../../support/models.js";

type State = typeof MessagesAnnotation.State;

const GO_ON = { messages: [new HumanMessage("q")] };
const config = { configurable: { thread_id: "t" } };

describe("a chain that a node streams from", () => {
  async function streaming(script: readonly ScriptEntry[], options: ResilientModelOptions = {}, isDecorated = false) {
    const provider = await misbehaving({ script });
    const model = resilientModel([openAi(provider, "a")], { retry: quick, ...options });
    const node = async ({ messages }: State, around: LangGraphRunnableConfig) => {
      for await (const _ of await model.stream(messages));
      for await (const _ of await model.stream(messages, around));
      for await (const _ of await model.pipe((message: unknown) => message).stream(messages));
      return {};
    };
    const { checkpointer } = openPersistence("memory:");
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("ask", (isDecorated ? resilient(node) : node) as never)
      .addEdge(START, "ask")
      .compile({ checkpointer });
    const { onEvent, types } = recorder();
    eventsOf(checkpointer).subscribe(onEvent);
    return { provider, graph, types };
  }

  it.each([false, true])("charges the thread for it; decorated: %s", async (isDecorated) => {
    const { graph } = await streaming([], {}, isDecorated);
    await graph.invoke(GO_ON, config);
    expect((await threadUsage(graph, "t")).useful).toMatchObject({ outputTokens: 48 });
  });

  it("keeps to its budget", async () => {
    const { graph, provider } = await streaming([], { budget: { maxTokens: 20 } });
    await expect(graph.invoke(GO_ON, config)).rejects.toMatchObject({ code: "BUDGET_EXCEEDED" });
    expect(provider.requests).toHaveLength(2);
  });

  it("tells of its failures", async () => {
    const { graph, types } = await streaming([{ kind: "cut_stream" }]);
    await graph.invoke(GO_ON, config);
    expect(types("attempt.failed", "answer.restarted").toSorted()).toEqual(["answer.restarted", "attempt.failed"]);
  });
});

it.each([
  ["asked to be left alone", { kind: "status", status: 429, headers: { "retry-after": "60" } }, 1],
  ["rests", { kind: "status", status: 503 }, 3],
] as const)("an answer in place of a model that %s is not kept as one of its own", async (_why, fault, times) => {
  const provider = await misbehaving({ script: [{ ...fault, times, when: { model: "a" } }] });
  const clock = new FakeClock();
  const model = resilientModel([openAi(provider, "a"), openAi(provider, "b")], { clock, retry: false });
  for (let call = 0; call < times; call += 1) await model.invoke("q");
  const ask = protect(async (question: string, { signal }) => (await model.invoke(question, { signal })).text, {
    name: "ask",
    clock,
    cache: { ttlMs: 1_000_000 },
  });
  const before = provider.requests.length;
  expect([await ask("q"), await ask("q")]).toEqual([ANSWER, ANSWER]);
  expect(provider.requests.length - before).toBe(2);
});

it("a circuit that opens within a call does not hide what opened it", async () => {
  const status = (model: string, code: number): ScriptEntry => ({
    kind: "status",
    status: code,
    times: "always",
    when: { model },
  });
  const provider = await misbehaving({ script: [status("a", 503), status("b", 404)] });
  const clock = new FakeClock();
  const model = resilientModel([openAi(provider, "a"), openAi(provider, "b")], { clock });
  await withoutWaiting(clock, model.invoke("q")).catch(() => undefined);
  // The third failure of the first model opens its circuit; its retry is refused.
  await expect(withoutWaiting(clock, model.invoke("q"))).rejects.toMatchObject({
    category: "server_error",
    status: 503,
    failures: [{ model: "a", category: "server_error" }, { model: "b" }],
    cause: { status: 503 },
  });
});

describe("an answer that ended at its limit", () => {
  const search = tool(() => "", {
    name: "search",
    description: "Searches",
    schema: z.object({ q: z.string().optional() }),
  });
  const chunk = (delta: object) => JSON.stringify({ id: "c", choices: [{ index: 0, delta, finish_reason: null }] });
  const calling = (args: string) =>
    chunk({ tool_calls: [{ index: 0, id: "x", type: "function", function: { name: "search", arguments: args } }] });
  const answering = async (...events: readonly string[]) => {
    const body = lines(OPENING, ...events, finishEvent("length"), usageEvent(1), "[DONE]");
    const server = await rawServer((response) => sendEvents(response, body));
    return resilientModel([openAi(server, "m")], { retry: false });
  };

  it.each(["", '{"q":"a"}'])("holds no tool call that can be used: %j", async (args) => {
    await expect((await answering(calling(args))).bindTools([search]).invoke("q")).rejects.toMatchObject({
      code: "INVALID_TOOL_CALL",
    });
  });

  it("and is empty has not said that there is nothing to add to the result of a tool", async () => {
    const called = new AIMessage({ content: "", tool_calls: [{ id: "x", name: "search", args: {} }] });
    const messages = [new HumanMessage("q"), called, new ToolMessage({ tool_call_id: "x", content: "r" })];
    await expect((await answering()).invoke(messages)).rejects.toMatchObject({ code: "MALFORMED_OUTPUT" });
  });
});

describe("a stream of the Responses API", () => {
  const at = { item_id: "m1", output_index: 0, content_index: 0 };
  const part = (text: string) => ({ type: "output_text", text, annotations: [] });
  const item = (...content: object[]) => ({
    type: "message",
    id: "m1",
    role: "assistant",
    status: "completed",
    content,
  });
  const response = (status: string, output: readonly object[]) => ({
    id: "r1",
    object: "response",
    created_at: 1,
    model: "gpt-x",
    status,
    output,
    error: null,
    incomplete_details: null,
    usage: { input_tokens: 1, output_tokens: 3, total_tokens: 4 },
  });
  const EVENTS = [
    { type: "response.created", response: response("in_progress", []) },
    { type: "response.output_item.added", output_index: 0, item: item() },
    { type: "response.content_part.added", ...at, part: part("") },
    ...["one ", "two ", "three"].map((delta) => ({ type: "response.output_text.delta", ...at, delta, logprobs: [] })),
    { type: "response.output_text.done", ...at, text: "one two three", logprobs: [] },
    { type: "response.output_item.done", output_index: 0, item: item(part("one two three")) },
    { type: "response.completed", response: response("completed", [item(part("one two three"))]) },
  ].map((event, sequence_number) => JSON.stringify({ ...event, sequence_number }));
  const MIDDLE = EVENTS[4] as string;
  const answered = async (events: readonly string[]) => {
    const body = events.map((data) => `event: ${/"type":"([^"]*)/.exec(data)?.[1] ?? ""}\ndata: ${data}\n\n`).join("");
    const server = await rawServer((answer) => sendEvents(answer, body));
    const configuration = { baseURL: server.baseUrl };
    const model = new ChatOpenAI({ model: "gpt-x", apiKey: "x", useResponsesApi: true, configuration });
    return (await resilientModel([model], { retry: false }).invoke("q")).text;
  };

  it("that is whole is an answer", async () => {
    expect(await answered(EVENTS)).toBe("one two three");
  });

  it.each([
    ["is gone", EVENTS.toSpliced(4, 1)],
    ["holds nothing", EVENTS.with(4, "{}")],
    ["has lost the name of its text", EVENTS.with(4, MIDDLE.replace('"delta":', '"dleta":'))],
    ["has lost its type", EVENTS.with(4, MIDDLE.replace('"type"', '"tpye"'))],
  ])("of which one event %s is none", async (_how, events) => {
    await expect(answered(events)).rejects.toMatchObject({ code: "ANSWER_DAMAGED" });
  });

  it("fails in the server's words where an error comes in its middle", async () => {
    const error = '{"type":"error","sequence_number":5,"code":"server_error","message":"Overloaded","param":null}';
    await expect(answered([...EVENTS.slice(0, 5), error])).rejects.toThrow("Overloaded");
  });
});
