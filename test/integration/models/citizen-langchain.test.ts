/** A chain of models wherever LangChain takes a chat model. */
import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessage, type BaseMessageLike, HumanMessage } from "@langchain/core/messages";
import { StringOutputParser } from "@langchain/core/output_parsers";
import type { ChatResult } from "@langchain/core/outputs";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { RunnableLambda } from "@langchain/core/runnables";
import { tool } from "@langchain/core/tools";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import { AzureChatOpenAI, ChatOpenAI } from "@langchain/openai";
import { resilientModel } from "langgraph-resilience";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { toolCalls } from "../../../src/chaos/chat-answer.js";
import { quick } from "../../support/graphs.js";
import { ANSWER, chatOpenAi, providerFor } from "../provider/provider.js";

const down = { kind: "status", status: 503 } as const;

/** A model, and the bodies of its requests as they go over the wire. */
function recordedModel(baseURL: string, fields: object = {}) {
  const bodies: Record<string, unknown>[] = [];
  const recording: typeof fetch = (url, init) => {
    bodies.push(JSON.parse(String(init?.body)) as Record<string, unknown>);
    return fetch(url, init);
  };
  const configuration = { baseURL, fetch: recording };
  return {
    bodies,
    model: new ChatOpenAI({ model: "m-1", apiKey: "x", useResponsesApi: false, configuration, ...fields }),
  };
}

async function all<T>(stream: AsyncIterable<T> | Promise<AsyncIterable<T>>): Promise<T[]> {
  const list: T[] = [];
  for await (const one of await stream) list.push(one);
  return list;
}

/** Whether the question says that an answer to it was refused; in one message with it, for templates want them to alternate. */
const wasRefused = (messages: readonly { readonly text: string }[]) =>
  messages.length === 1 && messages.at(-1)?.text.includes("Your previous answer was refused") === true;

describe("a chain of models in LangChain", () => {
  it("stands between a prompt and a parser", async () => {
    const { baseUrl } = await providerFor({
      script: [down],
      answer: ({ messages }) => `You said: ${messages[0]?.text}`,
    });
    const model = resilientModel([chatOpenAi(baseUrl)], { retry: quick });
    const chain = ChatPromptTemplate.fromTemplate("Say {what}.").pipe(model).pipe(new StringOutputParser());
    expect(await chain.invoke({ what: "hello" })).toBe("You said: Say hello.");
    expect((await all(chain.stream({ what: "hello" }))).join("")).toBe("You said: Say hello.");
  });

  it("is called in batches, no more at once than it may be", async () => {
    const { baseUrl, requests } = await providerFor({
      answer: ({ messages }) => `${messages[0]?.text}!`,
      script: [down],
    });
    const running: number[] = [];
    let now = 0;
    const counted = new BatchCounter((step) => {
      now += step;
      running.push(now);
    });
    const model = resilientModel([chatOpenAi(baseUrl)], { retry: quick });
    const answers = await model.batch(["a", "b", "c", "d"], { callbacks: [counted] }, { maxConcurrency: 2 } as object);
    expect(answers.map(({ text }) => text)).toEqual(["a!", "b!", "c!", "d!"]);
    expect(requests).toHaveLength(5);
    const limited = await model.batch(["a", "b", "c"], { callbacks: [counted], maxConcurrency: 1 });
    expect(limited).toHaveLength(3);
    expect(Math.max(...running.slice(8))).toBe(1);
  });

  it("generates for several prompts, each with its own answer", async () => {
    const { baseUrl } = await providerFor({ answer: ({ messages }) => `${messages[0]?.text}!` });
    const { generations } = await resilientModel([chatOpenAi(baseUrl)]).generate([
      [new HumanMessage("a")],
      [new HumanMessage("b")],
    ]);
    expect(generations.map(([first]) => first?.text)).toEqual(["a!", "b!"]);
  });

  it("keeps what withConfig binds, and bears a RunnableLambda around it", async () => {
    const { baseUrl } = await providerFor();
    const { bodies, model } = recordedModel(baseUrl);
    const bound = resilientModel([model]).withConfig({ stop: ["END"], tags: ["mine"] });
    const around = RunnableLambda.from((text: string) => bound.invoke(text));
    expect((await around.invoke("Go on.")).text).toBe(ANSWER);
    expect(bodies).toMatchObject([{ stop: ["END"] }]);
  });

  it.each(["v1", "v2"] as const)("tells its text once by streamEvents %s", async (version) => {
    const { baseUrl } = await providerFor();
    const events = await all(resilientModel([chatOpenAi(baseUrl)]).streamEvents("Go on.", { version }));
    const kind = version === "v1" ? "on_llm" : "on_chat_model";
    const count = (name: string) => events.filter(({ event }) => event === name).length;
    expect([count(`${kind}_start`), count(`${kind}_end`)]).toEqual([1, 1]);
    const pieces = events.filter(({ event }) => event === `${kind}_stream`).map(({ data }) => data.chunk);
    expect(pieces.map((chunk) => chunk.text ?? chunk.message.text).join("")).toBe(ANSWER);
  });

  it("tells only what is whole by streamEvents v3, which knows no taking back", async () => {
    const { baseUrl } = await providerFor({ script: [{ kind: "cut_stream" }] });
    const events: { readonly event: string; readonly delta?: { readonly text?: string } }[] = [];
    // Not by `all`: it would wait for the stream, which stands for its message as well.
    for await (const event of resilientModel([chatOpenAi(baseUrl)]).streamEvents("Go on."))
      events.push(event as (typeof events)[number]);
    expect(events.map(({ delta }) => delta?.text ?? "").join("")).toBe(ANSWER);
    expect(events.filter(({ event }) => event.startsWith("message-")).map(({ event }) => event)).toEqual([
      "message-start",
      "message-finish",
    ]);
  });

  it("tells its text once by streamLog", async () => {
    const { baseUrl } = await providerFor();
    const [first, ...patches] = await all(resilientModel([chatOpenAi(baseUrl)]).streamLog("Go on."));
    const { state } = patches.reduce(
      (log, patch) => log.concat(patch),
      first as NonNullable<typeof first>,
    ) as unknown as {
      state: { streamed_output: { text: string }[] };
    };
    expect(state.streamed_output.map(({ text }) => text).join("")).toBe(ANSWER);
  });

  it("is one call to those who trace it, however many requests it took", async () => {
    const { baseUrl } = await providerFor({ script: [down] });
    const seen: unknown[][] = [];
    const handler = BaseCallbackHandler.fromMethods({
      handleChainStart: (_chain, _inputs, id, parent) => void seen.push(["chain", id, parent]),
      handleChatModelStart: (_model, _messages, id, parent, _extra, tags, metadata, name) =>
        void seen.push(["start", id, parent, tags, metadata?.from, name]),
      handleLLMNewToken: (text) => void seen.push(["token", text]),
      handleLLMEnd: ({ llmOutput }, id) => void seen.push(["end", id, llmOutput]),
      handleLLMError: (error) => void seen.push(["error", error]),
    });
    const model = resilientModel([chatOpenAi(baseUrl)], { retry: quick });
    const named = model.withConfig({ runName: "mine", tags: ["t"], metadata: { from: "here" } });
    const chain = RunnableLambda.from((text: string) => text).pipe(named);
    await chain.invoke("Go on.", { callbacks: [handler] });
    const [sequence, , start, end, ...more] = seen;
    expect(start).toEqual(["start", expect.any(String), sequence?.[1], expect.arrayContaining(["t"]), "here", "mine"]);
    expect(end).toEqual(["end", start?.[1], { tokenUsage: expect.objectContaining({ completionTokens: 16 }) }]);
    expect(more).toEqual([]);
    seen.length = 0;
    await all(model.stream("Go on.", { callbacks: [handler] }));
    expect(seen.filter(([kind]) => kind !== "token").map(([kind]) => kind)).toEqual(["start", "end"]);
    expect(seen.flatMap(([kind, text]) => (kind === "token" ? text : [])).join("")).toBe(ANSWER);
  });
});

/** Hears how many models are being called. */
class BatchCounter extends BaseCallbackHandler {
  readonly name = "batch_counter";
  override readonly handleChatModelStart: () => void;
  override readonly handleLLMEnd: () => void;

  constructor(count: (step: 1 | -1) => void) {
    super();
    this.handleChatModelStart = () => count(1);
    this.handleLLMEnd = () => count(-1);
  }
}

describe("what a model is asked, through the chain", () => {
  const city = tool(() => "sunny", { name: "weather", description: "weather", schema: z.object({ city: z.string() }) });

  it("is what it would be asked without: images, tools and their results, options", async () => {
    const { baseUrl } = await providerFor();
    const direct = recordedModel(baseUrl, { logprobs: true, topLogprobs: 2, temperature: 0.1 });
    const behind = recordedModel(baseUrl, { logprobs: true, topLogprobs: 2, temperature: 0.1 });
    const url = "data:image/png;base64,AAAA";
    const call = { id: "c1", name: "weather", args: { city: "Oslo" }, type: "tool_call" as const };
    const messages: BaseMessageLike[] = [
      ["system", "Be brief."],
      new HumanMessage({
        content: [
          { type: "text", text: "What is this?" },
          { type: "image_url", image_url: { url } },
        ],
      }),
      new AIMessage({ content: "", tool_calls: [call, { ...call, id: "c2" }] }),
      { role: "tool", content: "sunny", tool_call_id: "c1" },
      { role: "tool", content: "rain", tool_call_id: "c2" },
    ];
    const options = { stop: ["END"], tool_choice: "weather", parallel_tool_calls: false };
    await all(direct.model.bindTools([city]).stream(messages, options));
    await resilientModel([behind.model]).bindTools([city]).invoke(messages, options);
    expect(behind.bodies).toEqual(direct.bodies);
    expect(behind.bodies[0]).toMatchObject({ stop: ["END"], parallel_tool_calls: false, logprobs: true });
  });

  it("for several answers at once is asked whole", async () => {
    const { baseUrl } = await providerFor();
    const { bodies, model } = recordedModel(baseUrl, { n: 2 });
    expect((await resilientModel([model]).invoke("Go on.")).text).toBe(ANSWER);
    expect(bodies).toMatchObject([{ n: 2, stream: false }]);
  });
});

describe("a structured answer", () => {
  const schema = z.object({ city: z.string() });
  const jsonSchema = { title: "place", type: "object", properties: { city: { type: "string" } }, required: ["city"] };

  it.each(["jsonSchema", "functionCalling", "jsonMode"] as const)(
    "by %s that does not fit is asked for again with what is wrong with it",
    async (method) => {
      const { baseUrl, requests } = await providerFor({
        answer: ({ messages, tools }) => {
          const args = { city: wasRefused(messages) ? "Oslo" : 7 };
          return tools.length > 0 ? toolCalls([{ name: "extract", args }]) : args;
        },
      });
      const model = resilientModel([chatOpenAi(baseUrl)], { retry: quick });
      const answer = await model.withStructuredOutput(schema, { method, includeRaw: true }).invoke("Where?");
      expect(answer).toMatchObject({ parsed: { city: "Oslo" } });
      expect(requests).toHaveLength(2);
      expect(requests[1]?.messages[0]?.text).toMatch(/was refused.*expected string, received number/s);
    },
  );

  it("is asked for at most twice again, then the next model is, which hears nothing of it", async () => {
    const sick = await providerFor({ answer: () => ({ city: 7 }) });
    const sound = await providerFor({ answer: () => ({ city: "Oslo" }) });
    const model = resilientModel([chatOpenAi(sick.baseUrl), chatOpenAi(sound.baseUrl, "m-2")], { retry: quick });
    const asking = model.withStructuredOutput(schema);
    expect(await asking.invoke("Where?")).toEqual({ city: "Oslo" });
    expect(sick.requests.map(({ messages }) => wasRefused(messages))).toEqual([false, true, true]);
    expect(sound.requests.map(({ messages }) => wasRefused(messages))).toEqual([false]);
    expect(await asking.batch(["Where?", "And where?"])).toEqual([{ city: "Oslo" }, { city: "Oslo" }]);
    expect(await all(asking.stream("Where?"))).toEqual([{ city: "Oslo" }]);
  });

  it("may be told by a JSON schema, and keeps the tools bound before", async () => {
    const { baseUrl, requests } = await providerFor({ answer: () => ({ city: "Oslo" }) });
    const weather = tool(() => "sunny", { name: "weather", description: "weather", schema });
    const model = resilientModel([chatOpenAi(baseUrl)]).bindTools([weather]);
    expect(await model.withStructuredOutput(jsonSchema).invoke("Where?")).toEqual({ city: "Oslo" });
    expect(requests[0]?.tools).toHaveLength(1);
  });
});

class WholeModel extends BaseChatModel {
  readonly #said = "I say it all at once.";

  constructor(fields: object = {}) {
    super(fields);
  }
  override _llmType(): string {
    return "whole";
  }
  override async _generate(): Promise<ChatResult> {
    return { generations: [{ text: this.#said, message: new AIMessage(this.#said) }] };
  }
}

describe("other models in the chain", () => {
  it("may be ones that cannot stream, and have private fields", async () => {
    const { baseUrl } = await providerFor({ script: [{ ...down, times: "always" }] });
    const chain = resilientModel([chatOpenAi(baseUrl), new WholeModel({ maxRetries: 0 })], { retry: false });
    expect((await chain.invoke("Go on.")).text).toBe("I say it all at once.");
    expect((await all(chain.stream("Go on."))).map(({ text }) => text).join("")).toBe("I say it all at once.");
  });

  it("with private fields and retries of their own are called as they are, with a warning", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    onTestFinished(() => warned.mockRestore());
    await resilientModel([new WholeModel()]).invoke("Go on.");
    expect(warned).toHaveBeenCalledWith(expect.stringContaining("WholeModel retries by itself"), "ResilienceWarning");
  });

  it("may be the fake ones of LangChain, and chains of models", async () => {
    const { baseUrl } = await providerFor({ script: [{ ...down, times: "always" }] });
    const inner = resilientModel([chatOpenAi(baseUrl), new FakeListChatModel({ responses: ["hello there"] })], {
      retry: false,
    });
    const outer = resilientModel([inner], { retry: false });
    expect((await outer.invoke("Go on.")).text).toBe("hello there");
    expect((await all(outer.stream("Go on."))).map(({ text }) => text).join("")).toBe("hello there");
  });

  it("may be ones on Azure: without retries of their own, their streams checked as well", async () => {
    const { baseUrl, requests } = await providerFor({ script: [down, { kind: "cut_stream" }] });
    const azure = new AzureChatOpenAI({
      model: "gpt",
      azureOpenAIApiKey: "x",
      azureOpenAIApiDeploymentName: "of-ours",
      azureOpenAIApiVersion: "2024-10-21",
      azureOpenAIEndpoint: "http://azure.invalid",
      configuration: { fetch: (_url, init) => fetch(`${baseUrl}/chat/completions`, init) },
    });
    const answer = await resilientModel([azure], { retry: quick }).invoke("Go on.");
    expect(answer.text).toBe(ANSWER);
    expect(answer.response_metadata.resilience).toMatchObject({
      failures: [{ category: "server_error" }, { category: "malformed_output" }],
    });
    expect(requests).toHaveLength(3);
  });
});
