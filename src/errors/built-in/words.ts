/**
 * Words, for what lost everything else: LangGraph keeps only name and message of a stored error, and most clients name
 * their errors "Error". What a provider says of its limits comes before the status that it repeats in the message.
 */
import type { Category } from "../categories.js";
import { categoryOfStatus } from "./http-status.js";
import { inPass, row, says } from "./row.js";

export const MESSAGE_RULES = inPass("message", [
  row("aborted, in words", "cancelled", says(/^(request was|(this|the) operation was)? ?abort(ed|error)\.?$/i)),
  row(
    "quota in words",
    "quota",
    says(
      /insufficient[_ ]quota|exceeded your current quota|quota (has been )?exhausted|credit balance is too low|billing (hard )?limit|check your plan and billing/i,
    ),
  ),
  row(
    "context length in words",
    "context_length",
    says(/context[_ ](length|window)|maximum context|prompt is too long|input tokens exceed/i),
  ),
  row(
    "content policy in words",
    "content_policy",
    says(/content[_ ](policy|filter)|content management policy|safety system/i),
  ),
  row(
    "model in words",
    "model_unavailable",
    says(/model .{0,80}(not found|does not exist|has been (deprecated|retired|decommissioned))/i),
  ),
  row(
    "HTTP status in words",
    (facts) => statusInWords(facts.message),
    (facts) => statusInWords(facts.message) !== undefined,
  ),
  row("rate limit in words", "rate_limit", says(/rate.?limit|too many (requests|tokens)|throttl/i)),
  row(
    "conflict in words",
    "conflict",
    says(
      /deadlock detected|could not serialize|write conflict|lock timeout|could not obtain lock|duplicate key value violates|being (accessed|used) by/i,
    ),
  ),
  row("timeout in words", "timeout", says(/time[d ]?\s?-?out|deadline exceeded/i)),
  row(
    "certificate in words",
    "environment",
    says(
      /self.signed certificate|certificate (has expired|is not yet valid)|certificate's altnames|wrong version number/i,
    ),
  ),
  row(
    "too many connections in words",
    "server_error",
    says(/too many (clients|connections)|remaining connection slots are reserved/i),
  ),
  row(
    "network in words",
    "network",
    says(
      /socket hang up|ECONNRESET|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EPIPE|connection (was )?(reset|refused|closed|terminated|lost|error)|terminating connection|client was closed|network (error|is unreachable)|premature close|other side closed/i,
    ),
  ),
  row(
    "server error in words",
    "server_error",
    says(/overloaded|service unavailable|bad gateway|internal server error|the server had an error/i),
  ),
  row(
    "login in words",
    "auth",
    says(
      /unauthori[sz]ed|invalid api key|incorrect api key|authentication failed|pg_hba\.conf|^role ".{1,80}" does not exist/i,
    ),
  ),
  row("permission in words", "permission", says(/forbidden|permission denied|access denied/i)),
  row(
    "memory or disk in words",
    "environment",
    says(
      /out of memory|heap limit|no space left|temp_file_limit|cannot find (module|package)|^database ".{1,80}" does not exist$/i,
    ),
  ),
  row(
    "statement or data at fault, in words",
    "invalid_input",
    says(
      /syntax error at or near|^(relation|column|function|type) .{1,80} does not exist|invalid input syntax for|violates (not-null|check|foreign key) constraint/i,
    ),
  ),
  row(
    "output in words",
    "malformed_output",
    says(
      /invalid json|not valid json|failed to parse|unexpected token .{0,80} in json|could not parse response|did not match expected schema|^tool ".{1,80}" not found\.$/i,
    ),
  ),
  // LangGraph throws these as plain errors.
  row(
    "graph definition in words",
    "bug",
    says(
      /^failed to put checkpoint\. the passed runnableconfig|^cannot use command\(resume|edge .{0,80} at unknown node|^node `.{1,80}` already present/i,
    ),
  ),
]);

function statusInWords(message: string): Category | undefined {
  const found = /^([45]\d\d)\b|\bstatus(?: code)?:? ([45]\d\d)\b|\bHTTP ([45]\d\d)\b/i.exec(message);
  const status = found?.[1] ?? found?.[2] ?? found?.[3];
  return categoryOfStatus(status === undefined ? undefined : Number(status));
}
