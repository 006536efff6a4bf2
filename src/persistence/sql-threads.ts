import { crashPoint } from "../core/crash-points.js";
import type { ThreadFilter, ThreadPatch, ThreadRecord, ThreadStatus, ThreadStore } from "../core/ports.js";
import { checkpointKeySql, threadKeySql } from "./native/stored-object.js";
import { report } from "./native/task-writes.js";
import { reportChannels } from "./pending.js";
import type { SqlPool } from "./sql-pool.js";
import { repeatableQuery } from "./sql-query.js";
import { fromStorableText, toStorableText } from "./storable-text.js";
import { defaultThreadLimit, nameTaken } from "./thread-rules.js";

interface Row {
  thread_id: string;
  name: string | null;
  graph: string | null;
  status: ThreadStatus | null;
  error: string | null;
  created_at: Date | null;
  updated_at: Date | null;
  checkpoints: number;
  last_checkpoint_id: string | null;
  pending: "interrupt" | "error" | null;
}

/** `greatest` and `coalesce` pass over the NULL that a time in no known format becomes. */
const checkpointTime = `case when checkpoint ->> 'ts' ~ '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d'
  then (checkpoint ->> 'ts')::timestamptz end`;

/** The threads that `candidates` selects, with or without a record of their own: what tells which to show, and in what order. */
const headsSql = (schema: string, candidates: string) => `
  select c.thread_id, t.name, coalesce(t.graph, newest.graph) as graph, t.status, t.error, t.created_at,
    greatest(t.updated_at, newest.ts) as updated_at, newest.checkpoint_id as last_checkpoint_id
  from (${candidates}) c
  left join "${schema}".lgr_threads t on t.thread_id = c.thread_id
  left join lateral (
    select checkpoint_id, metadata ->> 'graph_id' as graph, ${checkpointTime} as ts from "${schema}".checkpoints
    where thread_id = c.thread_id and checkpoint_ns = '' order by checkpoint_id desc limit 1
  ) newest on true`;

/** What the newest checkpoint of the row `head` waits for: what the writes of its unfinished tasks report. */
const pendingSql = (schema: string) => `(
  select case when bool_or(report & ${report.interrupt} > 0) then 'interrupt'
    when bool_or(report & ${report.error} > 0) then 'error' end
  from (
    select bit_or(report) as report from (
      select task_id, report::int from "${schema}".lgr_writes
      where thread_key = ${threadKeySql("head.thread_id")}
        and checkpoint_key = ${checkpointKeySql("''", "head.last_checkpoint_id")}
      union all
      select task_id, case channel when '__interrupt__' then ${report.interrupt} when '__error__' then ${report.error}
        else case when channel in (${reportChannels.map((channel) => `'${channel}'`).join(", ")}) then 0
          else ${report.finished} end end
      from "${schema}".checkpoint_writes
      where thread_id = head.thread_id and checkpoint_ns = '' and checkpoint_id = head.last_checkpoint_id
    ) written group by task_id
  ) tasks where report & ${report.finished} = 0)`;

/** Heads with all the rest, whose cost is that of each one's checkpoints. */
const describeSql = (schema: string, heads: string) => `
  select head.thread_id, head.name, head.graph, head.status, head.error, head.updated_at, head.last_checkpoint_id,
    coalesce(head.created_at, (
      select ${checkpointTime} from "${schema}".checkpoints
      where thread_id = head.thread_id and checkpoint_ns = '' order by checkpoint_id limit 1
    )) as created_at,
    (
      select count(*)::int from "${schema}".checkpoints where thread_id = head.thread_id and checkpoint_ns = ''
    ) as checkpoints,
    ${pendingSql(schema)} as pending
  from (${heads}) head`;

/** Newest activity first; a thread's writes are looked at before the limit only where a status is asked for and it has none on record. */
const listSql = (schema: string) => {
  const order = "order by updated_at desc nulls last, thread_id";
  const heads = `select * from (${headsSql(schema, everyThreadSql(schema))}) head
    where ($1::text is null or graph = $1) and ($2::text is null or $2 = coalesce(status,
      case ${pendingSql(schema)} when 'interrupt' then 'waiting_human' when 'error' then 'failed' end))
    ${order} limit $3`;
  return `${describeSql(schema, heads)} ${order}`;
};

/** Hops from thread to thread along the primary key: one step a thread, however many checkpoints it has. */
const everyThreadSql = (schema: string) => `
  with recursive stored as (
    (select thread_id from "${schema}".checkpoints order by thread_id limit 1)
    union all
    select (select thread_id from "${schema}".checkpoints where thread_id > stored.thread_id order by thread_id limit 1)
    from stored where stored.thread_id is not null
  )
  select thread_id from stored where thread_id is not null
  union select thread_id from "${schema}".lgr_threads`;

const recordSql = (schema: string) => `
  insert into "${schema}".lgr_threads as t (thread_id, name, graph, status, error) values ($1, $2, $3, $4, $5)
  on conflict (thread_id) do update set
    name = coalesce(excluded.name, t.name), graph = coalesce(excluded.graph, t.graph),
    status = coalesce(excluded.status, t.status),
    error = case when $6::boolean then excluded.error else t.error end, updated_at = now()`;

/** The threads table, and the threads that only the checkpoints table knows (a stock saver wrote them). */
export function createSqlThreads(open: () => Promise<SqlPool>, schema: string): ThreadStore {
  const query = repeatableQuery(open);
  const owner = async (name: string): Promise<string | undefined> => {
    const found = await query<Row>(`select thread_id from "${schema}".lgr_threads where name = $1`, [
      toStorableText(name),
    ]);
    return found[0] === undefined ? undefined : fromStorableText(found[0].thread_id);
  };
  const get = async (threadId: string): Promise<ThreadRecord | undefined> => {
    const [row] = await query<Row>(describeSql(schema, headsSql(schema, "select $1::text as thread_id")), [
      toStorableText(threadId),
    ]);
    return row === undefined || isUnknown(row) ? undefined : toRecord(row);
  };
  return {
    get,
    async record(patch) {
      crashPoint("thread.record.before");
      try {
        await query(recordSql(schema), recordValues(patch));
      } catch (error) {
        const holder = patch.name !== undefined && isNameConflict(error) ? await owner(patch.name) : undefined;
        throw patch.name === undefined || holder === undefined ? error : nameTaken(patch.name, holder);
      }
      crashPoint("thread.record.after");
    },
    async findByName(name) {
      const threadId = await owner(name);
      return threadId === undefined ? undefined : get(threadId);
    },
    async list(filter: ThreadFilter = {}) {
      const graph = filter.graph === undefined ? null : toStorableText(filter.graph);
      const rows = await query<Row>(listSql(schema), [
        graph,
        filter.status ?? null,
        filter.limit ?? defaultThreadLimit,
      ]);
      return rows.map(toRecord);
    },
  };
}

function recordValues(patch: ThreadPatch): unknown[] {
  const text = (value: string | null | undefined) => (value == null ? null : toStorableText(value));
  return [
    toStorableText(patch.threadId),
    text(patch.name),
    text(patch.graph),
    patch.status ?? null,
    text(patch.error),
    patch.error !== undefined,
  ];
}

function isNameConflict(error: unknown): boolean {
  const { code, constraint } = error as { code?: unknown; constraint?: unknown };
  return code === "23505" && constraint === "lgr_threads_name_unique";
}

/** Neither a record nor a checkpoint: every thread that exists has a time. */
function isUnknown(row: Row): boolean {
  return row.created_at === null && row.last_checkpoint_id === null;
}

function toRecord(row: Row): ThreadRecord {
  const createdAt = row.created_at ?? row.updated_at ?? new Date(0);
  return {
    threadId: fromStorableText(row.thread_id),
    createdAt,
    updatedAt: row.updated_at ?? createdAt,
    checkpoints: row.checkpoints,
    ...(row.name === null ? {} : { name: fromStorableText(row.name) }),
    ...(row.graph === null ? {} : { graph: fromStorableText(row.graph) }),
    ...(row.status === null ? {} : { status: row.status }),
    ...(row.error === null ? {} : { error: fromStorableText(row.error) }),
    ...(row.last_checkpoint_id === null ? {} : { lastCheckpointId: fromStorableText(row.last_checkpoint_id) }),
    ...(row.pending === null ? {} : { pending: row.pending }),
  };
}
