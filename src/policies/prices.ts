import { z } from "zod";
import { parseOptions } from "../core/options.js";
import { ConfigError } from "../errors/own-errors.js";
import { type ModelUsage, roundUsd } from "./usage.js";

const modelPriceSchema = z.strictObject({
  /** USD per million input tokens. */
  input: z.number().min(0),
  /** USD per million input tokens that came from the provider's cache; default: as `input`. */
  cachedInput: z.number().min(0).optional(),
  /** USD per million output tokens, reasoning included. */
  output: z.number().min(0),
});

export type ModelPrice = z.input<typeof modelPriceSchema>;

/**
 * Standard prices of OpenAI, in USD per million tokens: https://developers.openai.com/api/docs/pricing, as of November
 * 2026. Not in it: batch, flex and priority tiers, the surcharge on requests of more than 272,000 input tokens, what
 * writing to the cache costs, and tools that are billed by the call.
 */
const prices = new Map<string, ModelPrice>([
  ["gpt-6.2-astra", { input: 8, cachedInput: 0.4, output: 40 }],
  ["gpt-6.2-sol", { input: 2, output: 10 }],
  ["gpt-6.1-sol", { input: 2, cachedInput: 0.1, output: 10 }],
  ["gpt-6-astra", { input: 10, cachedInput: 1, output: 50 }],
  ["gpt-6-sol", { input: 2, cachedInput: 0.2, output: 10 }],
  ["gpt-6-luna", { input: 0.1, cachedInput: 0.01, output: 0.5 }],
  ["gpt-5.6-sol", { input: 4, cachedInput: 0.4, output: 20 }],
  ["gpt-5.6-terra", { input: 2, cachedInput: 0.2, output: 12 }],
  ["gpt-5.6-luna", { input: 0.2, cachedInput: 0.02, output: 1.2 }],
  ["gpt-5.5", { input: 5, cachedInput: 0.5, output: 30 }],
  ["gpt-5.5-pro", { input: 30, output: 180 }],
  ["gpt-5.4", { input: 2.5, cachedInput: 0.25, output: 15 }],
  ["gpt-5.4-mini", { input: 0.75, cachedInput: 0.075, output: 4.5 }],
  ["gpt-5.4-nano", { input: 0.2, cachedInput: 0.02, output: 1.25 }],
  ["gpt-5.4-pro", { input: 30, output: 180 }],
  ["gpt-5.3-codex", { input: 1.75, cachedInput: 0.175, output: 14 }],
  ["gpt-5.2", { input: 1.75, cachedInput: 0.175, output: 14 }],
  ["gpt-5.2-codex", { input: 1.75, cachedInput: 0.175, output: 14 }],
  ["gpt-5.1", { input: 1.25, cachedInput: 0.125, output: 10 }],
  ["gpt-5", { input: 1.25, cachedInput: 0.125, output: 10 }],
  ["gpt-5-mini", { input: 0.25, cachedInput: 0.025, output: 2 }],
  ["gpt-5-nano", { input: 0.05, cachedInput: 0.005, output: 0.4 }],
  ["gpt-5-pro", { input: 15, output: 120 }],
  ["gpt-5-codex", { input: 1.25, cachedInput: 0.125, output: 10 }],
  ["gpt-4.1", { input: 2, cachedInput: 0.5, output: 8 }],
  ["gpt-4.1-mini", { input: 0.4, cachedInput: 0.1, output: 1.6 }],
  ["gpt-4.1-nano", { input: 0.1, cachedInput: 0.025, output: 0.4 }],
  ["gpt-4o", { input: 2.5, cachedInput: 1.25, output: 10 }],
  ["gpt-4o-2024-05-13", { input: 5, output: 15 }],
  ["gpt-4o-mini", { input: 0.15, cachedInput: 0.075, output: 0.6 }],
  ["gpt-4-turbo", { input: 10, output: 30 }],
  ["gpt-4", { input: 30, output: 60 }],
  ["gpt-3.5-turbo", { input: 0.5, output: 1.5 }],
  ["o1", { input: 15, cachedInput: 7.5, output: 60 }],
  ["o3", { input: 2, cachedInput: 0.5, output: 8 }],
  ["o3-pro", { input: 20, output: 80 }],
  ["o3-mini", { input: 1.1, cachedInput: 0.55, output: 4.4 }],
  ["o4-mini", { input: 1.1, cachedInput: 0.275, output: 4.4 }],
]);

/** The date of a snapshot at the end of a model's name: `-2025-04-14`, `-20250414`. */
const SNAPSHOT_DATE = /-\d{4}-?\d{2}-?\d{2}$/;

/**
 * Adds a model to the price table, or replaces what it costs; for the whole process, and for calls from now on.
 *
 * @param model the name the provider answers with; it also stands for its dated snapshots that have no price of their own
 * @param price USD per million tokens
 * @returns a function that puts back what the model cost before; it changes nothing once another price has been defined
 * @throws ConfigError for an empty name, or a price that is negative or no number
 */
export function definePrice(model: string, price: ModelPrice): () => void {
  if (typeof model !== "string" || model === "") throw new ConfigError("definePrice() needs the name of a model");
  const defined = parseOptions(`definePrice("${model}")`, modelPriceSchema, price);
  const before = prices.get(model);
  prices.set(model, defined as ModelPrice);
  return () => {
    if (prices.get(model) !== defined) return;
    if (before === undefined) prices.delete(model);
    else prices.set(model, before);
  };
}

/**
 * What a model costs: by its name, or, for a dated snapshot (`gpt-4.1-2025-04-14`), by its name without the date. No
 * other likeness counts: `gpt-4o-audio-preview` does not cost what `gpt-4o` does.
 *
 * @returns undefined when no price is known
 */
export function priceOf(model: string): ModelPrice | undefined {
  return prices.get(model) ?? prices.get(model.replace(SNAPSHOT_DATE, ""));
}

/**
 * What a model call cost, in USD.
 *
 * @returns undefined when the model's price is not known
 */
export function costOf(usage: Omit<ModelUsage, "totalTokens">): number | undefined {
  const price = priceOf(usage.model);
  if (price === undefined) return undefined;
  const cached = Math.min(usage.cachedInputTokens, usage.inputTokens);
  const perMillion =
    (usage.inputTokens - cached) * price.input +
    cached * (price.cachedInput ?? price.input) +
    usage.outputTokens * price.output;
  return roundUsd(perMillion / 1_000_000);
}
