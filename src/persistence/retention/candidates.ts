/** Which threads there may be something to do about: a hop along the primary key each, and a look at its end. */
import type { EffectState } from "../../core/effect-ports.js";
import { textArray } from "../native/binary-array.js";
import type { SqlClient } from "../sql-pool.js";
import { headWaits, type ThreadKey } from "./plan-rows.js";

export interface Candidate {
  /** As it is stored. */
  readonly id: string;
  readonly name: string | null;
  /** It has more root checkpoints than are to be kept. */
  readonly over: boolean;
  /** Its last activity is longer ago than threads are to be kept. */
  readonly expired: boolean;
  /** Its newest root checkpoint. */
  readonly head: string | null;
}

/** Threads looked at a statement. */
const pageSize = 200;

/** A time in no known format becomes NULL, which `greatest` passes over. */
const lastActivitySql = (schema: string, threadId: string) => `(
  select greatest(
    (select updated_at from "${schema}".lgr_threads where thread_id = ${threadId}),
    (select case when checkpoint ->> 'ts' ~ '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d' then (checkpoint ->> 'ts')::timestamptz end
      from "${schema}".checkpoints where thread_id = ${threadId} and checkpoint_ns = '' order by checkpoint_id desc limit 1)))`;

const expiredSql = (schema: string, threadId: string, ttlMs: string) =>
  `coalesce(${lastActivitySql(schema, threadId)} < now() - ${ttlMs}::float8 * interval '1 millisecond', false)`;

const candidateSql = (schema: string, threadId: string, keepLast: string, ttlMs: string) => `
  select ${threadId} as id, (select name from "${schema}".lgr_threads where thread_id = ${threadId}) as name,
    ${keepLast}::int is not null and exists (
      select 1 from "${schema}".checkpoints where thread_id = ${threadId} and checkpoint_ns = ''
      order by checkpoint_id desc offset ${keepLast}::int limit 1
    ) as over,
    ${ttlMs}::float8 is not null and ${expiredSql(schema, threadId, ttlMs)} as expired,
    (select checkpoint_id from "${schema}".checkpoints where thread_id = ${threadId} and checkpoint_ns = ''
      order by checkpoint_id desc limit 1) as head`;

export interface Limits {
  readonly keepLast: number | false;
  readonly ttlMs: number | false;
}

const orNull = (limit: number | false) => (limit === false ? null : limit);

/** Threads with checkpoints after this ID, in its order. Fewer than a page: there are no more. */
export async function candidatesAfter(
  client: SqlClient,
  schema: string,
  after: string | undefined,
  { keepLast, ttlMs }: Limits,
): Promise<{ readonly threads: readonly Candidate[]; readonly next: string | undefined }> {
  const next = (than: string) =>
    `select thread_id from "${schema}".checkpoints where ${than} order by thread_id limit 1`;
  const { rows } = await client.query<Candidate>(
    `with recursive hop(id, n) as (
      (select thread_id, 1 from (${next("$1::text is null or thread_id > $1")}) first)
      union all
      select (${next("thread_id > hop.id")}), hop.n + 1 from hop where hop.id is not null and hop.n < ${pageSize}
    ) select c.* from hop cross join lateral (${candidateSql(schema, "hop.id", "$2", "$3")}) c where hop.id is not null
    order by hop.n`,
    [after ?? null, orNull(keepLast), orNull(ttlMs)],
  );
  return { threads: rows, next: rows.length < pageSize ? undefined : rows.at(-1)?.id };
}

/** Threads that came to nothing: a record without a checkpoint. */
export async function expiredRecords(
  client: SqlClient,
  schema: string,
  ttlMs: number,
  limit: number,
): Promise<Candidate[]> {
  const { rows } = await client.query<Candidate>(
    `select thread_id as id, name, false as over, true as expired, null as head from "${schema}".lgr_threads t
      where updated_at < now() - $1::float8 * interval '1 millisecond'
        and not exists (select 1 from "${schema}".checkpoints c where c.thread_id = t.thread_id) limit $2`,
    [ttlMs, limit],
  );
  return rows;
}

/** One thread; undefined where there is none. */
export async function candidateOf(
  client: SqlClient,
  schema: string,
  threadId: string,
  { keepLast, ttlMs }: Limits,
): Promise<Candidate | undefined> {
  const { rows } = await client.query<Candidate & { known: boolean }>(
    `select c.*, c.head is not null or exists (select 1 from "${schema}".lgr_threads where thread_id = $1)
        or exists (select 1 from "${schema}".checkpoints where thread_id = $1) as known
      from (${candidateSql(schema, "$1::text", "$2", "$3")}) c`,
    [threadId, orNull(keepLast), orNull(ttlMs)],
  );
  return rows[0]?.known === true ? rows[0] : undefined;
}

/** What speaks against deleting a thread whose time is over. */
export async function objectionToDelete(
  client: SqlClient,
  schema: string,
  thread: ThreadKey,
  ttlMs: number,
): Promise<string | undefined> {
  const { rows } = await client.query<{ expired: boolean }>(`select ${expiredSql(schema, "$1", "$2")} as expired`, [
    thread.id,
    ttlMs,
  ]);
  return rows[0]?.expired === true ? objectionAtAnyTime(client, schema, thread) : "active again";
}

/** What speaks against deleting a thread that has ended in success. */
export async function objectionToDeleteSucceeded(
  client: SqlClient,
  schema: string,
  thread: ThreadKey,
): Promise<string | undefined> {
  return (await hasSucceeded(client, schema, thread)) ? objectionAtAnyTime(client, schema, thread) : "not succeeded";
}

export async function hasSucceeded(client: SqlClient, schema: string, { id }: ThreadKey): Promise<boolean> {
  const sql = `select 1 from "${schema}".lgr_threads where thread_id = $1 and status = 'succeeded'`;
  return (await client.query(sql, [id])).rows.length > 0;
}

/** Effects that may have happened, or stand although they were to be undone: with the thread, nobody would know. */
const unsettled: readonly EffectState[] = ["dispatched", "unknown", "compensating", "compensation_failed"];

async function objectionAtAnyTime(client: SqlClient, schema: string, thread: ThreadKey): Promise<string | undefined> {
  const { rows } = await client.query<{ pinned: boolean; unsettled: boolean; asked: boolean }>(
    `select exists (select 1 from "${schema}".lgr_pins where thread_id = $1) as pinned,
      exists (select 1 from "${schema}".lgr_effects where thread_id = $1 and state = any($2::text[])) as unsettled,
      exists (select 1 from "${schema}".lgr_threads where thread_id = $1 and status = 'waiting_human') as asked`,
    [thread.id, textArray(unsettled)],
  );
  if (rows[0]?.pinned === true) return "pinned";
  if (rows[0]?.unsettled === true) return "has unsettled effects";
  return rows[0]?.asked === true || (await headWaits(client, schema, thread)) ? "waits for a person" : undefined;
}
