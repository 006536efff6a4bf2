/** The rows that come with the package, a group a source. Order matters within a group: the first that matches wins. */
import { type Category, isCategory } from "./categories.js";
import type { ErrorRule } from "./error-rule.js";
import type { ErrorFacts } from "./facts.js";

const named =
  (...names: string[]) =>
  (facts: ErrorFacts): boolean =>
    facts.names.some((name) => names.includes(name));
const coded =
  (...codes: string[]) =>
  (facts: ErrorFacts): boolean =>
    (facts.code !== undefined && codes.includes(facts.code)) ||
    (facts.type !== undefined && codes.includes(facts.type));
const sql =
  (...prefixes: string[]) =>
  (facts: ErrorFacts): boolean =>
    facts.sqlState !== undefined && prefixes.some((prefix) => facts.sqlState?.startsWith(prefix));
const says =
  (pattern: RegExp) =>
  (facts: ErrorFacts): boolean =>
    pattern.test(facts.message);
const both =
  (a: ErrorRule["when"], b: ErrorRule["when"]) =>
  (facts: ErrorFacts): boolean =>
    a(facts) && b(facts);

const row = (name: string, category: ErrorRule["category"], when: ErrorRule["when"]): ErrorRule => ({
  name,
  category,
  when,
});
const inPass = (pass: "own" | "message", rules: ErrorRule[]): ErrorRule[] => rules.map((rule) => ({ ...rule, pass }));

const OWN_RULES = inPass("own", [
  row(
    "carries its category",
    (facts) => (isCategory(facts.category) ? facts.category : undefined),
    (facts) => isCategory(facts.category),
  ),
  row("own timeout", "timeout", coded("ATTEMPT_TIMEOUT", "DEADLINE_EXCEEDED")),
  row("own malformed output", "malformed_output", coded("MALFORMED_OUTPUT")),
  row("own invalid input", "invalid_input", coded("INVALID_INPUT", "CONFIG", "DECISION_REFUSED")),
  row("own not found", "not_found", coded("THREAD_NOT_FOUND")),
  row("own cancellation", "cancelled", coded("CANCELLED", "RUN_ABORTED")),
  row("owned elsewhere", "environment", coded("OWNED_ELSEWHERE")),
  row("graph recursion limit", "stuck", both(named("GraphRecursionError", "Error"), coded("GRAPH_RECURSION_LIMIT"))),
  row("graph recursion", "stuck", named("GraphRecursionError")),
  row("node timeout", "timeout", named("NodeTimeoutError")),
]);

const FRAMEWORK_RULES: ErrorRule[] = [
  row("aborted", "cancelled", named("AbortError", "APIUserAbortError", "GraphDrained")),
  row(
    "timeout class",
    "timeout",
    named(
      "TimeoutError",
      "APIConnectionTimeoutError",
      "ConnectTimeoutError",
      "HeadersTimeoutError",
      "BodyTimeoutError",
    ),
  ),
  row("context overflow", "context_length", named("ContextOverflowError")),
  row(
    "output parser",
    "malformed_output",
    named("OutputParserException", "ToolInputParsingException", "StructuredOutputParsingError"),
  ),
  row("output parser code", "malformed_output", coded("OUTPUT_PARSING_FAILURE", "INVALID_TOOL_RESULTS")),
  row(
    "graph definition",
    "bug",
    named("InvalidUpdateError", "GraphValueError", "UnreachableNodeError", "MultipleSubgraphsError"),
  ),
  row("empty graph input", "invalid_input", named("EmptyInputError")),
  row("tool failed", "tool_execution", named("ToolInvocationError", "ToolException")),
];

const PROVIDER_RULES: ErrorRule[] = [
  row(
    "out of quota",
    "quota",
    coded("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "credit_balance_too_low"),
  ),
  row("context too long", "context_length", coded("context_length_exceeded", "CONTEXT_OVERFLOW", "request_too_large")),
  row(
    "content filter",
    "content_policy",
    coded("content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"),
  ),
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
      says(/context (length|window)|maximum context|too many tokens/i),
    ),
  ),
  row("bad key", "auth", coded("invalid_api_key", "authentication_error", "MODEL_AUTHENTICATION")),
  row("rate limit code", "rate_limit", coded("rate_limit_exceeded", "rate_limit_error", "MODEL_RATE_LIMIT")),
  row("overloaded", "server_error", coded("overloaded_error", "server_error", "api_error")),
];

const MAIL_RULES: ErrorRule[] = [
  row("mail login", "auth", (facts) => facts.code === "EAUTH" || facts.smtpStatus === 530 || facts.smtpStatus === 535),
  row(
    "mail, transient reply",
    "server_error",
    (facts) => facts.smtpStatus !== undefined && facts.smtpStatus >= 400 && facts.smtpStatus < 500,
  ),
  row("mail, permanent reply", "invalid_input", (facts) => facts.smtpStatus !== undefined && facts.smtpStatus >= 500),
  row("mail address or text", "invalid_input", coded("EENVELOPE", "EMESSAGE")),
  row("mail connection", "network", coded("ECONNECTION", "ESOCKET", "EDNS", "ESTREAM", "ETLS")),
];

/** SQLSTATE classes: PostgreSQL documentation, appendix A. */
const SQL_RULES: ErrorRule[] = [
  row("serialization or deadlock", "conflict", sql("40", "55P03")),
  row("database went away", "network", sql("08", "57P")),
  row("statement timeout", "timeout", sql("57014")),
  row("too many connections", "server_error", sql("53300")),
  row("database out of resources", "environment", sql("53")),
  row("database login", "auth", sql("28")),
  row("database permission", "permission", sql("42501")),
  row("statement or data at fault", "invalid_input", sql("42", "22", "23")),
  row("database system error", "server_error", sql("58", "XX")),
];

const SYSTEM_RULES: ErrorRule[] = [
  row(
    "timed out",
    "timeout",
    coded("ETIMEDOUT", "ESOCKETTIMEDOUT", "UND_ERR_CONNECT_TIMEOUT", "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT"),
  ),
  row(
    "connection failed",
    "network",
    coded(
      "ECONNRESET",
      "ECONNREFUSED",
      "ECONNABORTED",
      "EPIPE",
      "ENOTFOUND",
      "EAI_AGAIN",
      "EAI_FAIL",
      "ENETUNREACH",
      "ENETDOWN",
      "EHOSTUNREACH",
      "EHOSTDOWN",
      "EPROTO",
      "UND_ERR_SOCKET",
      "UND_ERR_CLOSED",
      "UND_ERR_DESTROYED",
      "ERR_STREAM_PREMATURE_CLOSE",
    ),
  ),
  row("certificate refused", "environment", (facts) =>
    /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(GET|VERIFY))/.test(facts.code ?? ""),
  ),
  row("TLS handshake", "network", (facts) => /^(ERR_SSL|ERR_TLS)/.test(facts.code ?? "")),
  row(
    "out of memory or disk",
    "environment",
    coded("ENOMEM", "ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EROFS", "ERR_WORKER_OUT_OF_MEMORY"),
  ),
  row(
    "dependency missing",
    "environment",
    coded("MODULE_NOT_FOUND", "ERR_MODULE_NOT_FOUND", "ERR_DLOPEN_FAILED", "ERR_REQUIRE_ESM"),
  ),
  row("file not found", "not_found", coded("ENOENT", "ENOTDIR")),
  row("file not allowed", "permission", coded("EACCES", "EPERM")),
];

const byStatus: Readonly<Record<number, Category>> = {
  401: "auth",
  402: "quota",
  403: "permission",
  404: "not_found",
  408: "timeout",
  409: "conflict",
  410: "not_found",
  423: "conflict",
  425: "server_error",
  429: "rate_limit",
  501: "invalid_input",
  505: "invalid_input",
};

function categoryOfStatus(status: number): Category | undefined {
  if (status < 400) return undefined;
  return byStatus[status] ?? (status >= 500 ? "server_error" : "invalid_input");
}

const STATUS_RULES: ErrorRule[] = [
  row(
    "HTTP status",
    (facts) => (facts.status === undefined ? undefined : categoryOfStatus(facts.status)),
    (facts) => (facts.status ?? 0) >= 400,
  ),
];

const LANGUAGE_RULES: ErrorRule[] = [
  row("connection error class", "network", named("APIConnectionError", "FetchError", "SocketError")),
  row(
    "fetch failed",
    "network",
    both(named("TypeError"), says(/^(fetch failed|terminated|network error|failed to fetch)$/i)),
  ),
  row("schema mismatch", "invalid_input", named("ZodError", "$ZodError", "ZodRealError")),
  row("not JSON", "malformed_output", both(named("SyntaxError"), says(/JSON|unexpected (token|end)|unterminated/i))),
  row(
    "programming error",
    "bug",
    named("TypeError", "ReferenceError", "RangeError", "SyntaxError", "EvalError", "AssertionError"),
  ),
];

const MESSAGE_RULES = inPass("message", [
  row(
    "HTTP status in words",
    (facts) => statusInWords(facts.message),
    (facts) => statusInWords(facts.message) !== undefined,
  ),
  row("quota in words", "quota", says(/insufficient[_ ]quota|exceeded your current quota|billing/i)),
  row("rate limit in words", "rate_limit", says(/rate.?limit|too many requests|throttl/i)),
  row(
    "context length in words",
    "context_length",
    says(/context[_ ](length|window)|maximum context|too many tokens|prompt is too long/i),
  ),
  row("content policy in words", "content_policy", says(/content[_ ](policy|filter)|safety system/i)),
  row("timeout in words", "timeout", says(/time[d ]?\s?-?out|deadline exceeded/i)),
  row(
    "network in words",
    "network",
    says(
      /socket hang up|ECONNRESET|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EPIPE|connection (was )?(reset|refused|closed|terminated|lost|error)|network (error|is unreachable)|premature close/i,
    ),
  ),
  row(
    "server error in words",
    "server_error",
    says(/overloaded|service unavailable|bad gateway|internal server error|gateway time-?out/i),
  ),
  row(
    "model in words",
    "model_unavailable",
    says(/model .{0,80}(not found|does not exist|has been (deprecated|retired|decommissioned))/i),
  ),
  row("login in words", "auth", says(/unauthori[sz]ed|invalid api key|incorrect api key|authentication failed/i)),
  row("permission in words", "permission", says(/forbidden|permission denied|access denied/i)),
  row(
    "memory or disk in words",
    "environment",
    says(/out of memory|heap limit|no space left|cannot find (module|package)/i),
  ),
  row("conflict in words", "conflict", says(/deadlock detected|could not serialize|write conflict/i)),
  row(
    "JSON in words",
    "malformed_output",
    says(/invalid json|not valid json|failed to parse|unexpected token .* in json/i),
  ),
]);

export const BUILT_IN_RULES: readonly ErrorRule[] = [
  ...OWN_RULES,
  ...FRAMEWORK_RULES,
  ...PROVIDER_RULES,
  ...MAIL_RULES,
  ...SQL_RULES,
  ...SYSTEM_RULES,
  ...STATUS_RULES,
  ...LANGUAGE_RULES,
  ...MESSAGE_RULES,
];

function statusInWords(message: string): Category | undefined {
  const found = /^([45]\d\d)\b|\bstatus(?: code)?:? ([45]\d\d)\b|\bHTTP ([45]\d\d)\b/i.exec(message);
  const status = found?.[1] ?? found?.[2] ?? found?.[3];
  return status === undefined ? undefined : categoryOfStatus(Number(status));
}
