/** What a review found wrong with texts that are saved while they grow. */
import { AIMessage, AIMessageChunk, type AIMessageChunkFields, type BaseMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { expect, it } from "vitest";
import { z } from "zod";
import { toolCalls } from "../../../src/chaos/chat-answer.js";
import { restartOf } from "../../../src/langgraph/model/answer-chunk.js";
import { resilientModel } from "../../../src/langgraph/model/resilient-model.js";
import { resilient } from "../../../src/langgraph/resilient.js";
import type { StreamCheckpoint } from "../../../src/langgraph/stream-options.js";
import { streamWithCheckpoints } from "../../../src/langgraph/stream-with-checkpoints.js";
import { runThread } from "../../../src/langgraph/threads/run-thread.js";
import { openPersistence } from "../../../src/persistence/open.js";
import { LogState, quick } from "../../support/graphs.js";
import { streamingModel } from "../../support/streaming-model.js";
import { chatOpenAi, providerFor } from "../provider/provider.js";

type Model = Parameters<typeof streamWithCheckpoints>[0];

const breaksOff = () => Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
const TEXT = Array.from({ length: 40 }, (_, index) => `word${index}`).join(" ");
const book = tool(() => "", { name: "book", description: "Books", schema: z.object({ day: z.string().optional() }) });

/** Runs a graph of one node, that has three attempts. */
const run = (work: (config: LangGraphRunnableConfig) => Promise<string>) =>
  runThread(
    new StateGraph(LogState)
      .addNode(
        "write",
        resilient(async (_, config: LangGraphRunnableConfig) => ({ log: [await work(config)] }), { retry: quick }),
      )
      .addEdge(START, "write")
      .compile({ checkpointer: openPersistence("memory:").checkpointer }),
    { value: 1 },
    { threadId: "t" },
  );

/** What comes of one text, generated in a node. */
async function generated(model: Model) {
  let final: AIMessage | undefined;
  const { status } = await run(async (config) => {
    final = await streamWithCheckpoints(model, "Q", config).final();
    return final.text;
  });
  return { status, final };
}

it.each<[string, (model: ReturnType<typeof chatOpenAi>) => readonly [Model, Model]]>([
  ["other tools are bound", (model) => [model.bindTools([book]), model]],
  ["another form is asked for", (model) => [model, model.withConfig({ response_format: { type: "json_object" } })]],
  [
    "the models of a chain have other tools",
    (model) => [resilientModel([model]).bindTools([book]), resilientModel([model])],
  ],
])("a text that was saved is not handed out where %s", async (_what, models) => {
  const provider = await providerFor({ answer: ({ messages }) => `${TEXT} ${messages.length}` });
  const [first, second] = models(chatOpenAi(provider.baseUrl));
  let attempts = 0;
  await run(async (config) => {
    attempts += 1;
    const { text } = await streamWithCheckpoints(attempts === 1 ? first : second, "Q", config).final();
    if (attempts === 1) throw breaksOff();
    return text;
  });
  expect([attempts, provider.requests.length]).toEqual([2, 2]);
});

it("the same question is asked once, whatever is bound that is no part of it", async () => {
  const provider = await providerFor({ answer: () => TEXT });
  const model = chatOpenAi(provider.baseUrl);
  let attempts = 0;
  await run(async (config) => {
    attempts += 1;
    const tagged = model.withConfig({ tags: [`attempt ${attempts}`] });
    const { text } = await streamWithCheckpoints(tagged, "Q", config).final();
    if (attempts === 1) throw breaksOff();
    return text;
  });
  expect([attempts, provider.requests.length]).toEqual([2, 1]);
});

it("rows that a text repeats are all there, though it broke off among them", async () => {
  const row = "| 0.00 | 0.00 | 0.00 | 0.00 |\n";
  const whole = `# Table\n${row.repeat(40)}END of the table.`;
  const model = streamingModel(
    function* () {
      yield whole.slice(0, 8 + row.length * 20 + 4);
      throw breaksOff();
    },
    function* (messages: readonly BaseMessage[]) {
      yield whole.slice(messages.at(-2)?.text.length);
    },
  );
  expect((await generated(model)).final?.text).toBe(whole);
});

it("a model that does not stream keeps its tool calls where its text is cut at the seam", async () => {
  const head = "Let me look that up in the database of customers.";
  const call = { id: "1", name: "look_up", args: { id: 7 } };
  const model = streamingModel(
    function* () {
      yield `${head} `;
      throw breaksOff();
    },
    function* () {
      yield new AIMessage({ content: `${head} One moment.`, tool_calls: [call] }) as AIMessageChunk;
    },
  );
  const { final } = await generated(model);
  expect(final?.text).toBe(`${head} One moment.`);
  expect(final?.tool_calls).toEqual([expect.objectContaining(call)]);
});

it("the whole message is no restart, though its model began anew after what was restored", async () => {
  const answer = ({ messages }: { readonly messages: readonly { readonly text: string }[] }) =>
    TEXT.slice(messages[1]?.text.length ?? 0);
  const provider = await providerFor({ answer, script: [{ kind: "none" }, { kind: "reset_stream" }] });
  const model = resilientModel([chatOpenAi(provider.baseUrl)], { retry: quick });
  let restarts = 0;
  let pieces = 0;
  let final: AIMessage | undefined;
  await run(async (config) => {
    const stream = streamWithCheckpoints(model, "Q", config, { everyTokens: 5 });
    for await (const piece of stream) {
      if (restartOf(piece) !== undefined) restarts += 1;
      pieces += 1;
      if (pieces === 5) throw breaksOff();
    }
    final = await stream.final();
    return final.text;
  });
  expect([restarts, final?.text]).toEqual([1, TEXT]);
  expect(restartOf(final as AIMessage)).toBeUndefined();
  expect(final?.response_metadata.resilience).toMatchObject({ answeredBy: "m-1", attempts: 2 });
});

it("a tool call that ended at the limit is not handed out, but asked for again", async () => {
  const call = { name: "book", args: { day: "Friday", guests: 4 } };
  const script = [{ kind: "finish", reason: "length" }] as const;
  const provider = await providerFor({ answer: () => toolCalls([call]), script });
  const { final } = await generated(chatOpenAi(provider.baseUrl));
  expect(final?.tool_calls).toEqual([expect.objectContaining(call)]);
  expect(provider.requests).toHaveLength(2);
});

it("a text that was withheld in its middle is no whole one", async () => {
  const script = [{ kind: "finish", reason: "content_filter", times: "always" }] as const;
  const provider = await providerFor({ answer: () => TEXT, script });
  let last: StreamCheckpoint | undefined;
  const { status, error } = await run(async (config) => {
    const onCheckpoint = (checkpoint: StreamCheckpoint) => {
      last = checkpoint;
    };
    return (await streamWithCheckpoints(chatOpenAi(provider.baseUrl), "Q", config, { onCheckpoint }).final()).text;
  });
  expect({ status, error }).toMatchObject({ status: "failed", error: { category: "content_policy" } });
  expect(last?.finished).not.toBe(true);
  expect(provider.requests).toHaveLength(1);
});

it("Bedrock says that an answer is whole in a place of its own", async () => {
  const piece = (fields: object) => new AIMessageChunk(fields as AIMessageChunkFields);
  const model = streamingModel(function* () {
    yield piece({ content: "Whole text.", response_metadata: { model_provider: "bedrock-converse" } });
    yield piece({ content: "", response_metadata: { messageStop: { stopReason: "end_turn" } } });
  });
  expect((await generated(model)).final?.text).toBe("Whole text.");
  expect(model.requests).toHaveLength(1);
});
