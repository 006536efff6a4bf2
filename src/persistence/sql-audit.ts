import type { AuditEntry, AuditFilter, AuditLog, StoredAuditEntry } from "../core/audit-ports.js";
import { auditJson, auditQuery } from "./audit-rules.js";
import type { SqlPool } from "./sql-pool.js";
import { repeatableQuery } from "./sql-query.js";
import { fromStorableJson, toStorableJson, toStorableText } from "./storable-text.js";

interface Row {
  seq: string;
  entry: AuditEntry;
}

/**
 * Adds an entry unless its ID is there already, as after a try whose reply was lost.
 *
 * @param first number of the first of the parameters that {@link auditValues} gives
 * @param source adds one for each row of it; "" for one in any case
 */
export function addAuditSql(schema: string, first = 1, source = ""): string {
  const types = ["text", "float8", "text", "text", "text", "json"].map((type, n) => `$${first + n}::${type}`);
  const [id, at, ...others] = types;
  return `insert into "${schema}".lgr_audit (id, at, by, what, thread_id, entry)
    select ${[id, `to_timestamp(${at} / 1000)`, ...others].join(", ")} ${source} on conflict (id) do nothing`;
}

export function auditValues(entry: AuditEntry): unknown[] {
  const { id, at, by, what, threadId } = entry;
  return [
    toStorableText(id),
    at,
    toStorableText(by),
    toStorableText(what),
    threadId === undefined ? null : toStorableText(threadId),
    toStorableJson(auditJson(entry)),
  ];
}

type Condition = Exclude<keyof AuditFilter, "limit">;

const conditions: Readonly<Record<Condition, (given: string) => string>> = {
  threadId: (given) => `thread_id = ${given}::text`,
  by: (given) => `by = ${given}::text`,
  what: (given) => `(what = ${given}::text or starts_with(what, ${given}::text || '.'))`,
  since: (given) => `at >= to_timestamp(${given}::float8 / 1000)`,
  before: (given) => `seq < ${given}::int8`,
};

/** @param by what is asked for; each is a parameter, in this order, and the limit is the last */
export function listAuditSql(schema: string, by: readonly Condition[]): string {
  const where = by.map((one, n) => conditions[one](`$${n + 1}`)).join(" and ");
  return `select seq, entry from "${schema}".lgr_audit ${where === "" ? "" : `where ${where}`}
    order by seq desc limit $${by.length + 1}::int8`;
}

/** One row for each entry, which the table itself keeps from being changed or deleted. What it is found by stands in columns. */
export function createSqlAudit(open: () => Promise<SqlPool>, schema: string): AuditLog {
  const query = repeatableQuery(open);
  return {
    async append(entry) {
      await query(addAuditSql(schema), auditValues(entry));
    },
    async list(filter) {
      const { limit, ...asked } = auditQuery(filter);
      const given = Object.entries(asked).filter(([, value]) => value !== undefined);
      const rows = await query<Row>(
        listAuditSql(
          schema,
          given.map(([name]) => name as Condition),
        ),
        [...given.map(([, value]) => (typeof value === "string" ? toStorableText(value) : value)), limit],
      );
      return rows.map(toStored);
    },
  };
}

function toStored({ seq, entry }: Row): StoredAuditEntry {
  return { ...fromStorableJson(entry), seq: Number(seq) };
}
