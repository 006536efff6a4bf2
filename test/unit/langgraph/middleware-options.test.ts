/** What the middleware for agents refuses at once, and what its types know. */
import { fakeModel } from "@langchain/core/testing";
import { tool } from "@langchain/core/tools";
import { createAgent } from "langchain";
import { describe, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { type ResilienceMiddlewareOptions, resilienceMiddleware } from "../../../src/entries/langchain.js";

const refusals: readonly [why: string, options: unknown, message: RegExp][] = [
  ["an option that there is not", { modle: {} }, /resilienceMiddleware\(\): Unrecognized key: "modle"/],
  ["an empty name", { name: "" }, /option "name" is ""/],
  ["a mode that there is not", { onToolFailure: "ignore" }, /option "onToolFailure" is "ignore"/],
  ["too many attempts at a tool", { tools: { retry: { maxAttempts: 0 } } }, /option "tools.retry.maxAttempts" is 0/],
  ["an option of another tool", { byTool: { stock: { retry: 3 } } }, /byTool.stock: option "retry" is 3/],
  ["an outdated answer without a cache", { tools: { fallback: ["stale"] } }, /"stale" needs a cache/],
  [
    "two fallbacks of one name",
    { byTool: { stock: { fallback: [1, 2].map(() => ({ name: "same", run: () => "" })) } } },
    /two fallback steps are called "same"/,
  ],
  ["a cache of a tool", { tools: { cache: { ttlMs: 1000 } } }, /Unrecognized key: "cache"/],
  ["too many attempts at a model", { model: { retry: { maxAttempts: 0 } } }, /option "model.retry.maxAttempts" is 0/],
  [
    "a patience with the agent's own model",
    { primary: { timeout: { baseMs: -1 } } },
    /option "primary.timeout.baseMs"/,
  ],
  ["what is no model", { fallbacks: [7] }, /option "fallbacks.0" is 7: must be a chat model, its name/],
  ["an object that is no model", { fallbacks: [{ text: "hello" }] }, /option "model" is undefined/],
  ["a budget without a limit's name", { budget: { usd: 1 } }, /Unrecognized key: "usd"/],
];

describe("the middleware refuses at once", () => {
  it.each(refusals)("%s", (_, options, message) => {
    expect(() => resilienceMiddleware(options as ResilienceMiddlewareOptions)).toThrow(message);
    expect(() => resilienceMiddleware(options as ResilienceMiddlewareOptions)).toThrow(
      expect.objectContaining({ code: "CONFIG" }),
    );
  });
});

it("it has hooks for what it protects, and for nothing else", () => {
  const hooks = (options: ResilienceMiddlewareOptions) =>
    Object.entries(resilienceMiddleware(options)).flatMap(([key, value]) => (typeof value === "function" ? [key] : []));
  expect(hooks({})).toEqual(["wrapToolCall", "wrapModelCall"]);
  expect(hooks({ model: false })).toEqual(["wrapToolCall"]);
  expect(hooks({ tools: false })).toEqual(["wrapModelCall"]);
  expect(hooks({ tools: false, byTool: { stock: {} } })).toEqual(["wrapToolCall", "wrapModelCall"]);
});

it("an agent may have two of them by names of their own", () => {
  const two = ["for models", "for tools"].map((name) => resilienceMiddleware({ name }));
  expect(() => createAgent({ model: fakeModel(), middleware: two })).not.toThrow();
  expect(() => createAgent({ model: fakeModel(), middleware: [...two, ...two] })).toThrow("multiple times");
});

it("an agent's types are what they were", () => {
  const Quarter = z.object({ cents: z.number() });
  const stock = tool(() => "4 left", { name: "stock", description: "stock", schema: z.object({}) });
  const agent = createAgent({
    model: fakeModel(),
    tools: [stock],
    responseFormat: Quarter,
    stateSchema: z.object({ note: z.string() }),
    middleware: [resilienceMiddleware()],
  });
  type Result = Awaited<ReturnType<typeof agent.invoke>>;
  expectTypeOf<Result["structuredResponse"]>().toEqualTypeOf<{ cents: number }>();
  expectTypeOf<Result["note"]>().toEqualTypeOf<string>();
});

it("options are typed: wrong ones do not compile", () => {
  // @ts-expect-error: no such mode
  const mode: ResilienceMiddlewareOptions = { onToolFailure: "ignore" };
  // @ts-expect-error: a fallback of a tool answers with text, a message or a command
  const fallback: ResilienceMiddlewareOptions = { tools: { fallback: [{ name: "f", run: () => 7 }] } };
  // @ts-expect-error: whether a model answers for a failure is a question for those after the first
  const primary: ResilienceMiddlewareOptions = { primary: { when: ["network"] } };
  expect([mode, fallback, primary]).toHaveLength(3);
});
