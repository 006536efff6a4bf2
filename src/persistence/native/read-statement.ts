/**
 * The one statement that reads checkpoints with all they need, in this format and in stock's. It gives rows of several
 * kinds, told apart by `kind`, as texts: node-postgres parses nothing, and a content shared by many checkpoints comes
 * once.
 */
import { headerHashesSql } from "./header.js";
import { few, lookUp } from "./look-up.js";
import { checkpointKeySql, threadKeySql } from "./stored-object.js";
import { checksumSql } from "./task-writes.js";

export const kinds = { checkpoint: 0, writes: 1, object: 2, stockWrite: 3, stockValue: 4 } as const;

/** Columns a to h by kind; see the selects below. */
export interface ReadRow {
  readonly kind: number;
  /** Place of the checkpoint in the order asked for, from 1; of rows of writes and values, that of their checkpoint. */
  readonly n: number | null;
  readonly a: string | null;
  readonly b: string | null;
  readonly c: string | null;
  readonly d: string | null;
  readonly e: string | null;
  readonly f: string | null;
  readonly g: string | null;
}

export interface ReadOptions {
  readonly schema: string;
  /** SQL that selects rows of `checkpoints cp`, with what follows it: where, order, limit. */
  readonly head: string;
  /** Number of the parameter with hashes of contents that the reader has. */
  readonly known: number;
  /** Number of the parameter with the only channels whose values are wanted: of stock's checkpoints, none of ours. */
  readonly channels?: number;
  /** Whether the tables of this package are there; without them only stock's format is read. */
  readonly ownTables: boolean;
}

const headColumns = "thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata";

export function readSql(options: ReadOptions): string {
  const { schema, head } = options;
  const columns = headColumns.split(", ").map((column) => `cp.${column}`);
  return withHead(
    `heads as materialized (
      select *, row_number() over () as n from (select ${columns.join(", ")} from "${schema}".checkpoints cp ${head}) head
    )`,
    options,
  );
}

/** Parameters: threads, namespaces and checkpoints (null: the newest), and hashes of contents that the reader has. */
export function severalSql(options: Pick<ReadOptions, "schema" | "ownTables">): string {
  const at = `"${options.schema}".checkpoints`;
  const columns = headColumns.split(", ").map((column) => `cp.${column}`);
  return withHead(
    `heads as materialized (
      select ${columns.join(", ")}, q.n
      from unnest($1::text[], $2::text[], $3::text[]) with ordinality as q(thread_id, ns, id, n)
      ${lookUp(at, "cp", {
        thread_id: "q.thread_id",
        checkpoint_ns: "q.ns",
        checkpoint_id: `coalesce(q.id, (select m.checkpoint_id from ${at} m
          where m.thread_id = q.thread_id and m.checkpoint_ns = q.ns order by m.checkpoint_id desc limit 1))`,
      })}
      where ${few("q.n")}
    )`,
    { ...options, head: "", known: 4 },
  );
}

/**
 * A checkpoint, for its header alone, and so many of its ancestors, nearest first, up to and with a certain one.
 *
 * Parameters: thread, namespace, checkpoint, how many, the ancestor to stop at, the channels whose values are read of
 * checkpoints in stock's format (none of ours), and hashes of contents that the reader has.
 */
export function ancestorsSql(options: Pick<ReadOptions, "schema" | "ownTables">): string {
  const { schema } = options;
  const columns = headColumns.split(", ");
  const of = (alias: string) => columns.map((column) => `${alias}.${column}`).join(", ");
  return withHead(
    `heads(${headColumns}, n) as (
      select ${of("t")}, 0 from "${schema}".checkpoints t
      where t.thread_id = $1 and t.checkpoint_ns = $2 and t.checkpoint_id = $3
      union all
      select ${of("p")}, c.n + 1 from heads c
      ${lookUp(`"${schema}".checkpoints`, "p", {
        thread_id: "c.thread_id",
        checkpoint_ns: "c.checkpoint_ns",
        checkpoint_id: "c.parent_checkpoint_id",
      })}
      where c.n < $4::int and (c.n = 0 or c.checkpoint_id <> $5)
    )`,
    { ...options, head: "", channels: 6, known: 7 },
  );
}

function withHead(heads: string, { schema, known, channels, ownTables }: ReadOptions): string {
  const ours = channels === undefined ? "k.type is not null" : "false";
  const stocks = channels === undefined ? "" : `and bl.channel = any($${channels}::text[])`;
  const path = ownTables ? "coalesce(tp.task_path, '')" : "''";
  const joinPath = ownTables
    ? `left ${lookUp(`"${schema}".lgr_task_paths`, "tp", {
        thread_id: "cw.thread_id",
        checkpoint_ns: "cw.checkpoint_ns",
        checkpoint_id: "cw.checkpoint_id",
        task_id: "cw.task_id",
      })}`
    : "";
  const stock = `
    select ${kinds.stockWrite}, k.n::int, cw.task_id, cw.idx::text, cw.channel, cw.type, encode(cw.blob, 'base64'), ${path}, null
    from keyed k ${lookUp(`"${schema}".checkpoint_writes`, "cw", {
      thread_id: "k.thread_id",
      checkpoint_ns: "k.checkpoint_ns",
      checkpoint_id: "k.checkpoint_id",
    })} ${joinPath}
    where k.n > 0
    union all
    select ${kinds.stockValue}, k.n::int, bl.channel, bl.type, encode(bl.blob, 'base64'), null, null, null, null
    from keyed k
    cross join lateral jsonb_each_text(case when k.type is null
      and jsonb_typeof(k.checkpoint -> 'channel_versions') = 'object' then k.checkpoint -> 'channel_versions' end) as v(key, value)
    ${lookUp(`"${schema}".checkpoint_blobs`, "bl", {
      thread_id: "k.thread_id",
      checkpoint_ns: "k.checkpoint_ns",
      channel: "v.key",
      version: "v.value",
    })}
    where bl.type <> 'empty' and k.n > 0 and ${few("v.key")} ${stocks}`;
  const checkpoint = (count: string) => `
    select ${kinds.checkpoint} as kind, k.n::int as n, k.thread_id as a, k.checkpoint_ns as b, k.checkpoint_id as c,
      k.parent_checkpoint_id as d, k.type as e, case when k.type is null then k.checkpoint::text end as f,
      k.metadata::text || E'\\n' || ${count} as g from keyed k`;
  if (!ownTables)
    return `with recursive ${heads}, keyed as (select * from heads) ${checkpoint("0")} union all ${stock} and $${known}::uuid[] is not null`;
  const ofCheckpoint = { thread_key: "k.thread_key", checkpoint_key: "k.checkpoint_key" };
  const object = lookUp(`"${schema}".lgr_objects`, "o", { thread_key: "d.thread_key", hash: "d.hash" });
  return `with recursive ${heads}, keyed as materialized (
      select *, ${threadKeySql("thread_id")} as thread_key, ${checkpointKeySql("checkpoint_ns", "checkpoint_id")} as checkpoint_key
      from heads
    ), pending as materialized (
      select w.*, k.n from keyed k
      ${lookUp(`"${schema}".lgr_writes`, "w", ofCheckpoint)}
      where k.n > 0
    ), needed(thread_key, hash) as (
      (
        select k.thread_key, x.hash from keyed k cross join lateral ${headerHashesSql("k.type")} as x
        where ${ours} and ${few("x.hash")}
        union
        select p.thread_key, l.hash from pending p cross join lateral unnest(p.links) as l(hash) where ${few("l.hash")}
      )
      union
      select o.thread_key, l.hash from needed d
      ${object}
      cross join lateral unnest(o.links) as l(hash)
      where d.hash <> all ($${known}::uuid[]) and ${few("d.hash")}
    ) ${checkpoint("coalesce(wc.count, 0)")}
    left ${lookUp(`"${schema}".lgr_write_counts`, "wc", ofCheckpoint)}
    union all
    select ${kinds.writes}, p.n::int, p.task_id, p.number::text, p.report::text, p.links::text, p.body, ${checksumSql("p")},
      extract(epoch from p.stored_at)::text
    from pending p
    union all
    select ${kinds.object}, null, d.thread_key::text, d.hash::text, o.links::text, o.body, null, null, null
    from needed d ${object}
    where d.hash <> all ($${known}::uuid[]) and ${few("d.hash")}
    union all ${stock}`;
}

/** The objects with the hashes of parameter 2, of the thread with the key of parameter 1, and what they stand on. */
export function objectsSql(schema: string): string {
  const object = lookUp(`"${schema}".lgr_objects`, "o", { thread_key: "$1::uuid", hash: "d.hash" });
  return `with recursive needed(hash) as (
      select * from unnest($2::uuid[])
      union
      select l.hash from needed d
      ${object}
      cross join lateral unnest(o.links) as l(hash)
      where ${few("d.hash")}
    )
    select ${kinds.object} as kind, null as n, $1::text as a, d.hash::text as b, o.links::text as c, o.body as d,
      null as e, null as f, null as g
    from needed d ${object} where ${few("d.hash")}`;
}
