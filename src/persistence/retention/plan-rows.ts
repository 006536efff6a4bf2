/** The checkpoints of a thread as the plan sees them, in three statements. */
import { TASKS } from "@langchain/langgraph-checkpoint";
import { headerChannelsSql } from "../native/header.js";
import { checkpointKey, checkpointKeySql } from "../native/stored-object.js";
import { report } from "../native/task-writes.js";
import { reportChannels } from "../pending.js";
import type { SqlClient } from "../sql-pool.js";
import type { PlanRow } from "./plan.js";

/** A thread, as it is stored. */
export interface ThreadKey {
  readonly id: string;
  readonly key: string;
}

interface Row {
  readonly ns: string;
  readonly id: string;
  readonly parent: string | null;
  readonly place: number;
  readonly source: string | null;
  readonly parents: string | null;
  readonly needs_parent: boolean;
  readonly pinned: boolean;
  readonly damaged: boolean;
}

const counters = `case when jsonb_typeof(cp.metadata -> 'counters_since_delta_snapshot') = 'object'
  then cp.metadata -> 'counters_since_delta_snapshot' else '{}' end`;

/** Wherever a checkpoint of a delta channel has no value of it, it counts since when. */
const deltaChannelsSql = (schema: string) =>
  `select coalesce(array_agg(distinct channel), '{}') as channels
  from "${schema}".checkpoints cp cross join lateral jsonb_object_keys(${counters}) as channel where cp.thread_id = $1`;

/**
 * A channel without a value needs the ancestors, unless it has no version either: then it was never written. Before
 * LangGraph marked it so in the metadata, `updateState` could write one without a version.
 */
const openChannelSql = (schema: string) => `exists (
  select 1 from unnest($3::text[]) as w where case when cp.type is not null
    then not (${headerChannelsSql("cp.type")} ? w)
      and (not flagged or (substr(cp.type, strpos(cp.type, '{'))::jsonb -> 'c') ? w)
    else (not flagged or (cp.checkpoint -> 'channel_versions') ? w) and not exists (
      select 1 from "${schema}".checkpoint_blobs b
      where b.thread_id = cp.thread_id and b.checkpoint_ns = cp.checkpoint_ns and b.channel = w
        and b.version = cp.checkpoint -> 'channel_versions' ->> w and b.type <> 'empty') end)`;

/** Checkpoints of a format before 4 keep the sends that lead to them in the writes of their parent. */
const sendsInParentSql = (schema: string) => `(
  not coalesce(jsonb_typeof(cp.checkpoint -> 'v') = 'number' and cp.checkpoint -> 'v' >= '4', false) and (
    exists (
      select 1 from "${schema}".checkpoint_writes w
      where w.thread_id = cp.thread_id and w.checkpoint_ns = cp.checkpoint_ns
        and w.checkpoint_id = cp.parent_checkpoint_id and w.channel = '${TASKS}')
    or exists (
      select 1 from "${schema}".lgr_writes w
      where w.thread_key = $2::uuid
        and w.checkpoint_key = ${checkpointKeySql("cp.checkpoint_ns", "cp.parent_checkpoint_id")}
        and strpos(split_part(w.body, E'\\n', 1), '"${TASKS}"') > 0)))`;

const rowsSql = (schema: string) => `
  select cp.checkpoint_ns as ns, cp.checkpoint_id as id, cp.parent_checkpoint_id as parent,
    (row_number() over (partition by cp.checkpoint_ns order by cp.checkpoint_id desc))::int as place,
    cp.metadata ->> 'source' as source, (cp.metadata -> 'parents')::text as parents,
    cp.parent_checkpoint_id is not null and (${openChannelSql(schema)} or ${sendsInParentSql(schema)}) as needs_parent,
    exists (
      select 1 from "${schema}".lgr_pins p where p.thread_id = cp.thread_id and p.checkpoint_id = cp.checkpoint_id
    ) as pinned,
    exists (
      select 1 from "${schema}".lgr_quarantine q where q.thread_id = cp.thread_id
        and q.checkpoint_ns = cp.checkpoint_ns and q.checkpoint_id = cp.checkpoint_id
    ) as damaged
  from "${schema}".checkpoints cp
  cross join lateral (select coalesce(cp.metadata -> 'delta_writes_versioned' = 'true', false) as flagged) f
  where cp.thread_id = $1`;

/** Keys of the checkpoints with a task that asked something and has not finished since. */
const waitingSql = (schema: string, ofOurs = "", ofStock = "") => `
  select distinct replace(checkpoint_key::text, '-', '') as key from (
    select checkpoint_key, task_id from (
      select checkpoint_key, task_id, report::int from "${schema}".lgr_writes where thread_key = $2::uuid ${ofOurs}
      union all
      select ${checkpointKeySql("checkpoint_ns", "checkpoint_id")}, task_id,
        case when channel = '__interrupt__' then ${report.interrupt}
          when channel in (${reportChannels.map((channel) => `'${channel}'`).join(", ")}) then 0
          else ${report.finished} end
      from "${schema}".checkpoint_writes where thread_id = $1 ${ofStock}
    ) written group by checkpoint_key, task_id
    having bit_or(report) & ${report.interrupt} > 0 and bit_or(report) & ${report.finished} = 0
  ) tasks`;

export async function readPlanRows(client: SqlClient, schema: string, thread: ThreadKey): Promise<PlanRow[]> {
  const delta = await client.query<{ channels: string[] }>(deltaChannelsSql(schema), [thread.id]);
  const { rows } = await client.query<Row>(rowsSql(schema), [thread.id, thread.key, delta.rows[0]?.channels ?? []]);
  const waiting = await client.query<{ key: string }>(waitingSql(schema), [thread.id, thread.key]);
  const keys = new Set(waiting.rows.map(({ key }) => key));
  return rows.map(({ parents, needs_parent, ...row }) => ({
    ...row,
    parents: parents === null ? null : JSON.parse(parents),
    needsParent: needs_parent,
    waits: keys.size > 0 && keys.has(checkpointKey(row.ns, row.id)),
  }));
}

/** Changes whenever somebody else has written to the thread. */
export async function readFingerprint(client: SqlClient, schema: string, thread: ThreadKey): Promise<string> {
  const { rows } = await client.query<{ mark: string }>(
    `select concat_ws(' ',
      (select max(checkpoint_id) from "${schema}".checkpoints where thread_id = $1),
      (select count(*) from "${schema}".checkpoints where thread_id = $1),
      (select count(*) from "${schema}".checkpoint_writes where thread_id = $1),
      (select count(*) from "${schema}".lgr_writes where thread_key = $2::uuid),
      (select string_agg(checkpoint_id, ',' order by checkpoint_id) from "${schema}".lgr_pins where thread_id = $1)
    ) as mark`,
    [thread.id, thread.key],
  );
  return rows[0]?.mark ?? "";
}

/** Whether the newest root checkpoint waits for an answer. */
export async function headWaits(client: SqlClient, schema: string, thread: ThreadKey): Promise<boolean> {
  const head = await client.query<{ id: string }>(
    `select checkpoint_id as id from "${schema}".checkpoints
      where thread_id = $1 and checkpoint_ns = '' order by checkpoint_id desc limit 1`,
    [thread.id],
  );
  const id = head.rows[0]?.id;
  if (id === undefined) return false;
  const only = ["and checkpoint_key = $3::uuid", "and checkpoint_ns = '' and checkpoint_id = $4"] as const;
  const { rows } = await client.query(waitingSql(schema, ...only), [thread.id, thread.key, checkpointKey("", id), id]);
  return rows.length > 0;
}
