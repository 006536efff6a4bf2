/** A chain of models in LangGraph: streamed, in subgraphs and tools, beside questions to people, and what it costs. */
import { type AIMessageChunk, HumanMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import {
  Command,
  interrupt,
  type LangGraphRunnableConfig,
  MessagesAnnotation,
  RunControl,
  START,
  StateGraph,
} from "@langchain/langgraph";
import { createAgent } from "langchain";
import {
  eventsOf,
  inspectThread,
  openPersistence,
  type ResilientChatModel,
  resilient,
  resilientModel,
  resilientTool,
  restartOf,
  threadUsage,
} from "langgraph-resilience";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { toolCalls } from "../../../src/chaos/chat-answer.js";
import { FakeClock } from "../../support/fake-clock.js";
import { quick, recorder } from "../../support/graphs.js";
import { ANSWER, chatOpenAi, providerFor } from "../provider/provider.js";

type State = typeof MessagesAnnotation.State;
type Node = (state: State, config: LangGraphRunnableConfig) => Promise<Partial<State> | State>;

const GO_ON = { messages: [new HumanMessage("Go on.")] };
const config = { configurable: { thread_id: "t" } };
const cut = { kind: "cut_stream" } as const;
const down = { kind: "status", status: 503 } as const;

/** A graph of one node that answers, on a thread that is charged. */
function graphOf(node: Node) {
  const { checkpointer } = openPersistence("memory:");
  const graph = new StateGraph(MessagesAnnotation).addNode("answer", node as never).addEdge(START, "answer");
  return { checkpointer, graph: graph.compile({ checkpointer }) };
}

const answering =
  (model: ResilientChatModel): Node =>
  async ({ messages }) => ({ messages: [await model.invoke(messages)] });

async function all<T>(stream: Promise<AsyncIterable<unknown>>): Promise<T[]> {
  const list: T[] = [];
  for await (const one of await stream) list.push(one as T);
  return list;
}

describe("a chain of models in a streamed graph", () => {
  it("gives each token once, tells of a restart where it happens, and leaves one whole answer in the state", async () => {
    const { baseUrl } = await providerFor({ script: [cut] });
    const { graph, checkpointer } = graphOf(answering(resilientModel([chatOpenAi(baseUrl)], { retry: quick })));
    const { onEvent, types } = recorder();
    eventsOf(checkpointer).subscribe(onEvent);
    const pieces = await all<[AIMessageChunk]>(graph.stream(GO_ON, { ...config, streamMode: "messages" }));
    const restart = pieces.findIndex(([piece]) => restartOf(piece) !== undefined);
    const textOf = (from: number, to?: number) =>
      pieces
        .slice(from, to)
        .map(([piece]) => piece.text)
        .join("");
    expect(textOf(restart)).toBe(ANSWER);
    expect(restartOf(pieces[restart]?.[0])).toMatchObject({
      model: "m-1",
      category: "malformed_output",
      droppedCharacters: textOf(0, restart).length,
    });
    expect(pieces.filter(([piece]) => restartOf(piece) !== undefined)).toHaveLength(1);
    // What is void bears another ID than what takes its place, so that a reader can tell them apart.
    const textsOf = pieces.filter(([{ text }]) => text !== "");
    expect(new Set(textsOf.map(([{ id }]) => id)).size).toBe(2);
    expect(types("answer.restarted")).toHaveLength(1);
    const { values } = await graph.getState(config);
    expect(values.messages.map(({ text }: { text: string }) => text)).toEqual(["Go on.", ANSWER]);
  });

  it("in a subgraph and beside what a node writes of its own streams all the same", async () => {
    const { baseUrl } = await providerFor();
    const model = resilientModel([chatOpenAi(baseUrl)]);
    const inner = new StateGraph(MessagesAnnotation)
      .addNode("inner", async (state: State, { writer }: LangGraphRunnableConfig) => {
        writer?.("thinking");
        return answering(model)(state, {});
      })
      .addEdge(START, "inner")
      .compile();
    const { checkpointer } = openPersistence("memory:");
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("sub", inner)
      .addEdge(START, "sub")
      .compile({ checkpointer });
    const streamMode = ["messages", "updates", "custom"] as const;
    const parts = await all<[string[], string, never]>(
      graph.stream(GO_ON, { ...config, streamMode: [...streamMode], subgraphs: true }),
    );
    const ofMode = (mode: string) => parts.filter(([, of]) => of === mode).map(([, , part]) => part as unknown);
    expect((ofMode("messages") as [AIMessageChunk][]).map(([{ text }]) => text).join("")).toBe(ANSWER);
    expect(ofMode("custom")).toEqual(["thinking"]);
    expect(ofMode("updates").map((update) => Object.keys(update as object))).toEqual([["inner"], ["sub"]]);
    expect((await threadUsage(graph, "t")).useful).toMatchObject({ attempts: 1, outputTokens: 16 });
  });

  it("serves an agent: its tool calls, their results, the answer, each once", async () => {
    const { baseUrl } = await providerFor({
      script: [down, cut],
      answer: ({ messages }) => (messages.length > 1 ? ANSWER : toolCalls([{ name: "now", args: {} }])),
    });
    const now = tool(() => "noon", { name: "now", description: "The time", schema: z.object({}) });
    const agent = createAgent({ model: resilientModel([chatOpenAi(baseUrl)], { retry: quick }), tools: [now] });
    const steps = await all<Record<string, { messages: { type: string; text: string }[] }>>(
      agent.stream(GO_ON, { streamMode: "updates" }),
    );
    const said = steps.flatMap((step) => Object.values(step).flatMap(({ messages }) => messages));
    expect(said.map(({ type, text }) => [type, text])).toEqual([
      ["ai", ""],
      ["tool", "noon"],
      ["ai", ANSWER],
    ]);
  });

  it("ends its request when nobody reads on", async () => {
    const provider = await providerFor({ script: [{ kind: "drip", delayMs: 20 }] });
    for await (const { text } of await resilientModel([chatOpenAi(provider.baseUrl)]).stream("Go on.")) {
      if (text !== "") break;
    }
    await provider.waitForRequest(({ outcome }) => outcome === "client_gone");
    expect(provider.requests).toHaveLength(1);
  });

  it("lets a drain end its waiting", async () => {
    const clock = new FakeClock();
    const asked = await providerFor({ script: [{ kind: "status", status: 429, headers: { "retry-after": "20" } }] });
    const { graph } = graphOf(answering(resilientModel([chatOpenAi(asked.baseUrl)], { clock })));
    const control = new RunControl();
    const run = graph.invoke(GO_ON, { ...config, control });
    run.catch(() => undefined);
    while (!clock.pending.includes(20_000)) await clock.settle();
    control.requestDrain("deploy");
    await expect(run).rejects.toThrow("Graph drained: deploy");
    expect(asked.requests).toHaveLength(1);
    // The run can go on from there.
    await clock.advance(20_000);
    expect((await graph.invoke(null, config)).messages.at(-1)?.text).toBe(ANSWER);
  });
});

describe("what a chain of models costs a thread", () => {
  it("is counted once for each request, beneath a decorated node as well; what failed is wasted", async () => {
    const { baseUrl } = await providerFor({ script: [down, cut] });
    const model = resilientModel([chatOpenAi(baseUrl)], { retry: quick });
    const { graph } = graphOf(resilient(answering(model)));
    await graph.invoke(GO_ON, config);
    const { useful, wasted } = await threadUsage(graph, "t");
    expect(useful).toMatchObject({ inputTokens: 2, outputTokens: 16, unmeasuredCalls: 0 });
    // The 503 cost nothing; what the cut answer cost, nobody has said.
    expect(wasted).toMatchObject({ totalTokens: 0, unmeasuredCalls: 1 });
    expect(useful.attempts + wasted.attempts).toBe(3);
  });

  it("is the same in a plain node, streamed or not", async () => {
    const { baseUrl } = await providerFor();
    const { graph } = graphOf(answering(resilientModel([chatOpenAi(baseUrl)])));
    await graph.invoke(GO_ON, config);
    const { useful } = await threadUsage(graph, "t");
    const other = { configurable: { thread_id: "u" } };
    await all(graph.stream(GO_ON, { ...other, streamMode: "messages" }));
    expect((await threadUsage(graph, "u")).useful).toEqual({ ...useful, activeMs: expect.any(Number) });
    expect(useful).toMatchObject({ attempts: 1, totalTokens: 18 });
  });

  it("is charged within a tool too", async () => {
    const { baseUrl } = await providerFor({ script: [down] });
    const model = resilientModel([chatOpenAi(baseUrl)], { retry: quick });
    const asking = tool(async () => (await model.invoke("Go on.")).text, {
      name: "ask",
      description: "Asks",
      schema: z.object({}),
    });
    const safe = resilientTool(asking);
    const { graph } = graphOf(async () => ({
      messages: [await safe.invoke({ name: "ask", args: {}, id: "c1", type: "tool_call" })],
    }));
    expect((await graph.invoke(GO_ON, config)).messages.at(-1)?.text).toBe(ANSWER);
    expect((await threadUsage(graph, "t")).useful).toMatchObject({ totalTokens: 18 });
  });
});

describe("a chain of models in a node that asks a person", () => {
  it("answers before and after, and keeps the person's answer from attempt to attempt", async () => {
    const { baseUrl, requests } = await providerFor({ script: [cut, { kind: "none" }, down] });
    const model = resilientModel([chatOpenAi(baseUrl)], { retry: quick });
    const asked: unknown[] = [];
    const { graph } = graphOf(
      resilient(async ({ messages }: State) => {
        const first = await model.invoke(messages);
        const said = interrupt("Is that so?");
        asked.push(said);
        return { messages: [first, new HumanMessage(String(said)), await model.invoke(String(said))] };
      }),
    );
    await graph.invoke(GO_ON, config);
    expect(await inspectThread(graph, "t")).toMatchObject({ status: "waiting_human" });
    const { messages } = await graph.invoke(new Command({ resume: "yes" }), config);
    expect(messages.map(({ text }: { text: string }) => text)).toEqual(["Go on.", ANSWER, "yes", ANSWER]);
    expect(asked).toEqual(["yes"]);
    // Cut, answered; from the top again after the person's answer: refused, answered; and the second question.
    expect(requests).toHaveLength(5);
  });
});
