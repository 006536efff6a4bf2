/** Structured responses that do not come out right at once, from real agents on a real server. */
import { type AIMessage, HumanMessage } from "@langchain/core/messages";
import { createAgent, createMiddleware, providerStrategy, toolStrategy } from "langchain";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { ChatRequest } from "../../../src/chaos/chat-request.js";
import { resilienceMiddleware } from "../../../src/entries/langchain.js";
import { resilientModel } from "../../../src/langgraph/model/resilient-model.js";
import { quick } from "../../support/graphs.js";
import { chatOpenAi, providerFor } from "../provider/provider.js";
import { calling, toolNamed } from "./agents.js";

type AgentOptions = Parameters<typeof createAgent>[0];

const Quarter = z.object({ quarter: z.string(), cents: z.number() }).meta({ title: "Quarter" });
const RIGHT = { quarter: "Q1", cents: 1200 };
const WRONG = { quarter: "Q1", cents: "about twelve euros" };

const inTool = (value: object) => calling({ name: "Quarter", args: value as Record<string, unknown> });
/** How a value is given as an answer, and the format that asks for it so. */
const ways = {
  "by a tool": { format: toolStrategy(Quarter), say: inTool },
  "by the provider": { format: providerStrategy(Quarter), say: (value: object) => value },
  "by a schema alone": { format: Quarter, say: inTool },
};

/** An agent whose models m-1 and m-2 say what is laid down for each, in turn. */
async function agentSaying(
  says: Readonly<Record<string, readonly (string | object)[]>>,
  responseFormat: unknown,
  changes: Partial<AgentOptions> = {},
) {
  const left = new Map(Object.entries(says).map(([model, answers]) => [model, [...answers]]));
  const provider = await providerFor({ answer: ({ model }) => left.get(model)?.shift() ?? "nothing left to say" });
  const models = Object.keys(says).map((name) => chatOpenAi(provider.baseUrl, name));
  const [model, ...fallbacks] = models;
  const agent = createAgent({
    model,
    middleware: [resilienceMiddleware({ model: { retry: quick }, fallbacks })],
    responseFormat,
    ...changes,
  } as AgentOptions);
  const ask = async () =>
    (await agent.invoke({ messages: [new HumanMessage("How did it go?")] }, { recursionLimit: 12 })) as unknown as {
      structuredResponse: unknown;
      messages: AIMessage[];
    };
  const last = (request: ChatRequest | undefined) => request?.messages.at(-1)?.text;
  return { ask, provider, models: () => provider.requests.map(({ model: name }) => name), last };
}

describe.each(Object.entries(ways))("a structured response %s", (_, { format, say }) => {
  it("that does not fit is asked for again, with what is wrong with it", async () => {
    const { ask, provider, last } = await agentSaying({ "m-1": [say(WRONG), say(RIGHT)] }, format);
    const { structuredResponse, messages } = await ask();
    expect(structuredResponse).toEqual(RIGHT);
    expect(provider.requests).toHaveLength(2);
    expect(last(provider.requests[1])).toMatch(/refused.*cents: Instance type "string" is invalid. Expected "number"/s);
    expect(messages.map((one) => one.text).join(), "what went wrong is not part of the conversation").not.toContain(
      "about twelve",
    );
  });

  it("that does not fit three times is asked of the next model", async () => {
    const { ask, models } = await agentSaying({ "m-1": [WRONG, WRONG, WRONG].map(say), "m-2": [say(RIGHT)] }, format);
    const { structuredResponse } = await ask();
    expect(structuredResponse).toEqual(RIGHT);
    expect(models()).toEqual(["m-1", "m-1", "m-1", "m-2"]);
  });

  it("that nobody gives right ends the run as malformed, with what was wrong", async () => {
    const { ask, models } = await agentSaying({ "m-1": [1, 2, 3, 4].map(() => say(WRONG)) }, format);
    await expect(ask()).rejects.toThrow(/cents: Instance type "string" is invalid/);
    expect(models()).toHaveLength(3);
  });
});

it("a structured response from a model that knows of schemas itself is asked for by its provider", async () => {
  const { ask, provider } = await agentSaying({ "gpt-4.1": [WRONG, RIGHT] }, Quarter);
  expect((await ask()).structuredResponse).toEqual(RIGHT);
  expect(provider.requests.map(({ responseFormat }) => responseFormat !== undefined)).toEqual([true, true]);
});

it("where one of the models does not, all are asked for a tool call", async () => {
  const { ask, provider } = await agentSaying(
    { "gpt-4.1": [1, 2, 3].map(() => inTool(WRONG)), "m-2": [inTool(RIGHT)] },
    Quarter,
  );
  expect((await ask()).structuredResponse).toEqual(RIGHT);
  expect(provider.requests.every(({ responseFormat }) => responseFormat === undefined)).toBe(true);
});

describe("an answer that is no structured response", () => {
  it.each([
    ["prose in place of JSON", ways["by the provider"].format, "It went well.", "The answer is no JSON", RIGHT],
    ["prose in place of a call", ways["by a tool"].format, "It went well.", "calls no tool", inTool(RIGHT)],
    [
      "two calls in place of one",
      ways["by a tool"].format,
      calling({ name: "Quarter", args: RIGHT }, { name: "Quarter", args: RIGHT }),
      "give it once",
      inTool(RIGHT),
    ],
  ])("%s is asked for again", async (_, format, wrong, told, right) => {
    const { ask, provider, last } = await agentSaying({ "m-1": [wrong, right] }, format);
    expect((await ask()).structuredResponse).toEqual(RIGHT);
    expect(last(provider.requests[1])).toContain(told);
  });

  it("a call of another tool is carried out, and the response comes after it", async () => {
    for (const { format, say } of [ways["by a tool"], ways["by the provider"]]) {
      const { ask, models } = await agentSaying({ "m-1": [calling("stock"), say(RIGHT)] }, format, {
        tools: [toolNamed("stock", () => "4 left")],
      });
      const { structuredResponse, messages } = await ask();
      expect(structuredResponse).toEqual(RIGHT);
      expect(messages.map((one) => one.text)).toContain("4 left");
      expect(models()).toHaveLength(2);
    }
  });
});

describe("what the agent says of its errors", () => {
  it("in a text or by a function, is what the model is told", async () => {
    const handlers = [() => "Cents are whole numbers.", "Cents are whole numbers."];
    for (const handleError of handlers) {
      const format = toolStrategy(Quarter, { handleError });
      const { ask, provider, last } = await agentSaying({ "m-1": [inTool(WRONG), inTool(RIGHT)] }, format);
      expect((await ask()).structuredResponse).toEqual(RIGHT);
      expect(last(provider.requests[1])).toContain("Cents are whole numbers.");
    }
  });

  it("false, leaves it to the agent: it fails at once", async () => {
    const format = toolStrategy(Quarter, { handleError: false });
    const { ask, models } = await agentSaying({ "m-1": [inTool(WRONG), inTool(RIGHT)] }, format);
    await expect(ask()).rejects.toThrow("Failed to parse structured output");
    expect(models()).toHaveLength(1);
  });
});

it("a response that the validation of the model's own options refuses is malformed as well", async () => {
  const validate = (answer: AIMessage) => (answer.text.includes("Q1") ? "there is no Q1 yet" : undefined);
  const { ask, provider, last } = await agentSaying(
    { "m-1": [RIGHT, { ...RIGHT, quarter: "Q4" }] },
    ways["by the provider"].format,
    { middleware: [resilienceMiddleware({ model: { retry: quick, validate } })] },
  );
  expect((await ask()).structuredResponse).toMatchObject({ quarter: "Q4" });
  expect(last(provider.requests[1])).toContain("there is no Q1 yet");
});

it("the answers of a resilient model are looked at as well", async () => {
  const provider = await providerFor({
    answer: ({ messages }) => inTool(messages.at(-1)?.text.includes("refused") ? RIGHT : WRONG),
  });
  const agent = createAgent({
    model: resilientModel([chatOpenAi(provider.baseUrl)], { retry: quick }),
    middleware: [resilienceMiddleware()],
    responseFormat: toolStrategy(Quarter),
  });
  const { structuredResponse } = await agent.invoke({ messages: [new HumanMessage("How did it go?")] });
  expect(structuredResponse).toEqual(RIGHT);
  expect(provider.requests).toHaveLength(2);
});

it("where another middleware lets the model choose, words are an answer", async () => {
  const free = createMiddleware({
    name: "free",
    wrapModelCall: (request, handler) => handler({ ...request, toolChoice: "auto" }),
  });
  const { ask } = await agentSaying({ "m-1": ["It went well."] }, ways["by a tool"].format, {
    middleware: [free, resilienceMiddleware({ model: { retry: quick } })],
  });
  expect((await ask()).messages.at(-1)?.text).toBe("It went well.");
});

it("left to the agent, an answer that does not fit is fed back without end", async () => {
  const answers = Array.from({ length: 50 }, () => inTool(WRONG));
  const { ask, models } = await agentSaying({ "m-1": answers }, ways["by a tool"].format, {
    middleware: [resilienceMiddleware({ structuredOutput: false })],
  });
  await expect(ask()).rejects.toThrow("Recursion limit");
  expect(models().length).toBeGreaterThan(10);
});
