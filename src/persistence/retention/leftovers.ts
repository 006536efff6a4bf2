/**
 * Contents that nothing needs any more but that are too young to go. That a thread has some is noted among the leases,
 * as one that nobody holds and that ends when they are old enough, so that any process comes back to it.
 */
import type { SqlClient } from "../sql-pool.js";
import type { ThreadKey } from "./plan-rows.js";

const prefix = "leftovers/";

export async function noteLeftovers(client: SqlClient, schema: string, { id }: ThreadKey): Promise<void> {
  await client.query(
    `insert into "${schema}".lgr_locks (name, token, holder, expires_at)
      values ($1, 0, 'retention', now() + interval '11 minutes')
      on conflict (name) do update set expires_at = excluded.expires_at`,
    [prefix + id],
  );
}

/** @param young how many are left */
export async function settleLeftovers(
  client: SqlClient,
  schema: string,
  thread: ThreadKey,
  young: number,
): Promise<void> {
  if (young > 0) await noteLeftovers(client, schema, thread);
  else await client.query(`delete from "${schema}".lgr_locks where name = $1`, [prefix + thread.id]);
}

/** IDs of threads that have some which are old enough, as they are stored. */
export async function dueLeftovers(client: SqlClient, schema: string, limit: number): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `select substr(name, ${prefix.length + 1}) as id from "${schema}".lgr_locks
      where name like '${prefix}%' and expires_at <= now() order by expires_at limit $1`,
    [limit],
  );
  return rows.map(({ id }) => id);
}
