import type { ResultCache } from "../core/store-ports.js";
import { jsonText } from "./json-text.js";
import type { SqlPool } from "./sql-pool.js";
import { repeatableQuery } from "./sql-query.js";
import { fromStorableJson, toStorableJson, toStorableText } from "./storable-text.js";

/** Expired rows that one `put` deletes: more than the one it adds, so that the table shrinks to what is alive. */
const deletedPerPut = 20;

interface Row {
  value: unknown;
  age_ms: string;
}

/**
 * Answers that every process on the database shares, aged by its clock.
 *
 * The limit makes sure that the answer is stored before any other row is locked, and rows that others hold are passed
 * over: nobody waits while they hold anything, so that no two of these statements can block one another. The time is
 * that of the statement, and the keys are an array, because only so both are looked up by index.
 */
const putSql = (at: string) => `
  with stored as (
    insert into ${at} (key, value, stored_at, expires_at) values
      ($1, $2, statement_timestamp(), statement_timestamp() + $3::float8 * interval '1 millisecond')
    on conflict (key) do update
      set value = excluded.value, stored_at = excluded.stored_at, expires_at = excluded.expires_at
    returning 1
  )
  delete from ${at} where key = any (array(
    select key from ${at} where expires_at <= statement_timestamp() and key <> $1
    order by expires_at limit ${deletedPerPut} * (select count(*) from stored) for update skip locked
  ))`;

export function createSqlCache(open: () => Promise<SqlPool>, schema: string): ResultCache {
  const at = `"${schema}".lgr_cache`;
  const query = repeatableQuery(open);
  return {
    async get(key) {
      const [row] = await query<Row>(
        `select value, floor(extract(epoch from statement_timestamp() - stored_at) * 1000)::bigint as age_ms
          from ${at} where key = $1 and expires_at > statement_timestamp()`,
        [toStorableText(key)],
      );
      if (row === undefined) return undefined;
      return { value: fromStorableJson(row.value), ageMs: Math.max(0, Number(row.age_ms)) };
    },
    async put(key, value, keepMs) {
      await query(putSql(at), [toStorableText(key), toStorableJson(jsonText(`The answer "${key}"`, value)), keepMs]);
    },
    async delete(key) {
      await query(`delete from ${at} where key = $1`, [toStorableText(key)]);
    },
  };
}
