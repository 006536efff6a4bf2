/**
 * The one statement that stores what any number of threads have waiting: checkpoints, contents and writes, each only
 * while its run holds the lease it was begun under. One round trip and one commit, all or nothing but for what a lost
 * lease or a missing parent holds back, which the answer names.
 */
import type { HeldLease } from "../../core/run-hold.js";
import type { Statement } from "../sql-pool.js";
import { bigintArray, boolArray, intArray, textArray, uuidArray } from "./binary-array.js";
import { few } from "./look-up.js";
import type { StoredObject } from "./stored-object.js";
import { checksumOfTimeSql, type TaskWrites } from "./task-writes.js";

export interface CheckpointRow {
  readonly threadId: string;
  readonly namespace: string;
  readonly checkpointId: string;
  readonly parentId: string | undefined;
  readonly header: string;
  /** JSON. */
  readonly checkpoint: string;
  /** JSON. */
  readonly metadata: string;
  /** Whether it stands on contents that are only sure to be there while its parent is. */
  readonly needsParent: boolean;
}

export interface WritesRow extends Omit<TaskWrites, "objects"> {
  readonly checkpointKey: string;
  readonly checksum: number;
}

export interface ThreadRow {
  readonly threadId: string;
  readonly graph: string | undefined;
}

/** What one call of the saver stores. */
export interface Parcel {
  readonly threadKey: string;
  readonly lease: HeldLease | undefined;
  readonly checkpoint?: CheckpointRow;
  readonly writes: readonly WritesRow[];
  readonly objects: readonly StoredObject[];
  readonly thread?: ThreadRow;
}

/** Places are numbers from 1 on: of the leases given, and of the checkpoints given. */
export interface WriteAnswer {
  /** Leases that are held, in any order. */
  readonly held: number[] | null;
  /** Checkpoints that were not stored, for their parent is gone. */
  readonly orphans: number[] | null;
}

/** Rows are looked up one by one, by scalar and lateral subqueries: see look-up.ts. */
export function writeSql(schema: string): string {
  const at = (table: string) => `"${schema}".${table}`;
  const allowed = "(x.lease = 0 or x.lease in (select n from held))";
  return `with held as materialized (
    select x.n::int as n from unnest($1::text[], $2::int8[]) with ordinality as x(name, token, n)
    cross join lateral (
      select 1 from ${at("lgr_locks")} l where l.name = x.name and l.token = x.token and l.expires_at > now() for share
    ) l where ${few("x.token")}
  ), needy as materialized (
    select x.* from unnest($3::text[], $4::text[], $6::text[], $10::bool[])
      with ordinality as x(thread_id, ns, parent, needs_parent, n)
    where x.needs_parent and ${few("x.n")}
  ), orphans as materialized (
    select x.n from needy x where (
      select true from ${at("checkpoints")} p
      where p.thread_id = x.thread_id and p.checkpoint_ns = x.ns and p.checkpoint_id = x.parent and p.type is not null
    ) is null
  ), objects as (
    insert into ${at("lgr_objects")} as o (thread_key, hash, links, body)
    select x.thread_key, x.hash, x.links::uuid[], x.body
    from unnest($12::uuid[], $13::uuid[], $14::text[], $15::text[], $16::int4[]) as x(thread_key, hash, links, body, lease)
    where ${allowed}
    on conflict (thread_key, hash) do update set stored_at = now() where o.stored_at < now() - interval '1 minute'
  ), clock as materialized (select clock_timestamp() as at), writes as (
    insert into ${at("lgr_writes")} as w (thread_key, checkpoint_key, task_id, number, report, links, body, check_sum, stored_at)
    select x.thread_key, x.checkpoint_key, x.task_id, x.number, x.report, x.links::uuid[], x.body,
      x.checksum + ${checksumOfTimeSql("x.at")}, x.at
    from (
      select given.*, clock.at + given.n * interval '1 microsecond' as at
      from unnest($17::uuid[], $18::uuid[], $19::text[], $20::int4[], $21::int4[], $22::text[], $23::text[], $24::int8[], $25::int4[])
        with ordinality as given(thread_key, checkpoint_key, task_id, number, report, links, body, checksum, lease, n), clock
    ) x
    where ${allowed}
    on conflict (thread_key, checkpoint_key, task_id, number) do update
      set report = excluded.report, links = excluded.links, body = excluded.body, check_sum = excluded.check_sum,
        stored_at = excluded.stored_at
      where excluded.number < 0
    returning w.thread_key, w.checkpoint_key, (w.xmax = 0) as added
  ), counts as (
    insert into ${at("lgr_write_counts")} as c (thread_key, checkpoint_key, count)
    select thread_key, checkpoint_key, count(*)::int from writes where added group by thread_key, checkpoint_key
    on conflict (thread_key, checkpoint_key) do update set count = c.count + excluded.count
  ), threads as (
    insert into ${at("lgr_threads")} as t (thread_id, graph)
    select x.thread_id, x.graph from unnest($26::text[], $27::text[], $28::int4[]) as x(thread_id, graph, lease)
    where ${allowed}
    on conflict (thread_id) do update set graph = coalesce(excluded.graph, t.graph), updated_at = now(),
      status = case when t.status = 'running' then t.status end, error = case when t.status = 'running' then t.error end
      where (excluded.graph is not null and t.graph is distinct from excluded.graph)
        or (t.status is distinct from 'running' and (t.status is not null or t.error is not null))
  ), checkpoints as (
    insert into ${at("checkpoints")} as c
      (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
    select x.thread_id, x.ns, x.id, x.parent, x.header, x.checkpoint::jsonb, x.metadata::jsonb
    from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $11::int4[])
      with ordinality as x(thread_id, ns, id, parent, header, checkpoint, metadata, lease, n)
    where x.n not in (select n from orphans) and ${allowed}
    on conflict (thread_id, checkpoint_ns, checkpoint_id) do update set
      parent_checkpoint_id = excluded.parent_checkpoint_id, type = excluded.type,
      checkpoint = excluded.checkpoint, metadata = excluded.metadata
  )
  select (select array_agg(n) from held) as held, (select array_agg(n::int) from orphans) as orphans`;
}

/** @param parcels no two with the same checkpoint, the same row of writes, or the same content of a thread */
export function writeStatement(text: string, name: string | undefined, parcels: readonly Parcel[]): Statement {
  const leases = new Map<HeldLease, number>();
  const leaseOf = ({ lease }: Parcel) => {
    if (lease === undefined) return 0;
    const place = leases.get(lease) ?? leases.size + 1;
    leases.set(lease, place);
    return place;
  };
  const c = { rows: [] as CheckpointRow[], leases: [] as number[] };
  const o = { keys: [] as string[], rows: [] as StoredObject[], leases: [] as number[] };
  const w = { keys: [] as string[], rows: [] as WritesRow[], leases: [] as number[] };
  const t = { rows: [] as ThreadRow[], leases: [] as number[] };
  for (const parcel of parcels) {
    const lease = leaseOf(parcel);
    if (parcel.checkpoint !== undefined) {
      c.rows.push(parcel.checkpoint);
      c.leases.push(lease);
    }
    for (const object of parcel.objects) {
      o.keys.push(parcel.threadKey);
      o.rows.push(object);
      o.leases.push(lease);
    }
    for (const row of parcel.writes) {
      w.keys.push(parcel.threadKey);
      w.rows.push(row);
      w.leases.push(lease);
    }
    if (parcel.thread !== undefined) {
      t.rows.push(parcel.thread);
      t.leases.push(lease);
    }
  }
  const held = [...leases.keys()];
  const values = [
    textArray(held.map((lease) => lease.name)),
    bigintArray(held.map((lease) => lease.token)),
    textArray(c.rows.map((row) => row.threadId)),
    textArray(c.rows.map((row) => row.namespace)),
    textArray(c.rows.map((row) => row.checkpointId)),
    textArray(c.rows.map((row) => row.parentId ?? null)),
    textArray(c.rows.map((row) => row.header)),
    textArray(c.rows.map((row) => row.checkpoint)),
    textArray(c.rows.map((row) => row.metadata)),
    boolArray(c.rows.map((row) => row.needsParent)),
    intArray(c.leases),
    uuidArray(o.keys),
    uuidArray(o.rows.map((object) => object.hash)),
    textArray(o.rows.map(linksText)),
    textArray(o.rows.map((object) => object.body)),
    intArray(o.leases),
    uuidArray(w.keys),
    uuidArray(w.rows.map((row) => row.checkpointKey)),
    textArray(w.rows.map((row) => row.taskId)),
    intArray(w.rows.map((row) => row.number)),
    intArray(w.rows.map((row) => row.report)),
    textArray(w.rows.map(linksText)),
    textArray(w.rows.map((row) => row.body)),
    bigintArray(w.rows.map((row) => row.checksum)),
    intArray(w.leases),
    textArray(t.rows.map((row) => row.threadId)),
    textArray(t.rows.map((row) => row.graph ?? null)),
    intArray(t.leases),
  ];
  return { text, values, ...(name === undefined ? {} : { name }) };
}

/** Which lease of the statement is whose, in the order of the answer. */
export function leasesOf(parcels: readonly Parcel[]): HeldLease[] {
  return [...new Set(parcels.flatMap(({ lease }) => (lease === undefined ? [] : [lease])))];
}

function linksText({ links }: Pick<StoredObject, "links">): string | null {
  return links.length === 0 ? null : `{${links.join()}}`;
}
