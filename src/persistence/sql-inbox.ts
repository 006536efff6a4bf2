import type { AuditEntry } from "../core/audit-ports.js";
import type { InboxItem, InboxStore, StoredInboxItem } from "../core/inbox-ports.js";
import { type InboxConditions, inboxMoment, inboxQuery } from "./inbox-rules.js";
import { addAuditSql, auditValues } from "./sql-audit.js";
import type { SqlPool } from "./sql-pool.js";
import { repeatableQuery } from "./sql-query.js";
import { type Companion, createSqlVersioned } from "./sql-versioned.js";
import { fromStorableJson, toStorableText } from "./storable-text.js";

interface Row {
  value: InboxItem;
  /** Numbers of 64 bits come as text. */
  version: string;
}

type Condition = keyof InboxConditions;

const conditions: Readonly<Record<Condition, (given: string) => string>> = {
  state: (given) => `state = ${given}::text`,
  graph: (given) => `graph = ${given}::text`,
  threadId: (given) => `thread_id = ${given}::text`,
  node: (given) => `node = ${given}::text`,
  kind: (given) => `kind = ${given}::text`,
  assignee: (given) => `assignee = ${given}::text`,
  claimedBy: (given) => `claimed_by = ${given}::text`,
  claimedAfter: (given) => `claimed_until > ${timeOf(given)}`,
  dueBefore: (given) => `due_at < ${timeOf(given)}`,
};

/** @param by what is asked for; each is a parameter, in this order, and the limit is the last */
export function listInboxSql(schema: string, by: readonly Condition[]): string {
  const where = by.map((one, n) => conditions[one](`$${n + 1}`)).join(" and ");
  return `select value, version from "${schema}".lgr_inbox ${where === "" ? "" : `where ${where}`}
    order by opened_at, seq limit $${by.length + 1}::int8`;
}

export const dueInboxSql = (schema: string) =>
  `select value, version from "${schema}".lgr_inbox where state = 'pending' and sweep_at <= ${timeOf("$1")}
    order by sweep_at, seq limit $2::int8`;

export const unsentInboxSql = (schema: string) =>
  `select value, version from "${schema}".lgr_inbox where notify_at <= ${timeOf("$1")}
    order by notify_at, seq limit $2::int8`;

/**
 * One row for each question. The items are versioned state, so that a change whose reply was lost is known for one's
 * own; what they are found by the database itself takes out of them. A note goes into the audit log in the statement of
 * its write: a try whose reply was lost has written both or neither.
 */
export function createSqlInbox(open: () => Promise<SqlPool>, schema: string): InboxStore {
  const query = repeatableQuery(open);
  const items = createSqlVersioned(open, schema, "lgr_inbox", { patient: true });
  const noted = (note: AuditEntry): Companion => ({
    sql: (first, source) => addAuditSql(schema, first, source),
    values: auditValues(note),
  });
  const write = async (item: InboxItem, over: number, note?: AuditEntry): Promise<StoredInboxItem | undefined> => {
    const version = await items.write(item.id, item, over, note && noted(note));
    return version === undefined ? undefined : { ...item, version };
  };
  const get = async (id: string): Promise<StoredInboxItem | undefined> => {
    const { value, version } = await items.read(id);
    return version === 0 ? undefined : { ...(value as InboxItem), version };
  };
  return {
    async open(item, note) {
      for (;;) {
        const stored = (await write(item, 0, note)) ?? (await get(item.id));
        if (stored !== undefined) return stored;
        // It was there and was deleted with its thread before it could be read.
      }
    },
    get,
    change: write,
    async list(filter) {
      const { conditions, limit } = inboxQuery(filter);
      const given = Object.entries(conditions).filter(([, value]) => value !== undefined);
      const by = given.map(([name]) => name as Condition);
      const values = given.map(([, value]) => (typeof value === "string" ? toStorableText(value) : value));
      return (await query<Row>(listInboxSql(schema, by), [...values, limit])).map(toStored);
    },
    async due(nowMs, limit) {
      const asked = inboxMoment("due", nowMs, limit);
      return (await query<Row>(dueInboxSql(schema), [asked.nowMs, asked.limit])).map(toStored);
    },
    async unsent(nowMs, limit) {
      const asked = inboxMoment("unsent", nowMs, limit);
      return (await query<Row>(unsentInboxSql(schema), [asked.nowMs, asked.limit])).map(toStored);
    },
  };
}

function timeOf(ms: string): string {
  return `to_timestamp(${ms}::float8 / 1000)`;
}

function toStored({ value, version }: Row): StoredInboxItem {
  return { ...fromStorableJson(value), version: Number(version) };
}
