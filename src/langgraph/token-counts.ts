/** What LangChain's integrations report of a model call, read with care: each provider fills it in its own way. */
import type { ModelUsage } from "../policies/usage.js";

export type Tokens = Pick<ModelUsage, "inputTokens" | "outputTokens" | "cachedInputTokens" | "totalTokens">;

export const NO_TOKENS: Tokens = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, totalTokens: 0 };

/** A generation, or a piece of one. */
export interface GenerationLike {
  readonly message?: {
    readonly usage_metadata?: {
      readonly input_tokens?: unknown;
      readonly output_tokens?: unknown;
      readonly total_tokens?: unknown;
      readonly input_token_details?: { readonly cache_read?: unknown } | null;
    } | null;
    readonly response_metadata?: { readonly model_name?: unknown; readonly model?: unknown };
  };
  readonly generationInfo?: { readonly model_name?: unknown };
}

/** @returns undefined when the provider did not say */
export function tokensOf(generation: GenerationLike | undefined): Tokens | undefined {
  const { input_tokens, output_tokens, total_tokens, input_token_details } = generation?.message?.usage_metadata ?? {};
  return tokens(input_tokens, output_tokens, total_tokens, input_token_details?.cache_read);
}

/** Of a language model that is no chat model. What all its prompts used comes with the first, and `{}` with the others. */
export function tokensOfOutput(llmOutput: Readonly<Record<string, unknown>> | undefined): Tokens | undefined {
  const usage = llmOutput?.tokenUsage as Record<string, unknown> | undefined;
  if (!usage) return undefined;
  if (Object.keys(usage).length === 0) return NO_TOKENS;
  return tokens(usage.promptTokens, usage.completionTokens, usage.totalTokens, undefined);
}

/** The model that answered, as the provider names it. */
export function modelOf(generation: GenerationLike | undefined): string | undefined {
  const { model_name, model } = generation?.message?.response_metadata ?? {};
  return firstText(model_name, model, generation?.generationInfo?.model_name);
}

/** The model that was asked, from what LangChain tells when a call begins. */
export function requestedModel(
  extra: Readonly<Record<string, unknown>> | undefined,
  metadata: Readonly<Record<string, unknown>> | undefined,
): string {
  const parameters = extra?.invocation_params as { model?: unknown; model_name?: unknown } | undefined;
  return firstText(metadata?.ls_model_name, parameters?.model, parameters?.model_name) ?? "";
}

export function plus(a: Tokens, b: Tokens): Tokens {
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    cachedInputTokens: a.cachedInputTokens + b.cachedInputTokens,
    totalTokens: a.totalTokens + b.totalTokens,
  };
}

/** Never negative. */
export function minus(a: Tokens, b: Tokens): Tokens {
  return {
    inputTokens: Math.max(0, a.inputTokens - b.inputTokens),
    outputTokens: Math.max(0, a.outputTokens - b.outputTokens),
    cachedInputTokens: Math.max(0, a.cachedInputTokens - b.cachedInputTokens),
    totalTokens: Math.max(0, a.totalTokens - b.totalTokens),
  };
}

function tokens(input: unknown, output: unknown, total: unknown, cached: unknown): Tokens | undefined {
  if (![input, output, total].some(isCount)) return undefined;
  const inputTokens = countOf(input);
  const outputTokens = countOf(output);
  return {
    inputTokens,
    outputTokens,
    cachedInputTokens: Math.min(countOf(cached), inputTokens),
    totalTokens: Math.max(countOf(total), inputTokens + outputTokens),
  };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function countOf(value: unknown): number {
  return isCount(value) ? value : 0;
}

function firstText(...candidates: readonly unknown[]): string | undefined {
  return candidates.find((candidate): candidate is string => typeof candidate === "string" && candidate !== "");
}
