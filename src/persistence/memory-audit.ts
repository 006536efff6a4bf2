import type { AuditEntry, AuditFilter, AuditLog, StoredAuditEntry } from "../core/audit-ports.js";
import { type AuditQuery, auditJson, auditQuery } from "./audit-rules.js";

/** The audit log of a process that keeps nothing. */
export class MemoryAudit implements AuditLog {
  /** JSON by ID, in the order of the log. */
  readonly #entries = new Map<string, string>();

  async append(entry: AuditEntry): Promise<void> {
    this.add(entry);
  }

  /** For a store that writes an entry of its own in the same step. */
  add(entry: AuditEntry): void {
    const json = auditJson(entry);
    if (!this.#entries.has(entry.id)) this.#entries.set(entry.id, json);
  }

  async list(filter?: AuditFilter): Promise<readonly StoredAuditEntry[]> {
    const query = auditQuery(filter);
    return [...this.#entries.values()]
      .map((json, at): StoredAuditEntry => ({ ...(JSON.parse(json) as AuditEntry), seq: at + 1 }))
      .filter((entry) => matches(entry, query))
      .reverse()
      .slice(0, query.limit);
  }
}

function matches(entry: StoredAuditEntry, { threadId, by, what, since, before }: AuditQuery): boolean {
  return (
    (threadId === undefined || entry.threadId === threadId) &&
    (by === undefined || entry.by === by) &&
    (what === undefined || entry.what === what || entry.what.startsWith(`${what}.`)) &&
    (since === undefined || entry.at >= since) &&
    (before === undefined || entry.seq < before)
  );
}
