/** Entries of the audit log as cells of a table. */
import type { StoredAuditEntry } from "../core/audit-ports.js";
import { redact, redactText } from "../core/redact.js";

/** Characters of a reason or of details on a terminal; --json has more. */
const maxText = 80;

/** When, who and what. */
export function auditHead({ at, by, what }: StoredAuditEntry): string[] {
  return [new Date(at).toISOString(), by, what];
}

/** Why, and what else belongs to it. */
export function auditTail({ reason, details }: Pick<StoredAuditEntry, "reason" | "details">): string[] {
  return [oneLine(redactText(reason ?? "")), details === undefined ? "" : oneLine(JSON.stringify(redact(details)))];
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > maxText ? `${line.slice(0, maxText - 1)}…` : line;
}
