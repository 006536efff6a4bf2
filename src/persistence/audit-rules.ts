/** What holds for the audit log of every plugin: what an entry is, and what may be asked of the log. */
import { z } from "zod";
import type { AuditEntry, AuditFilter } from "../core/audit-ports.js";
import { parseOptions } from "../core/options.js";
import { redact, redactText } from "../core/redact.js";
import { InvalidInputError } from "../errors/own-errors.js";
import { jsonText } from "./json-text.js";

/** The greatest time that a Date can hold, in milliseconds since the Unix epoch. */
const latestMs = 8.64e15;
const time = z.number().min(0).max(latestMs);

const entrySchema = z.object({
  v: z.literal(1),
  id: z.string(),
  at: time,
  by: z.string(),
  what: z.string(),
  threadId: z.string().optional(),
  reason: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

const filterSchema = z.strictObject({
  threadId: z.string().optional(),
  by: z.string().optional(),
  what: z.string().optional(),
  since: time.optional(),
  before: z.int().min(0).optional(),
  limit: z.int().min(1).default(100),
});

export type AuditQuery = z.output<typeof filterSchema>;

/** Details are shortened nowhere but where they would be no entry of a log any more. */
const detailLimits = { maxText: 10_000, maxItems: 1000, maxDepth: 20 };

/**
 * The entry as it is stored: with the fields of an entry and no others, and without secrets, for it can never be mended.
 *
 * @throws InvalidInputError naming the field at fault
 */
export function storableAuditEntry(entry: AuditEntry): AuditEntry {
  const parsed = entrySchema.safeParse(entry);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `"${path.join(".")}": ${message}`);
    throw new InvalidInputError(`The audit entry cannot be stored: ${faults.join("; ")}`);
  }
  auditJson(entry);
  const { reason, details } = entry;
  return {
    ...(parsed.data as AuditEntry),
    ...(reason === undefined ? {} : { reason: redactText(reason) }),
    ...(details === undefined ? {} : { details: redact(details, detailLimits) as Record<string, unknown> }),
  };
}

/** @throws InvalidInputError for details without JSON */
export function auditJson(entry: AuditEntry): string {
  return jsonText(`Audit entry "${entry.what}"`, entry);
}

/** @throws ConfigError naming the part of the filter at fault */
export function auditQuery(filter: AuditFilter | undefined): AuditQuery {
  return parseOptions("audit.list", filterSchema, filter);
}
