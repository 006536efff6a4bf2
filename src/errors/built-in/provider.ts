/**
 * What model providers say, in their own codes. OpenAI: platform.openai.com/docs/guides/error-codes; Azure OpenAI:
 * learn.microsoft.com/azure/ai-foundry/openai/reference and /concepts/content-filter; Anthropic:
 * docs.anthropic.com/en/api/errors; OpenRouter: openrouter.ai/docs/api-reference/errors.
 */
import type { ErrorRule } from "../error-rule.js";
import { both, coded, either, named, row, says } from "./row.js";

export const PROVIDER_RULES: readonly ErrorRule[] = [
  row(
    "out of quota",
    "quota",
    either(
      coded("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "credit_balance_too_low"),
      named("InsufficientQuotaError"),
    ),
  ),
  row("context too long", "context_length", coded("context_length_exceeded", "CONTEXT_OVERFLOW", "request_too_large")),
  row(
    "content filter",
    "content_policy",
    coded("content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation", "moderation_blocked"),
  ),
  row("prompt flagged", "content_policy", both(coded("invalid_prompt"), says(/flagged|policy/i))),
  // LangChain labels every 404 as a missing model.
  row("no such address at the provider", "not_found", coded("unknown_url")),
  row(
    "no such model",
    "model_unavailable",
    coded("model_not_found", "MODEL_NOT_FOUND", "DeploymentNotFound", "model_deprecated", "CIRCUIT_OPEN"),
  ),
  row(
    "model 404",
    "model_unavailable",
    both((facts) => facts.status === 404, says(/\bmodel\b|\bdeployment\b/i)),
  ),
  row(
    "context too long, by words",
    "context_length",
    both(
      (facts) => facts.status === 400 || facts.status === 413,
      says(/context (length|window)|maximum context|too many tokens|prompt is too long/i),
    ),
  ),
  row("bad key", "auth", coded("invalid_api_key", "authentication_error", "MODEL_AUTHENTICATION")),
  row("rate limit code", "rate_limit", coded("rate_limit_exceeded", "rate_limit_error")),
  // LangChain's caller takes the word "billing" for a spent quota, and OpenAI's rate limits mention that page too. Who
  // says when to come back, or names a rate limit, has not run out.
  row(
    "limit, as LangChain reads it",
    (facts) => (facts.retryAfterMs === undefined && !/rate.?limit/i.test(facts.message) ? "quota" : "rate_limit"),
    named("RateLimitQuotaExhaustedError"),
  ),
  row(
    "rate limit, by LangChain's label",
    "rate_limit",
    either(coded("MODEL_RATE_LIMIT"), named("RateLimitCapacityError")),
  ),
  row("overloaded", "server_error", coded("overloaded_error", "server_error", "api_error")),
];

/** Types that stand for a status where none came along, as in an error event in the middle of a stream. */
export const PROVIDER_TYPE_RULES: readonly ErrorRule[] = [
  row("provider: request at fault", "invalid_input", coded("invalid_request_error", "invalid_prompt")),
  row("provider: no such thing", "not_found", coded("not_found_error")),
  row("provider: not allowed", "permission", coded("permission_error")),
  row("provider: not paid", "quota", coded("billing_error")),
  row("provider: too slow", "timeout", coded("timeout_error")),
];
