import { describe, expect, it, onTestFinished } from "vitest";
import { costOf, definePrice, type ModelPrice, priceOf } from "../../../src/policies/prices.js";
import { call } from "../../support/spending.js";

const define = (model: string, price: ModelPrice) => {
  const undo = definePrice(model, price);
  onTestFinished(undo);
  return undo;
};

describe("the price of a model", () => {
  it.each([
    ["gpt-4.1", 2],
    ["gpt-4.1-mini", 0.4],
    ["gpt-4.1-mini-2025-04-14", 0.4],
    ["gpt-4.1-2025-04-14", 2],
    ["gpt-4o-20241120", 2.5],
  ])("of %s is %d USD per million input tokens", (model, input) => {
    expect(priceOf(model)?.input).toBe(input);
  });

  it("of a snapshot that has one of its own is its own", () => {
    expect(priceOf("gpt-4o-2024-05-13")).toEqual({ input: 5, output: 15 });
  });

  it.each([
    "gpt-4o-audio-preview",
    "gpt-4-32k",
    "gpt-5.9",
    "ft:gpt-4.1-2025-04-14:acme::abc",
    "openai/gpt-4.1",
    "offline-gpt-4.1",
    "2025-04-14",
    "-2025-04-14",
    "",
    "__proto__",
    "constructor",
  ])("of %j is not known, however it resembles another", (model) => {
    expect(priceOf(model)).toBeUndefined();
    expect(costOf(call(1, 1, model))).toBeUndefined();
  });
});

describe("a model call", () => {
  it("costs its input and its output", () => {
    expect(costOf(call(1_000_000, 500_000))).toBe(2 + 4);
  });

  it("of one token costs what it costs, not zero", () => {
    expect(costOf(call(1, 0, "gpt-5-nano"))).toBe(0.00000005);
  });

  it("costs less for input that came from the cache", () => {
    expect(costOf({ ...call(1_000_000, 0), cachedInputTokens: 400_000 })).toBe(0.6 * 2 + 0.4 * 0.5);
  });

  it("costs the full price for cached input where none is known", () => {
    expect(costOf({ ...call(1_000_000, 0, "gpt-4"), cachedInputTokens: 400_000 })).toBe(30);
  });

  it("never costs less than nothing, whatever the provider reports", () => {
    expect(costOf({ ...call(10, 0), cachedInputTokens: 1_000_000 })).toBe(0.000005);
  });
});

describe("defining a price", () => {
  it("adds a model, with its snapshots, and undoing takes it away", () => {
    const undo = define("house-1", { input: 1, output: 3 });
    expect(costOf(call(1_000_000, 1_000_000, "house-1-2026-01-31"))).toBe(4);
    undo();
    expect(priceOf("house-1")).toBeUndefined();
    undo();
    expect(priceOf("house-1")).toBeUndefined();
  });

  it("replaces one, and undoing brings it back", () => {
    const before = priceOf("gpt-4.1");
    const undo = define("gpt-4.1", { input: 0, output: 0 });
    expect(costOf(call(5, 5))).toBe(0);
    undo();
    expect(priceOf("gpt-4.1")).toEqual(before);
  });

  it("is not undone by who has been replaced since", () => {
    const undo = define("house-1", { input: 1, output: 1 });
    define("house-1", { input: 2, output: 2 });
    undo();
    expect(priceOf("house-1")?.input).toBe(2);
  });

  it.each([
    [{ input: -1, output: 1 }, /option "input" is -1/],
    [{ input: Number.NaN, output: 1 }, /option "input"/],
    [{ input: 1 }, /option "output"/],
    [{ input: 1, output: 1, cached: 1 }, /cached/],
  ])("as %j is refused by naming what is wrong", (price, message) => {
    expect(() => definePrice("house-1", price as ModelPrice)).toThrow(message);
    expect(priceOf("house-1")).toBeUndefined();
  });

  it("without a name is refused", () => {
    expect(() => definePrice("", { input: 1, output: 1 })).toThrow(
      expect.objectContaining({ code: "CONFIG", message: "definePrice() needs the name of a model" }),
    );
  });
});
