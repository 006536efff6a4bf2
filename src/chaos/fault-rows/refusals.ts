/** Faults that are an HTTP error with a body. */
import { STATUS_CODES } from "node:http";
import { z } from "zod";
import { promptTokens } from "../chat-response.js";
import { answerFully, type Exchange, sendError, sendJson } from "../exchange.js";
import type { FaultRows, FilterReason } from "../fault.js";

/** OpenAI's own `type` and `code` for the statuses it documents: https://platform.openai.com/docs/guides/error-codes */
const STATUS_ERRORS: Readonly<Record<number, { readonly type: string; readonly code: string | null }>> = {
  401: { type: "invalid_request_error", code: "invalid_api_key" },
  403: { type: "invalid_request_error", code: "unsupported_country_region_territory" },
  404: { type: "invalid_request_error", code: "model_not_found" },
  429: { type: "requests", code: "rate_limit_exceeded" },
};

/** Limit that a refusal names unless told otherwise: that of GPT-4 in 2023, whose message this is. */
const CONTEXT_TOKENS = 8192;

const FILTER_REASONS = ["hate", "self_harm", "sexual", "violence", "jailbreak"] as const satisfies FilterReason[];

export const REFUSALS: FaultRows<"status" | "context_length" | "content_filter" | "rejects_prefill"> = {
  status: {
    options: {
      status: z.int().min(200).max(599),
      headers: z.record(z.string(), z.string()).optional(),
      message: z.string().optional(),
      code: z.string().optional(),
      type: z.string().optional(),
    },
    describe: ({ status, headers }) => {
      const printed = Object.entries(headers ?? {}).map(([name, value]) => `, ${name}: ${value}`);
      return `${status} ${STATUS_CODES[status] ?? ""}`.trimEnd() + printed.join("");
    },
    play: ({ response }, fault) => {
      const known = STATUS_ERRORS[fault.status] ?? {
        type: fault.status < 500 ? "invalid_request_error" : "server_error",
        code: null,
      };
      const message = fault.message ?? `${STATUS_CODES[fault.status] ?? "Error"} (injected by the offline provider)`;
      sendError(
        response,
        fault.status,
        { ...known, ...(fault.code && { code: fault.code }), ...(fault.type && { type: fault.type }), message },
        fault.headers,
      );
    },
  },
  context_length: {
    options: { limitTokens: z.int().min(1).optional() },
    describe: () => "400: the prompt is longer than the model's context",
    play: ({ request, response }, { limitTokens = CONTEXT_TOKENS }) => {
      const tokens = Math.max(promptTokens(request), limitTokens + 1);
      sendError(response, 400, {
        message: `This model's maximum context length is ${limitTokens} tokens. However, your messages resulted in ${tokens} tokens. Please reduce the length of the messages.`,
        code: "context_length_exceeded",
        param: "messages",
      });
    },
  },
  content_filter: {
    options: { reason: z.enum(FILTER_REASONS).optional() },
    describe: ({ reason = "violence" }) => `400: the content filter holds the prompt back (${reason})`,
    play: ({ response }, { reason = "violence" }) => sendJson(response, 400, filteredBody(reason)),
  },
  rejects_prefill: {
    options: {},
    describe: () => "400 where the last message is the assistant's, otherwise a proper answer",
    proper: (exchange) => !endsWithAssistant(exchange),
    play: async (exchange) => {
      if (!endsWithAssistant(exchange)) return await answerFully(exchange);
      sendError(exchange.response, 400, {
        message:
          "This model does not support assistant message prefill. The conversation must end with a user message.",
        param: "messages",
      });
    },
  },
};

function endsWithAssistant({ request }: Exchange): boolean {
  return request.messages.at(-1)?.role === "assistant";
}

/** https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter, "prompt is deemed inappropriate" */
function filteredBody(reason: FilterReason) {
  const harms = (["hate", "self_harm", "sexual", "violence"] as const).map((harm) => [
    harm,
    harm === reason ? { filtered: true, severity: "high" } : { filtered: false, severity: "safe" },
  ]);
  const jailbreak = reason === "jailbreak" ? { jailbreak: { filtered: true, detected: true } } : {};
  return {
    error: {
      message:
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry. To learn more about our content filtering policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766",
      type: null,
      param: "prompt",
      code: "content_filter",
      status: 400,
      innererror: {
        code: "ResponsibleAIPolicyViolation",
        content_filter_result: { ...Object.fromEntries(harms), ...jailbreak },
      },
    },
  };
}
