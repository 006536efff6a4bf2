import type { LeaseAnswer, LeaseStore } from "../core/store-ports.js";
import type { SqlPool } from "./sql-pool.js";
import { repeatableQuery } from "./sql-query.js";
import { fromStorableText, toStorableText } from "./storable-text.js";

interface Row {
  token: string;
  /** NULL where the lease is the asker's. */
  holder: string | null;
  expires_in_ms: string;
}

/**
 * Takes the lease on condition, and says who has it otherwise. Repeated by the same holder it gives the same token, so
 * that it does no harm when the first reply was lost.
 *
 * @param isFree of the stored row `held`: whether it may be taken
 */
const takeSql = (schema: string, isFree: string) => `
  with taken as (
    insert into "${schema}".lgr_locks as held (name, token, holder, expires_at)
    values ($1, nextval('"${schema.replaceAll("'", "''")}".lgr_lock_tokens'), $2, now() + $3::float8 * interval '1 millisecond')
    on conflict (name) do update set
      token = case when held.holder = excluded.holder then held.token else excluded.token end,
      holder = excluded.holder, expires_at = excluded.expires_at
    where held.holder = excluded.holder or ${isFree}
    returning token
  )
  select token, null as holder, 0 as expires_in_ms from taken
  union all
  select token, holder, ceil(extract(epoch from expires_at - now()) * 1000)::bigint
  from "${schema}".lgr_locks where name = $1 and not exists (select 1 from taken)`;

/** Leases as rows; the database's clock decides. */
export function createSqlLocks(open: () => Promise<SqlPool>, schema: string): LeaseStore {
  const query = repeatableQuery(open);
  const acquireSql = takeSql(schema, "held.expires_at <= now()");
  const takeOverSql = takeSql(schema, "(held.expires_at <= now() or held.token = $4::bigint)");
  const take = async (sql: string, values: unknown[]): Promise<LeaseAnswer> => {
    for (;;) {
      const [row] = await query<Row>(sql, values);
      // Another made the row while this statement ran, which refused it and does not see it; the next one does.
      if (row === undefined) continue;
      const token = Number(row.token);
      if (row.holder === null) return { kind: "held", token };
      const expiresInMs = Math.max(0, Number(row.expires_in_ms));
      return { kind: "busy", holder: fromStorableText(row.holder), token, expiresInMs };
    }
  };
  return {
    acquire: (name, holder, leaseMs) => take(acquireSql, [toStorableText(name), toStorableText(holder), leaseMs]),
    takeOver: (name, token, holder, leaseMs) =>
      take(takeOverSql, [toStorableText(name), toStorableText(holder), leaseMs, token]),
    async renew(name, token, leaseMs) {
      const rows = await query(
        `update "${schema}".lgr_locks set expires_at = now() + $3::float8 * interval '1 millisecond'
          where name = $1 and token = $2::bigint returning 1`,
        [toStorableText(name), token, leaseMs],
      );
      return rows.length > 0;
    },
    async release(name, token) {
      await query(`delete from "${schema}".lgr_locks where name = $1 and token = $2::bigint`, [
        toStorableText(name),
        token,
      ]);
    },
  };
}
