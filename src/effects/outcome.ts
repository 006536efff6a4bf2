/** Whether a call that failed may have had its effect all the same. */
import type { ErrorReport } from "../errors/report.js";
import type { Effect } from "./effect.js";

/** Errors of a connection that was never made, and of our own refusals to make one. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "CIRCUIT_OPEN",
  "BULKHEAD_FULL",
  "RATE_LIMITED",
  "COOLING_DOWN",
]);

/**
 * Refusals by status that say that nothing was done (RFC 9110, section 15.5). Not among them: 408, 409 and 425, of which
 * an earlier call with the same key may be the reason.
 */
function isRefusal(status: number | undefined): boolean {
  return status !== undefined && status >= 400 && status < 500 && ![408, 409, 425].includes(status);
}

/**
 * False only where the failure says so: a refusal by status, a connection that was never made, or what the effect's own
 * `notDone` says. A timeout, a cut connection and a 5xx may all come after the deed.
 */
export function mayHaveHappened(effect: Effect, report: ErrorReport, error: unknown): boolean {
  const said = effect.notDone?.(report, error);
  if (said !== undefined) return !said;
  return !isRefusal(report.status) && !NEVER_SENT.has(report.code ?? "");
}
