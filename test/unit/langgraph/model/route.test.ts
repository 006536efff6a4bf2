/** What is made of the models a chain is given, before any of them is asked. */
import { InMemoryCache } from "@langchain/core/caches";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import { ChatOpenAI } from "@langchain/openai";
import { describe, expect, it } from "vitest";
import { ConfigError } from "../../../../src/errors/own-errors.js";
import {
  type ModelRoute,
  type ResilientModelOptions,
  resilientModelSchema,
} from "../../../../src/langgraph/model/model-options.js";
import { resilientModel } from "../../../../src/langgraph/model/resilient-model.js";
import { boundTools, chatModelOf, defineRoutes, type Route } from "../../../../src/langgraph/model/route.js";
import { defineService } from "../../../../src/policies/service.js";

const chat = (model: string, fields: object = {}) => new ChatOpenAI({ model, apiKey: "x", ...fields });

const routesOf = (models: readonly ModelRoute[], options: ResilientModelOptions = {}): readonly Route[] =>
  defineRoutes("resilientModel", models, resilientModelSchema.parse(options));

const namesOf = (...models: readonly ModelRoute[]) => routesOf(models).map(({ name }) => name);

/** What is said of wrong options. */
function refusal(models: unknown, options: unknown = {}): string {
  try {
    resilientModel(models as never, options as never);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error("Nothing was refused");
}

describe("the name of a model", () => {
  it("is its own, or the one it is given", () => {
    expect(namesOf(chat("gpt-4.1"), { model: chat("gpt-4.1-mini"), name: "small" })).toEqual(["gpt-4.1", "small"]);
    expect(namesOf(new FakeListChatModel({ responses: ["x"] }))).toEqual(["FakeListChatModel"]);
  });

  it("is its own also where something is bound to it", () => {
    expect(namesOf(chat("gpt-4.1").bindTools([]), chat("o3").withConfig({ tags: ["a"] }))).toEqual(["gpt-4.1", "o3"]);
  });

  it("is numbered where two have the same", () => {
    expect(namesOf(chat("m"), chat("m"), chat("m"))).toEqual(["m", "m #2", "m #3"]);
    expect(namesOf({ model: chat("m"), name: "n" }, chat("n"))).toEqual(["n", "n #2"]);
  });

  it("never is that of something else in a ladder", () => {
    expect(namesOf(chat("node"), chat("stale"))).toEqual(["node #2", "stale #2"]);
  });

  it("cannot be given twice", () => {
    const twice = [1, 2].map(() => ({ model: chat("m"), name: "mine" }));
    expect(refusal(twice)).toBe('resilientModel: two models are called "mine"; give each a "name" of its own');
  });
});

describe("options that will not do", () => {
  const model = chat("m");

  it.each<[string, unknown, unknown, RegExp]>([
    ["no list", model, {}, /^resilientModel: expected a list of one or more chat models/],
    ["an empty list", [], {}, /^resilientModel: expected a list of one or more chat models/],
    [
      "something else than a model",
      [42],
      {},
      /^resilientModel, model 1: expected a LangChain chat model, .*got a number/,
    ],
    [
      "the name of a model",
      ["gpt-4.1"],
      {},
      /^resilientModel, model 1: expected a LangChain chat model, .*got a string/,
    ],
    ["a chain", [model, model.pipe(new StringOutputParser())], {}, /^resilientModel, model 2: .*/],
    ["an unknown option of a model", [{ model, retries: 3 }], {}, /model 1: .*retries/],
    ["a wrong size", [{ model, contextTokens: -5 }], {}, /model 1: option "contextTokens" is -5: /],
    ["no tasks", [{ model, tasks: [] }], {}, /model 1: option "tasks" is \[\]: /],
    ["an unknown category", [{ model, when: ["bad_luck"] }], {}, /model 1: option "when.0" is "bad_luck": /],
    ["an unknown transport", [{ model, transport: "pigeon" }], {}, /model 1: option "transport" is "pigeon": /],
    ["an unknown finishReason", [{ model, finishReason: "maybe" }], {}, /option "finishReason" is "maybe": /],
    ["a wrong service", [{ model, service: 7 }], {}, /option "service" is 7: must be the name of a service/],
    [
      "a wrong retry of a model",
      [{ model, retry: { maxAttempts: 0 } }],
      {},
      /model "m", retry: option "maxAttempts" is 0: /,
    ],
    [
      "a wrong timeout of a model",
      [{ model, timeout: { idleMs: -1 } }],
      {},
      /model "m", timeout: option "idleMs" is -1: /,
    ],
    ["a wrong retry", [model], { retry: { patienceMs: -1 } }, /model "m", retry: option "patienceMs" is -1: /],
    ["a retry that is no options", [model], { retry: true }, /option "retry" is true: /],
    ["a deadline of one model", [{ model, timeout: { deadlineMs: 9 } }], {}, /"deadlineMs" is for the whole call/],
    ["an unknown option", [model], { fallbacks: [] }, /^resilientModel: .*fallbacks/],
    ["a wrong budget", [model], { budget: { maxTokens: 0 } }, /^resilientModel: option "budget.maxTokens" is 0: /],
    ["an empty task type", [model], { taskType: "" }, /^resilientModel: option "taskType" is "": /],
    ["an unknown way to stream", [model], { streaming: "fast" }, /^resilientModel: option "streaming" is "fast": /],
    ["a validator that is none", [model], { validate: "yes" }, /option "validate" is "yes": must be a function/],
    ["a clock that is none", [model], { clock: 1 }, /option "clock" is 1: must be a clock/],
  ])("are refused at once, by name and value: %s", (_what, models, options, said) => {
    expect(refusal(models, options)).toMatch(said);
  });

  it("are guards beside a service that has its own", () => {
    const service = defineService("guards beside it");
    expect(refusal([{ model, service, bulkhead: { maxConcurrent: 1 } }])).toMatch(
      /^resilientModel, model "m": option "bulkhead" is given beside the service "guards beside it"/,
    );
  });

  it("are tools for a model that cannot be given any", () => {
    const made = resilientModel([chat("m"), new FakeListChatModel({ responses: ["x"] })]);
    Object.defineProperty(chatModelOf(made.chain.models[1]?.model), "bindTools", { value: undefined });
    expect(() => made.bindTools([])).toThrow(
      'resilientModel(m): model "FakeListChatModel" cannot have tools bound to it',
    );
  });
});

describe("how patient a model is", () => {
  it("depends on whether another is left", () => {
    const [first, last] = routesOf([chat("a"), chat("b")]);
    expect(first?.timeout).toMatchObject({ firstTokenMs: 15_000, idleMs: 15_000, baseMs: 300_000 });
    expect(last?.timeout).toMatchObject({ firstTokenMs: 30_000, idleMs: 30_000 });
    expect([first?.retry.maxAttempts, first?.retry.patienceMs]).toEqual([3, 5000]);
    expect([last?.retry.maxAttempts, last?.retry.patienceMs]).toEqual([4, undefined]);
    expect([first?.service === undefined, last?.service === undefined]).toEqual([false, true]);
  });

  it("depends on whether another serves the same task type", () => {
    const routes = routesOf([
      { model: chat("a"), tasks: ["x"] },
      { model: chat("b"), tasks: ["y", "x"] },
      { model: chat("c"), tasks: ["z"] },
    ]);
    const last = routes.map(({ service }) => service === undefined);
    expect(last).toEqual([false, true, true]);
  });

  it.each(["o3", "o4-mini", "gpt-5", "gpt-5-nano", "deepseek-reasoner", "qwen3-thinking", "deepseek-r1", "QwQ-32B"])(
    "is four times as patient with %s, which thinks first",
    (name) => {
      expect(routesOf([chat(name), chat("b")])[0]?.timeout).toMatchObject({ firstTokenMs: 60_000, idleMs: 60_000 });
    },
  );

  it.each(["gpt-4.1", "gpt-4o", "claude-sonnet-4-5", "mistral-large", "llama-3.3-70b"])("is not so with %s", (name) => {
    expect(routesOf([chat(name), chat("b")])[0]?.timeout).toMatchObject({ firstTokenMs: 15_000 });
  });

  it("is a minute for a whole answer, of which nothing is heard before", () => {
    const [first] = routesOf([{ model: chat("a"), transport: "whole" }, chat("b")]);
    expect(first?.timeout).toMatchObject({ baseMs: 60_000, maxMs: 60_000 });
    expect(first?.retry.categories.timeout).toEqual({ retries: 0 });
  });

  it("is what is said for the model, then what is said for all, then the default", () => {
    const [a, b, c] = routesOf(
      [
        { model: chat("a"), retry: { maxAttempts: 7 }, timeout: { idleMs: 1 } },
        { model: chat("b"), retry: false, timeout: false },
        chat("c"),
      ],
      {
        retry: { maxAttempts: 9, categories: { network: { retries: 8 } } },
        timeout: { firstTokenMs: 2, deadlineMs: 3 },
      },
    );
    expect(a?.retry).toMatchObject({ maxAttempts: 7, initialDelayMs: 500, categories: { network: { retries: 8 } } });
    expect(a?.retry.categories.timeout).toEqual({ retries: 1 });
    expect(a?.timeout).toMatchObject({ idleMs: 1, firstTokenMs: 2, baseMs: 300_000 });
    expect(a?.timeout).not.toHaveProperty("deadlineMs", 3);
    expect([b?.retry.maxAttempts, b?.timeout]).toEqual([1, false]);
    expect(c?.retry.maxAttempts).toBe(9);
  });
});

describe("how an answer is fetched", () => {
  it.each<[string, ModelRoute, boolean]>([
    ["in pieces", chat("m"), true],
    ["whole where it is told to", { model: chat("m"), transport: "whole" }, false],
    ["whole where several answers are asked for", chat("m", { n: 2 }), false],
    ["whole where streaming is off", chat("m", { disableStreaming: true }), false],
    ["whole where answers are cached", chat("m", { cache: new InMemoryCache() }), false],
    ["in pieces where it is told to, n or not", { model: chat("m", { n: 2 }), transport: "stream" }, true],
  ])("%s", (_how, route, streams) => {
    expect(routesOf([route])[0]?.streams).toBe(streams);
  });

  it("needs a finish reason of a provider known to give one", () => {
    const fake = new FakeListChatModel({ responses: ["x"] });
    const routes = routesOf([
      chat("m"),
      { model: chat("n"), finishReason: "optional" },
      fake,
      { model: fake, finishReason: "required" },
    ]);
    expect(routes.map(({ needsFinishReason }) => needsFinishReason)).toEqual([true, false, false, true]);
  });
});

it("finds the tools that were bound before, however deep", () => {
  const named = { type: "function", function: { name: "search", parameters: {} } } as const;
  const bound = chat("m")
    .bindTools([named])
    .withConfig({ tags: ["a"] });
  expect(boundTools(bound)).toMatchObject([{ function: { name: "search" } }]);
  expect(boundTools(chat("m"))).toEqual([]);
  expect(chatModelOf(bound)).toBeInstanceOf(ChatOpenAI);
  expect(chatModelOf({ bound: { bound: {} } })).toBeUndefined();
});
