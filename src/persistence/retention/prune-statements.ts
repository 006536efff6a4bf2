/** The SQL of pruning: what goes, counted and, unless it is a dry run, deleted. */
import { textArray, uuidArray } from "../native/binary-array.js";
import { headerHashesSql } from "../native/header.js";
import { checkpointKey } from "../native/stored-object.js";
import type { Statement } from "../sql-pool.js";
import type { PlanRow } from "./plan.js";
import type { ThreadKey } from "./plan-rows.js";

/**
 * How long a content stays after it was stored, in minutes, although nothing needs it: a writer counts for five minutes
 * on what it has stored, see native/state-cache.ts.
 */
const contentAgeMin = 10;

/** Contents looked at a statement. */
const contentsAtOnce = 5000;

export interface Tally {
  readonly rows: number;
  readonly bytes: number;
}

/** As node-postgres reads sums. */
export interface TallyRow {
  readonly rows: string;
  readonly bytes: string;
}

interface Table {
  readonly name: string;
  /** The columns that may be large, and in `fixed` the bytes of the others with the row's own. */
  readonly wide: readonly string[];
  readonly fixed: number;
}

const place = ["checkpoint_ns", "checkpoint_id"];
const byPlace: readonly Table[] = [
  {
    name: "checkpoints",
    wide: ["parent_checkpoint_id", "type", "checkpoint", "metadata", "thread_id", ...place],
    fixed: 28,
  },
  { name: "checkpoint_writes", wide: ["thread_id", ...place, "task_id", "channel", "type", "blob"], fixed: 32 },
  { name: "lgr_task_paths", wide: ["thread_id", ...place, "task_id", "task_path"], fixed: 28 },
  { name: "lgr_quarantine", wide: ["thread_id", ...place, "part"], fixed: 36 },
];
const byKey: readonly Table[] = [
  { name: "lgr_writes", wide: ["task_id", "links", "body"], fixed: 90 },
  { name: "lgr_write_counts", wide: [], fixed: 64 },
];
const byThread: readonly Table[] = [
  { name: "checkpoint_blobs", wide: ["thread_id", "checkpoint_ns", "channel", "version", "type", "blob"], fixed: 28 },
  { name: "lgr_attempts", wide: ["thread_id", "step", "record", "state"], fixed: 32 },
  {
    name: "lgr_streams",
    wide: ["thread_id", "node", "step", "stream", "writer", "after", "text", "ending"],
    fixed: 36,
  },
  {
    name: "lgr_effects",
    wide: ["thread_id", "key", "effect", "place", "state", "change", "entry"],
    fixed: 40,
  },
  {
    name: "lgr_inbox",
    wide: ["key", "value", "marks", "thread_id", "state", "graph", "node", "kind", "assignee", "claimed_by"],
    fixed: 76,
  },
  { name: "lgr_threads", wide: ["thread_id", "name", "graph", "status", "error"], fixed: 44 },
  { name: "lgr_pins", wide: ["thread_id", "checkpoint_id", "reason"], fixed: 36 },
];
const objects: Table = { name: "lgr_objects", wide: ["links", "body"], fixed: 68 };

/** The rows of these checkpoints and all that belongs to nothing but them, save contents. */
export function checkpointsStatement(
  schema: string,
  thread: ThreadKey,
  gone: readonly PlanRow[],
  remove: boolean,
): Statement {
  const ofPlace = "x.thread_id = $1 and x.checkpoint_ns = g.ns and x.checkpoint_id = g.id";
  const parts = [
    ...byPlace.map((table) => part(schema, table, "gone g", ofPlace, remove)),
    ...byKey.map((table) =>
      part(schema, table, "gone g", "x.thread_key = $2::uuid and x.checkpoint_key = g.key", remove),
    ),
  ];
  return {
    text: `with gone(ns, id, key) as materialized (select * from unnest($3::text[], $4::text[], $5::uuid[])),
      ${parts.join(",\n")} ${sum([...byPlace, ...byKey])}`,
    values: [thread.id, thread.key, ...goneValues(gone)],
  };
}

/** Everything of a thread, counted. */
export function wholeThreadStatement(schema: string, { id, key }: ThreadKey): Statement {
  const byId = [...byPlace, ...byThread];
  const byThreadKey = [...byKey, objects];
  const parts = [
    ...byId.map((table) => part(schema, table, undefined, "x.thread_id = $1", false)),
    ...byThreadKey.map((table) => part(schema, table, undefined, "x.thread_key = $2::uuid", false)),
  ];
  return { text: `with ${parts.join(",\n")} ${sum([...byId, ...byThreadKey])}`, values: [id, key] };
}

export interface ContentsRow extends TallyRow {
  /** Contents that nothing needs and that are too young to go. */
  readonly young: string;
  /** The last that was looked at; null at the end. */
  readonly last: string | null;
}

/**
 * Contents after this hash that no checkpoint needs, nor any writes of a task.
 *
 * @param gone checkpoints to count as deleted already, for a dry run
 */
export function contentsStatement(
  schema: string,
  { id, key }: ThreadKey,
  after: string | undefined,
  gone?: readonly PlanRow[],
): Statement {
  const stays = (place: string) => (gone === undefined ? "true" : `not exists (select 1 from gone g where ${place})`);
  const dry =
    gone === undefined
      ? ""
      : "gone(ns, id, key) as materialized (select * from unnest($4::text[], $5::text[], $6::uuid[])),";
  const old = `x.stored_at < now() - interval '${contentAgeMin} minutes'`;
  const size = sizeOf(objects);
  const found =
    gone === undefined
      ? `old as (delete from "${schema}".lgr_objects x using unneeded u
          where x.thread_key = $2::uuid and x.hash = u.hash and ${old} returning ${size} as size)`
      : `old as (select ${size} as size from "${schema}".lgr_objects x join unneeded u
          on x.thread_key = $2::uuid and x.hash = u.hash where ${old})`;
  return {
    text: `with recursive ${dry} needed(hash) as (
      (
        select h.hash from "${schema}".checkpoints cp cross join lateral ${headerHashesSql("cp.type")} as h
        where cp.thread_id = $1 and cp.type is not null and ${stays("g.ns = cp.checkpoint_ns and g.id = cp.checkpoint_id")}
        union
        select l.hash from "${schema}".lgr_writes w cross join lateral unnest(w.links) as l(hash)
        where w.thread_key = $2::uuid and ${stays("g.key = w.checkpoint_key")}
      )
      union
      select l.hash from needed d
      join "${schema}".lgr_objects o on o.thread_key = $2::uuid and o.hash = d.hash
      cross join lateral unnest(o.links) as l(hash)
    ), looked_at as materialized (
      select o.hash from "${schema}".lgr_objects o
      where o.thread_key = $2::uuid and ($3::uuid is null or o.hash > $3::uuid)
      order by o.hash limit ${contentsAtOnce}
    ), unneeded as materialized (
      select a.hash from looked_at a where not exists (select 1 from needed n where n.hash = a.hash)
    ), ${found}
    select (select count(*) from old) as rows, (select coalesce(sum(size), 0) from old) as bytes,
      (select count(*) from unneeded) - (select count(*) from old) as young,
      (select hash::text from looked_at order by hash desc limit 1) as last`,
    values: [id, key, after ?? null, ...(gone === undefined ? [] : goneValues(gone))],
  };
}

/** Values in stock's format of which no checkpoint in that format has the version. */
export function blobsStatement(
  schema: string,
  { id }: ThreadKey,
  gone: readonly PlanRow[],
  remove: boolean,
): Statement {
  const table: Table = byThread[0] as Table;
  const unneeded = `x.thread_id = $1 and not exists (
    select 1 from versions v where v.ns = x.checkpoint_ns and v.channel = x.channel and v.version = x.version)`;
  return {
    text: `with gone(ns, id, key) as materialized (select * from unnest($2::text[], $3::text[], $4::uuid[])),
      versions as materialized (
        select cp.checkpoint_ns as ns, v.key as channel, v.value as version from "${schema}".checkpoints cp
        cross join lateral jsonb_each_text(cp.checkpoint -> 'channel_versions') as v(key, value)
        where cp.thread_id = $1 and cp.type is null
          and not exists (select 1 from gone g where g.ns = cp.checkpoint_ns and g.id = cp.checkpoint_id)
      ), ${part(schema, table, undefined, unneeded, remove)} ${sum([table])}`,
    values: [id, ...goneValues(gone)],
  };
}

function part(schema: string, table: Table, using: string | undefined, where: string, remove: boolean): string {
  const from = `"${schema}".${table.name} x`;
  const rows = remove
    ? `delete from ${from}${using === undefined ? "" : ` using ${using}`} where ${where} returning ${sizeOf(table)} as size`
    : `select ${sizeOf(table)} as size from ${from}${using === undefined ? "" : ` cross join ${using}`} where ${where}`;
  return `${table.name}_part as (${rows})`;
}

function sum(tables: readonly Table[]): string {
  const all = tables.map(({ name }) => `select size from ${name}_part`).join(" union all ");
  return `select count(*) as rows, coalesce(sum(size), 0) as bytes from (${all}) parts`;
}

function sizeOf({ wide, fixed }: Table): string {
  return [String(fixed), ...wide.map((column) => `coalesce(pg_column_size(x.${column}), 0)`)].join(" + ");
}

function goneValues(gone: readonly PlanRow[]): unknown[] {
  return [
    textArray(gone.map((row) => row.ns)),
    textArray(gone.map((row) => row.id)),
    uuidArray(gone.map((row) => checkpointKey(row.ns, row.id))),
  ];
}
