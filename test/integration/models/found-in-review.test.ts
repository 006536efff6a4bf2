/** What an adversarial review found wrong with the chain of models. */
import type { ServerResponse } from "node:http";
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { BaseMessage } from "@langchain/core/messages";
import { StringOutputParser } from "@langchain/core/output_parsers";
import type { ChatResult } from "@langchain/core/outputs";
import { AzureChatOpenAI, ChatOpenAI } from "@langchain/openai";
import { initChatModel } from "langchain";
import { type ModelRoute, resilientModel } from "langgraph-resilience";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { anthropicServer } from "../../support/anthropic-server.js";
import { FakeClock } from "../../support/fake-clock.js";
import {
  finishEvent,
  lines,
  misbehaving,
  OPENING,
  openAi,
  type RawServer,
  rawServer,
  sendEvents,
  textEvent,
  usageEvent,
  withoutWaiting,
} from "../../support/models.js";

const once = { retry: false } as const;

const event = (fields: object) => JSON.stringify({ id: "c-1", object: "chat.completion.chunk", model: "m", ...fields });
const delta = (fields: object) => event({ choices: [{ index: 0, delta: fields, finish_reason: null }] });
const END = [finishEvent(), usageEvent(2), "[DONE]"];
const TEXT = [textEvent("one "), textEvent("two")];
/** Streams the events, whatever it is asked. */
const streaming = (...events: readonly string[]) => rawServer((response) => sendEvents(response, lines(...events)));
const sendJson = (response: ServerResponse, body: object) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
};
/** Streams the second part when it is told to. */
async function inTwoParts(first: readonly string[], second: readonly string[]) {
  let goOn = () => {};
  const told = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const server = await rawServer(async (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(lines(...first));
    await told;
    response.end(lines(...second));
  });
  return { server, goOn };
}
const answerOf = (server: RawServer) => resilientModel([openAi(server, "m")], once).invoke("q");
const callOf = (args: string) => ({
  tool_calls: [{ index: 0, id: "x", type: "function", function: { name: "w", arguments: args } }],
});

describe("an answer without a finish reason is cut, also that of", () => {
  const cut = () => streaming(OPENING, ...TEXT, "[DONE]");
  const makers: Record<string, () => Promise<ModelRoute>> = {
    Azure: async () =>
      new AzureChatOpenAI({
        model: "m",
        azureOpenAIApiKey: "x",
        azureOpenAIBasePath: `${(await cut()).baseUrl}/openai/deployments`,
        azureOpenAIApiDeploymentName: "d",
        azureOpenAIApiVersion: "2024-06-01",
      }),
    "a model of OpenAI by its name": async () => {
      const configuration = { baseURL: (await cut()).baseUrl };
      return initChatModel("openai:gpt-4o", { apiKey: "x", useResponsesApi: false, configuration });
    },
    "a model of Anthropic by its name": async () => {
      const { url } = await anthropicServer([{ kind: "cut" }]);
      return initChatModel("anthropic:claude-sonnet-4-5", { apiKey: "x", anthropicApiUrl: url });
    },
  };
  it.each(Object.entries(makers))("%s", async (_name, make) => {
    const model = resilientModel([await make()], once);
    await expect(model.invoke("q")).rejects.toMatchObject({ code: "ANSWER_CUT" });
  });
});

describe("a finish reason", () => {
  it("that is empty is none", async () => {
    const opening = event({ choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: "" }] });
    const model = resilientModel(
      [{ model: openAi(await streaming(opening, ...TEXT), "m"), finishReason: "optional" }],
      once,
    );
    await expect(model.invoke("q")).rejects.toMatchObject({ code: "ANSWER_CUT" });
  });

  it.each(["content_filter", "stop"])("content_filter is understood, also where %s comes after it", async (second) => {
    const server = await streaming(OPENING, textEvent("one", "content_filter"), finishEvent(second), ...END.slice(1));
    await expect(answerOf(server)).rejects.toMatchObject({ code: "CONTENT_FILTERED" });
  });
});

describe("a model that refuses to answer is not asked again:", () => {
  const said = "I cannot help with that.";
  const whole = { role: "assistant", content: null, refusal: said };
  const streamed = [...[null, "", "I cannot help", " with that."].map((refusal) => delta({ refusal })), ...END];
  const refusing = () =>
    rawServer((response, { stream }) => {
      if (stream === true) return sendEvents(response, lines(...streamed));
      sendJson(response, { id: "c", model: "m", choices: [{ index: 0, message: whole, finish_reason: "stop" }] });
    });
  const chain = (server: RawServer, transport: "stream" | "whole") =>
    resilientModel([{ model: openAi(server, "m"), transport }, openAi(server, "n")]);

  it.each(["stream", "whole"] as const)("in a %s", async (transport) => {
    const server = await refusing();
    await expect(chain(server, transport).invoke("q")).rejects.toMatchObject({
      code: "CONTENT_FILTERED",
      message: expect.stringContaining(said),
    });
    expect(server.requests.map(({ model }) => model)).toEqual(["m"]);
  });

  it("in a structured answer", async () => {
    const server = await refusing();
    const model = chain(server, "stream").withStructuredOutput(z.object({ a: z.string() }));
    await expect(model.invoke("q")).rejects.toMatchObject({ code: "CONTENT_FILTERED" });
    expect(server.requests).toHaveLength(1);
  });
});

it.each([
  ["its fields in the event", (error: object) => ({ type: "error", sequence_number: 1, ...error })],
  ["its fields in an error", (error: object) => ({ type: "error", sequence_number: 1, error })],
])("an error event of the Responses API is what the server says, with %s", async (_form, made) => {
  const response = { id: "r", object: "response", status: "in_progress", output: [], model: "m" };
  const error = { code: "rate_limit_exceeded", message: "Rate limit reached", param: null };
  const events = [{ type: "response.created", sequence_number: 0, response }, made(error)];
  const server = await rawServer((answer) =>
    sendEvents(answer, events.map((one) => `event: ${one.type}\ndata: ${JSON.stringify(one)}\n\n`).join("")),
  );
  const configuration = { baseURL: server.baseUrl };
  const model = new ChatOpenAI({ model: "m", apiKey: "x", useResponsesApi: true, configuration });
  await expect(resilientModel([model], once).invoke("q")).rejects.toMatchObject({
    code: "rate_limit_exceeded",
    message: expect.stringContaining("Rate limit reached"),
  });
});

it("what was wrong with an answer is told in the last question: no two messages of a person in a row", async () => {
  const rows: BaseMessage["type"][][] = [];
  const server = await rawServer((response, { messages }) => {
    rows.push((messages as { role: BaseMessage["type"] }[]).map(({ role }) => role));
    const events = rows.length === 1 ? [delta(callOf('{"a":')), finishEvent("tool_calls")] : [...TEXT, finishEvent()];
    sendEvents(response, lines(OPENING, ...events, usageEvent(2), "[DONE]"));
  });
  const clock = new FakeClock();
  const answer = await withoutWaiting(clock, resilientModel([openAi(server, "m")], { clock }).invoke("the question"));
  expect(answer.text).toBe("one two");
  expect(rows).toEqual([["user"], ["user"]]);
  expect(JSON.stringify(server.requests[1]?.messages)).toMatch(/the question.*previous answer was refused/);
});

describe("a chain within a chain takes its own text back", () => {
  const nested = async (pieces: number, options = {}) => {
    const voids = Array.from({ length: pieces }, (_, index) => textEvent(`void${index} `));
    const server = await rawServer((response, { model }) =>
      sendEvents(response, lines(OPENING, ...(model === "a" ? voids : [...TEXT, ...END]))),
    );
    return resilientModel([resilientModel([{ model: openAi(server, "a"), ...once }, openAi(server, "b")])], options);
  };

  it.each([1, 7, 15, 31])("however many pieces it came in: %i", async (pieces) => {
    expect((await (await nested(pieces)).invoke("q")).text).toBe("one two");
  });

  it("before a parser", async () => {
    let text = "";
    for await (const piece of await (await nested(2)).pipe(new StringOutputParser()).stream("q")) text += piece;
    expect(text).toBe("one two");
  });

  it("where it is held", async () => {
    let text = "";
    for await (const piece of await (await nested(2, { streaming: "held" })).stream("q")) text += piece.text;
    expect(text).toBe("one two");
  });
});

it("a damaged event is not passed over where the thinking is counted apart from the tokens", async () => {
  const usage = {
    prompt_tokens: 3,
    completion_tokens: 6,
    total_tokens: 10,
    completion_tokens_details: { reasoning_tokens: 1 },
  };
  const [pay, ...rest] = ["pay", " 1", "0", "0", " now"].map((text) => textEvent(text)) as [string, ...string[]];
  const server = await streaming(
    OPENING,
    pay,
    '{"id":"c-1","choi',
    ...rest,
    finishEvent(),
    event({ choices: [], usage }),
  );
  await expect(answerOf(server)).rejects.toMatchObject({ code: "ANSWER_DAMAGED" });
});

describe("junk is the server's fault, and no fault in the program:", () => {
  it("a choice that is null, in a stream", async () => {
    const server = await streaming(event({ choices: [null] }), "[DONE]");
    await expect(answerOf(server)).rejects.toThrow("held a choice that is none");
  });

  it("a choice that is null, whole", async () => {
    const server = await rawServer((response) => sendJson(response, { id: "x", choices: [null] }));
    await expect(answerOf(server)).rejects.toMatchObject({ code: "UNUSABLE_RESPONSE" });
  });

  it("calls that are no list", async () => {
    const server = await streaming(OPENING, delta({ tool_calls: {} }), "[DONE]");
    await expect(answerOf(server)).rejects.toMatchObject({ code: "ANSWER_CUT" });
  });

  it("an error that is empty is none", async () => {
    const events = [OPENING, ...TEXT, ...END.slice(0, -1)].map((data) => data.replace("{", '{"error":"",'));
    expect((await answerOf(await streaming(...events, "[DONE]"))).text).toBe("one two");
  });
});

it.each(["reasoning", "reasoning_content"])("thinking that a server calls %s is no silence", async (name) => {
  const clock = new FakeClock();
  const { server, goOn } = await inTwoParts([OPENING, delta({ [name]: "Hm." })], [...TEXT, ...END]);
  const timeout = { firstTokenMs: 1000, idleMs: 10_000 };
  let text = "";
  for await (const piece of await resilientModel([openAi(server, "m")], { ...once, clock, timeout }).stream("q")) {
    text += piece.text;
    if (piece.additional_kwargs.reasoning_content === undefined) continue;
    await clock.advance(5000);
    goOn();
  }
  expect(text).toBe("one two");
});

it("a reader who leaves while the model is silent ends its request, and nobody else is asked", async () => {
  const provider = await misbehaving({ script: [{ kind: "stall", times: "always" }] });
  const clock = new FakeClock();
  const stream = await resilientModel([openAi(provider, "a"), openAi(provider, "b")], { clock }).stream("q");
  const reader = (stream as unknown as ReadableStream<{ readonly text: string }>).getReader();
  let text = "";
  while (text.length < 32) text += (await reader.read()).value?.text ?? "";
  reader.read().catch(() => undefined);
  await clock.settle();
  await reader.cancel();
  await provider.waitForRequest(({ outcome }) => outcome !== undefined);
  await clock.advance(120_000);
  expect(provider.requests.map(({ model, outcome }) => [model, outcome])).toEqual([["a", "client_gone"]]);
});

it("a model that withRetry was called on is asked once an attempt", async () => {
  const provider = await misbehaving({ script: [{ kind: "status", status: 503, times: "always" }] });
  const model = openAi(provider, "a").withRetry({ stopAfterAttempt: 2 }) as never;
  const whole = resilientModel([{ model, transport: "whole" }], once);
  await expect(whole.invoke("q")).rejects.toMatchObject({ status: 503 });
  expect(provider.requests).toHaveLength(1);
});

it("a model that gave its retries on to a client of its own is asked once an attempt", async () => {
  let asked = 0;
  class OfGoogle extends BaseChatModel {
    readonly connection = { caller: this.caller };
    _llmType() {
      return "own";
    }
    _generate(): Promise<ChatResult> {
      return this.connection.caller.call(async () => {
        asked += 1;
        throw Object.assign(new Error("down"), { status: 503 });
      });
    }
  }
  await expect(resilientModel([new OfGoogle({ maxRetries: 1 })], once).invoke("q")).rejects.toThrow("down");
  expect(asked).toBe(1);
});

it.each([
  ["a function", (parameters: object) => ({ name: "p", parameters })],
  ["a tool", (parameters: object) => ({ type: "function", function: { name: "p", parameters } })],
  ["a schema with a name", (schema: object) => ({ name: "p", schema, strict: true })],
])("a JSON schema given as %s is what the answer is held against", async (_form, made) => {
  const schema = made({ type: "object", properties: { when: { type: "string" } }, required: ["when"] });
  const asked = async (answer: object) => {
    const provider = await misbehaving({ answer: () => answer });
    const model = resilientModel([openAi(provider, "a")], once);
    return model.withStructuredOutput(schema, { method: "jsonSchema" }).invoke("q");
  };
  expect(await asked({ when: "now" })).toEqual({ when: "now" });
  await expect(asked({ where: "here" })).rejects.toMatchObject({ code: "MALFORMED_OUTPUT" });
});
