import type { EffectEntry, EffectLedger, EffectMove, StoredEffect } from "../core/effect-ports.js";
import { jsonText } from "./json-text.js";
import { textArray } from "./native/binary-array.js";
import { few, lookUp } from "./native/look-up.js";
import { addAuditSql, auditValues } from "./sql-audit.js";
import type { SqlPool } from "./sql-pool.js";
import { repeatableQuery } from "./sql-query.js";
import { fromStorableJson, fromStorableText, toStorableJson, toStorableText } from "./storable-text.js";

interface Row {
  seq: string;
  entry: EffectEntry;
}

interface WayRow {
  id: string;
  parent: string | null;
  source: string | null;
  step: string | null;
}

/**
 * Writes under a lease, if one is given, and says what came of it. The row of the lease is locked until the commit, so
 * that nobody takes it over in between.
 *
 * @param write gives a row where the entry is stored, by this statement or by an earlier try of it whose reply was lost
 * @param audit adds to the audit log for each row of `moved`; "" for nothing
 */
const moveSql = (schema: string, write: string, audit: string) => `
  with held as materialized (
    select 1 from "${schema}".lgr_locks l
    where l.name = $1::text and l.token = $2::int8 and l.expires_at > now() for share
  ), allowed as materialized (
    select $1::text is null or exists (select 1 from held) as so
  ), moved as (${write} returning 1)${audit === "" ? "" : `, audited as (${audit})`}
  select case when not (select so from allowed) then 'lease lost'
    when exists (select 1 from moved) then 'moved' else 'refused' end as came`;

/** Behind the parameters of the move itself stand those of its entry in the audit log. */
const auditOf = (schema: string, audited: boolean, first: number) =>
  audited ? addAuditSql(schema, first, "from moved") : "";

/** The update changes nothing: without one a conflict gives no row, whoever wrote the one that is there. */
export const intendSql = (schema: string, audited = false) =>
  moveSql(
    schema,
    `insert into "${schema}".lgr_effects as e (thread_id, key, epoch, effect, place, state, change, entry)
    select $3::text, $4::text, $5::int, $9::text, $10::text, $6::text, $7::text, $8::json from allowed where so
    on conflict (thread_id, key, epoch) do update set change = e.change where e.change = excluded.change`,
    auditOf(schema, audited, 11),
  );

/**
 * Whether it is the same change again is asked of the row itself: an earlier try may still be under way, and a row that
 * had to be waited for is looked at anew.
 */
export const changeSql = (schema: string, audited = false) =>
  moveSql(
    schema,
    `update "${schema}".lgr_effects e set change = $7::text,
      state = case when e.change = $7::text then e.state else $6::text end,
      entry = case when e.change = $7::text then e.entry else $8::json end
    where (select so from allowed) and e.thread_id = $3::text and e.key = $4::text and e.epoch = $5::int
      and (e.change = $7::text or e.state = any($9::text[]))`,
    auditOf(schema, audited, 10),
  );

export const lookSql = (schema: string) => `
  (select 'found' as what, seq, entry from "${schema}".lgr_effects
    where thread_id = $1::text and key = $2::text order by epoch desc limit 1)
  union all
  (select 'newest', seq, entry from "${schema}".lgr_effects
    where thread_id = $1::text and effect = $3::text and place = $4::text order by seq desc limit 1)`;

export const listSql = (schema: string) =>
  `select seq, entry from "${schema}".lgr_effects where thread_id = $1::text order by seq`;

/** The headers alone; see look-up.ts for the form of the join. */
export const waySql = (schema: string) => `
  with recursive way(id, parent, source, step) as (
    select c.checkpoint_id, c.parent_checkpoint_id, c.metadata ->> 'source', c.metadata ->> 'step'
    from "${schema}".checkpoints c
    where c.thread_id = $1::text and c.checkpoint_ns = $2::text and c.checkpoint_id = $3::text
    union all
    select p.checkpoint_id, p.parent_checkpoint_id, p.metadata ->> 'source', p.metadata ->> 'step'
    from way w ${lookUp(`"${schema}".checkpoints`, "p", { thread_id: "$1::text", checkpoint_ns: "$2::text", checkpoint_id: "w.parent" })}
    where w.id <> $4::text and ${few("w.id")}
  )
  select id, parent, source, step from way`;

/** One row for each effect and epoch. What it is found by stands in columns, and all of it, as it was given, in `entry`. */
export function createSqlEffects(open: () => Promise<SqlPool>, schema: string): EffectLedger {
  const query = repeatableQuery(open);
  return {
    async look(threadId, key, { effect, place }) {
      const values = [threadId, key, effect, place].map(toStorableText);
      const rows = await query<Row & { what: "found" | "newest" }>(lookSql(schema), values);
      return Object.fromEntries(rows.map((row) => [row.what, toStored(row)]));
    },
    async move(entry, from, lease, audit) {
      const { threadId, key, epoch, effect, place, state, change } = entry;
      const values: unknown[] = [
        lease === undefined ? null : toStorableText(lease.name),
        lease?.token ?? null,
        toStorableText(threadId),
        toStorableText(key),
        epoch,
        state,
        toStorableText(change),
        toStorableJson(jsonText(`Effect "${effect}"`, entry)),
      ];
      const isNew = from.length === 0;
      const others = isNew ? [toStorableText(effect), toStorableText(place)] : [textArray(from)];
      const audited = audit !== undefined;
      const rows = await query<{ came: EffectMove }>((isNew ? intendSql : changeSql)(schema, audited), [
        ...values,
        ...others,
        ...(audited ? auditValues(audit) : []),
      ]);
      return rows[0]?.came ?? "refused";
    },
    async way({ threadId, namespace, checkpointId }, until) {
      const values = [threadId, namespace, checkpointId, until].map(toStorableText);
      const rows = await query<WayRow>(waySql(schema), values);
      return rows.map(({ id, parent, source, step }) => ({
        checkpointId: fromStorableText(id),
        parentId: parent === null ? undefined : fromStorableText(parent),
        source: source ?? "",
        step: Number(step ?? -1),
      }));
    },
    async list(threadId) {
      return (await query<Row>(listSql(schema), [toStorableText(threadId)])).map(toStored);
    },
  };
}

function toStored({ seq, entry }: Row): StoredEffect {
  return { ...fromStorableJson(entry), seq: Number(seq) };
}
