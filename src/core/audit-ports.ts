/** Who did what, when and why: the audit log's port and its records. Append-only, plain JSON, versioned by `v`. */

/** {@link AuditEntry}`.by` of what nobody was asked about. */
export const AUTOMATIC = "langgraph-resilience";

export interface AuditEntry {
  readonly v: 1;
  /** Unique; the same entry again changes nothing. */
  readonly id: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  /** The person, or {@link AUTOMATIC}. */
  readonly by: string;
  /** For machines, e.g. "effect.compensated" or "rollback.begun". */
  readonly what: string;
  readonly threadId?: string;
  readonly reason?: string;
  /** Redacted. JSON. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** `seq` grows with each entry of the log. */
export type StoredAuditEntry = AuditEntry & { readonly seq: number };

export interface AuditFilter {
  readonly threadId?: string;
  readonly by?: string;
  /** A whole name, or the beginning of several before a dot: "effect" finds "effect.compensated". */
  readonly what?: string;
  /** Milliseconds since the Unix epoch, itself included. */
  readonly since?: number;
  /** Only entries with a smaller `seq`: the next page. */
  readonly before?: number;
  /** Default 100. */
  readonly limit?: number;
}

/** Nothing of it is ever changed or deleted, also when its thread is. */
export interface AuditLog {
  append(entry: AuditEntry): Promise<void>;
  /** Newest first. */
  list(filter?: AuditFilter): Promise<readonly StoredAuditEntry[]>;
}
