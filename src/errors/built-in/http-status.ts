/** What an HTTP status means where nothing more specific was said: RFC 9110 section 15, RFC 6585, RFC 8470. */
import type { Category } from "../categories.js";
import type { ErrorRule } from "../error-rule.js";
import type { ErrorFacts } from "../facts.js";
import { row } from "./row.js";

const BY_STATUS: Readonly<Record<number, Category>> = {
  401: "auth",
  402: "quota",
  403: "permission",
  404: "not_found",
  407: "auth",
  408: "timeout",
  409: "conflict",
  410: "not_found",
  423: "conflict",
  425: "server_error",
  429: "rate_limit",
  501: "invalid_input",
  505: "invalid_input",
};

export function categoryOfStatus(status: number | undefined): Category | undefined {
  if (status === undefined || status < 400) return undefined;
  return BY_STATUS[status] ?? (status >= 500 ? "server_error" : "invalid_input");
}

const byStatus = ({ status }: ErrorFacts) => categoryOfStatus(status);
/** OpenRouter and Google number their errors by status, also in a stream whose own status is 200. */
const byStatusAsCode = ({ code }: ErrorFacts) =>
  /^[45]\d\d$/.test(code ?? "") ? categoryOfStatus(Number(code)) : undefined;

export const STATUS_RULES: readonly ErrorRule[] = [
  row("HTTP status", byStatus, (facts) => byStatus(facts) !== undefined),
  row("HTTP status as a code", byStatusAsCode, (facts) => byStatusAsCode(facts) !== undefined),
];
