/**
 * Every status and every code that the table knows, as the vendors document them, sent by a real server and read by the
 * real clients. OpenAI: platform.openai.com/docs/guides/error-codes. Azure OpenAI: learn.microsoft.com/azure/ai-foundry/
 * openai/concepts/content-filter and /how-to/quota. Anthropic: docs.anthropic.com/en/api/errors. OpenRouter:
 * openrouter.ai/docs/api-reference/errors. Google: ai.google.dev/gemini-api/docs/troubleshooting.
 */
import { describe, expect, it } from "vitest";
import type { Category } from "../../../src/errors/categories.js";
import { classifyError } from "../../../src/errors/classify.js";
import { failureOf } from "./failing.js";
import { chatOpenAi, provider, type Reply, WAYS } from "./provider-server.js";

const server = provider();

const openAi = (message: string, type: string, code: string | null = null, more: object = {}) => ({
  error: { message, type, param: null, code, ...more },
});
const anthropic = (type: string, message: string) => ({ type: "error", error: { type, message } });
const html = (title: string): Partial<Reply> => ({
  headers: { "content-type": "text/html" },
  body: `<html><head><title>${title}</title></head></html>`,
});

type Row = readonly [what: string, reply: Reply & { readonly status: number }, category: Category];

const coded: readonly Row[] = [
  [
    "400 with a value out of range",
    { status: 400, body: openAi("Invalid 'temperature'", "invalid_request_error", "decimal_above_max_value") },
    "invalid_input",
  ],
  [
    "400 context_length_exceeded",
    {
      status: 400,
      body: openAi(
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
        "invalid_request_error",
        "context_length_exceeded",
      ),
    },
    "context_length",
  ],
  [
    "400 of Anthropic for a prompt that is too long",
    { status: 400, body: anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum") },
    "context_length",
  ],
  [
    "413 request_too_large of Anthropic",
    { status: 413, body: anthropic("request_too_large", "Request exceeds the maximum allowed number of bytes.") },
    "context_length",
  ],
  [
    "400 content_filter of Azure",
    {
      status: 400,
      body: openAi(
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "invalid_request_error",
        "content_filter",
        { innererror: { code: "ResponsibleAIPolicyViolation" } },
      ),
    },
    "content_policy",
  ],
  [
    "400 content_policy_violation",
    {
      status: 400,
      body: openAi("Your request was rejected", "image_generation_user_error", "content_policy_violation"),
    },
    "content_policy",
  ],
  [
    "400 invalid_prompt",
    {
      status: 400,
      body: openAi(
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
        "invalid_request_error",
        "invalid_prompt",
      ),
    },
    "content_policy",
  ],
  [
    "401 invalid_api_key",
    { status: 401, body: openAi("Incorrect API key provided: test.", "invalid_request_error", "invalid_api_key") },
    "auth",
  ],
  ["401 authentication_error", { status: 401, body: anthropic("authentication_error", "invalid x-api-key") }, "auth"],
  ["402 of OpenRouter", { status: 402, body: { error: { code: 402, message: "Insufficient credits" } } }, "quota"],
  [
    "403 unsupported region",
    {
      status: 403,
      body: openAi("Country not supported", "request_forbidden", "unsupported_country_region_territory"),
    },
    "permission",
  ],
  [
    "404 model_not_found",
    {
      status: 404,
      body: openAi(
        "The model `gpt-9` does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
      ),
    },
    "model_unavailable",
  ],
  [
    "404 DeploymentNotFound of Azure",
    { status: 404, body: { error: { code: "DeploymentNotFound", message: "The API deployment does not exist." } } },
    "model_unavailable",
  ],
  [
    "404 of Anthropic for a model",
    { status: 404, body: anthropic("not_found_error", "model: claude-0") },
    "model_unavailable",
  ],
  [
    "404 of an unknown address",
    { status: 404, body: openAi("Invalid URL (POST /v1/chat)", "invalid_request_error", "unknown_url") },
    "not_found",
  ],
  [
    "429 rate_limit_exceeded",
    {
      status: 429,
      body: openAi("Rate limit reached for gpt-4.1 on requests per min", "requests", "rate_limit_exceeded"),
    },
    "rate_limit",
  ],
  [
    "429 rate_limit_exceeded that mentions the billing page",
    {
      status: 429,
      body: openAi(
        "Rate limit reached for gpt-4.1. You can increase your rate limit by adding a payment method to your account at https://platform.openai.com/account/billing.",
        "requests",
        "rate_limit_exceeded",
      ),
    },
    "rate_limit",
  ],
  [
    "429 rate_limit_error",
    { status: 429, body: anthropic("rate_limit_error", "Number of tokens exceeded") },
    "rate_limit",
  ],
  [
    "429 insufficient_quota",
    {
      status: 429,
      body: openAi(
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
      ),
    },
    "quota",
  ],
  [
    "429 insufficient_quota in the code alone",
    { status: 429, body: openAi("No credit left.", "requests", "insufficient_quota") },
    "quota",
  ],
  [
    "429 billing_hard_limit_reached",
    {
      status: 429,
      body: openAi("Billing hard limit has been reached", "invalid_request_error", "billing_hard_limit_reached"),
    },
    "quota",
  ],
  [
    "429 of Google that says when to come back",
    {
      status: 429,
      headers: { "retry-after": "25" },
      body: {
        error: {
          code: 429,
          message: "You exceeded your current quota, please check your plan and billing details.",
          status: "RESOURCE_EXHAUSTED",
        },
      },
    },
    "rate_limit",
  ],
  ["500 server_error", { status: 500, body: openAi("The server had an error", "server_error") }, "server_error"],
  ["500 api_error", { status: 500, body: anthropic("api_error", "Internal server error") }, "server_error"],
  ["502 as a page", { status: 502, ...html("502 Bad Gateway") }, "server_error"],
  [
    "503 overloaded",
    { status: 503, body: openAi("The engine is currently overloaded", "server_error") },
    "server_error",
  ],
  [
    "503 of Google",
    { status: 503, body: { error: { code: 503, message: "The model is overloaded.", status: "UNAVAILABLE" } } },
    "server_error",
  ],
  ["504 as a page", { status: 504, ...html("504 Gateway Time-out") }, "server_error"],
  ["529 overloaded_error", { status: 529, body: anthropic("overloaded_error", "Overloaded") }, "server_error"],
];

const bare: readonly (readonly [status: number, category: Category])[] = [
  [400, "invalid_input"],
  [401, "auth"],
  [402, "quota"],
  [403, "permission"],
  [405, "invalid_input"],
  [408, "timeout"],
  [409, "conflict"],
  [410, "not_found"],
  [413, "invalid_input"],
  [415, "invalid_input"],
  [422, "invalid_input"],
  [423, "conflict"],
  [425, "server_error"],
  [429, "rate_limit"],
  [500, "server_error"],
  [501, "invalid_input"],
  [502, "server_error"],
  [503, "server_error"],
  [504, "server_error"],
  [505, "invalid_input"],
  [520, "server_error"],
  [529, "server_error"],
];

describe.each(WAYS)("an error answer through %s", (_way, ask) => {
  it.each(coded)("%s is classified by what the provider says", async (_what, reply, category) => {
    server.reply = reply;
    expect(classifyError(await failureOf(() => ask(server.baseUrl)))).toMatchObject({ category, status: reply.status });
  });

  it.each(bare)("%i without a body is %s", async (status, category) => {
    server.reply = { status, body: "" };
    expect(classifyError(await failureOf(() => ask(server.baseUrl)))).toMatchObject({ category, status });
  });

  it("keeps the provider's own code, who said it, and no link to a manual", async () => {
    server.reply = {
      status: 404,
      body: openAi("The model does not exist.", "invalid_request_error", "model_not_found"),
    };
    expect(classifyError(await failureOf(() => ask(server.baseUrl)))).toEqual({
      category: "model_unavailable",
      retryable: false,
      status: 404,
      code: "model_not_found",
      provider: "openai",
      message: "404 The model does not exist.",
    });
  });

  it.each([
    ["Retry-After in seconds", { "retry-after": "7" }, "Rate limit reached", 7000, 7000],
    ["Retry-After as an HTTP date", { "retry-after": new Date(Date.now() + 90_000).toUTCString() }, "", 1, 90_000],
    ["retry-after-ms", { "retry-after-ms": "1500", "retry-after": "7" }, "Rate limit reached", 1500, 7000],
    ["OpenAI's words", {}, "Rate limit reached. Please try again in 1m30.5s.", 90_500, 90_500],
    ["Azure's words", {}, "Requests have exceeded call rate limit. Please retry after 6 seconds.", 6000, 6000],
  ])("is waited for as %s asks", async (_what, headers, message, atLeastMs, atMostMs) => {
    server.reply = {
      status: 429,
      headers: headers as Record<string, string>,
      body: openAi(message, "requests", "rate_limit_exceeded"),
    };
    const { category, retryAfterMs } = classifyError(await failureOf(() => ask(server.baseUrl)));
    expect(category).toBe("rate_limit");
    expect(retryAfterMs).toBeGreaterThanOrEqual(atLeastMs);
    expect(retryAfterMs).toBeLessThanOrEqual(atMostMs);
  });
});

it("a 404 that names neither model nor address is a missing model to ChatOpenAI alone, which says so of every 404", async () => {
  server.reply = { status: 404, body: "" };
  const categories = [];
  for (const [, ask] of WAYS) categories.push(classifyError(await failureOf(() => ask(server.baseUrl))).category);
  expect(categories).toEqual(["model_unavailable", "model_unavailable", "not_found", "not_found"]);
});

it("a spent quota that only LangChain's caller recognizes is a quota", async () => {
  server.reply = { status: 429, body: openAi("Your credit balance is too low", "requests") };
  expect(classifyError(await failureOf(() => chatOpenAi(server.baseUrl).invoke("hello")))).toMatchObject({
    category: "quota",
  });
});
