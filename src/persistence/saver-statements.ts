/** The SQL of the saver, over the tables of the stock PostgresSaver and, where asked for, this package's own beside them. */
import type { Statement } from "./sql-pool.js";

/** Rows a statement: PostgreSQL takes 65 535 parameters, and a row has at most four of its own. */
const rowsPerStatement = 5000;

interface BlobRow {
  readonly channel: string;
  readonly version: string;
  readonly type: string;
  readonly blob: Uint8Array | undefined;
}

export interface WriteRow {
  readonly idx: number;
  readonly channel: string;
  readonly type: string;
  readonly blob: Uint8Array;
}

/** What identifies a checkpoint, ready to be stored. */
interface CheckpointKey {
  readonly threadId: string;
  readonly namespace: string;
  readonly checkpointId: string;
}

interface CheckpointRow extends CheckpointKey {
  readonly parentId: string | undefined;
  readonly checkpoint: string;
  readonly metadata: string;
  readonly blobs: readonly BlobRow[];
  /** Present when the thread's own row is to be kept as well. */
  readonly thread?: { readonly graph: string | undefined };
}

interface WritesRow extends CheckpointKey {
  readonly taskId: string;
  /** Present when it is to be stored as well. */
  readonly taskPath?: string;
  readonly replace: boolean;
  readonly writes: readonly WriteRow[];
}

/** Rows come in the shape of the stock saver's query. `ownTables` orders the writes by task path. */
export function selectTuples(schema: string, ownTables: boolean): string {
  const path = ownTables ? `coalesce(tp.task_path, '') collate "C", ` : "";
  const joinPath = ownTables
    ? `left join "${schema}".lgr_task_paths tp
        on tp.thread_id = cw.thread_id and tp.checkpoint_ns = cw.checkpoint_ns
        and tp.checkpoint_id = cw.checkpoint_id and tp.task_id = cw.task_id`
    : "";
  return `select cp.thread_id, cp.checkpoint_ns, cp.checkpoint_id, cp.parent_checkpoint_id, cp.checkpoint, cp.metadata,
    (
      select array_agg(array[convert_to(bl.channel, 'UTF8'), convert_to(bl.type, 'UTF8'), bl.blob])
      from jsonb_each_text(cp.checkpoint -> 'channel_versions') v
      join "${schema}".checkpoint_blobs bl
        on bl.thread_id = cp.thread_id and bl.checkpoint_ns = cp.checkpoint_ns
        and bl.channel = v.key and bl.version = v.value
    ) as channel_values,
    (
      select array_agg(
        array[convert_to(cw.task_id, 'UTF8'), convert_to(cw.channel, 'UTF8'), convert_to(cw.type, 'UTF8'), cw.blob]
        order by ${path}cw.task_id collate "C", cw.idx)
      from "${schema}".checkpoint_writes cw ${joinPath}
      where cw.thread_id = cp.thread_id and cw.checkpoint_ns = cp.checkpoint_ns and cw.checkpoint_id = cp.checkpoint_id
    ) as pending_writes
  from "${schema}".checkpoints cp `;
}

/** For checkpoints older than format 4, whose sends lie in the parent's writes. */
export function selectPendingSends(schema: string): string {
  return `select cw.thread_id, cw.checkpoint_id,
      array_agg(array[convert_to(cw.type, 'UTF8'), cw.blob] order by cw.task_id collate "C", cw.idx) as pending_sends
    from "${schema}".checkpoint_writes cw
    where (cw.thread_id, cw.checkpoint_id) in (select * from unnest($1::text[], $2::text[])) and cw.channel = $3
    group by cw.thread_id, cw.checkpoint_id`;
}

/** One statement, so one round trip and atomic, unless thousands of channels changed at once. */
export function putCheckpoint(schema: string, row: CheckpointRow): Statement[] {
  const chunks = inChunks(row.blobs);
  const last = chunks.pop() ?? [];
  const earlier = chunks.map((blobs) => {
    const values: unknown[] = [row.threadId, row.namespace];
    return { text: insertBlobs(schema, blobs, values), values };
  });
  const values: unknown[] = [row.threadId, row.namespace, row.checkpointId, row.parentId, row.checkpoint, row.metadata];
  const steps: string[] = [];
  if (last.length > 0) steps.push(`blobs as (${insertBlobs(schema, last, values)})`);
  if (row.thread !== undefined) {
    // A checkpoint outside of a recorded run (Studio, updateState) makes what the last run came to a thing of the past.
    values.push(row.thread.graph);
    steps.push(`thread as (insert into "${schema}".lgr_threads as t (thread_id, graph) values ($1, $${values.length})
      on conflict (thread_id) do update set graph = coalesce(excluded.graph, t.graph), updated_at = now(),
        status = case when t.status = 'running' then t.status end,
        error = case when t.status = 'running' then t.error end)`);
  }
  const text = `${withSteps(steps)}insert into "${schema}".checkpoints
      (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (thread_id, checkpoint_ns, checkpoint_id)
    do update set checkpoint = excluded.checkpoint, metadata = excluded.metadata`;
  return [...earlier, { text, values }];
}

function insertBlobs(schema: string, blobs: readonly BlobRow[], values: unknown[]): string {
  const rows = blobs.map((blob) => {
    const at = values.push(blob.channel, blob.version, blob.type, blob.blob);
    return `($1, $2, $${at - 3}, $${at - 2}, $${at - 1}, $${at})`;
  });
  return `insert into "${schema}".checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    values ${rows.join(", ")} on conflict (thread_id, checkpoint_ns, channel, version) do nothing`;
}

export function putTaskWrites(schema: string, row: WritesRow): Statement[] {
  const onConflict = row.replace
    ? "do update set channel = excluded.channel, type = excluded.type, blob = excluded.blob"
    : "do nothing";
  return inChunks(row.writes).map((writes, chunk) => {
    const values: unknown[] = [row.threadId, row.namespace, row.checkpointId, row.taskId];
    const rows = writes.map((write) => {
      const at = values.push(write.idx, write.channel, write.type, write.blob);
      return `($1, $2, $3, $4, $${at - 3}, $${at - 2}, $${at - 1}, $${at})`;
    });
    const steps: string[] = [];
    if (row.taskPath !== undefined && chunk === 0) {
      values.push(row.taskPath);
      steps.push(`path as (insert into "${schema}".lgr_task_paths (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path)
        values ($1, $2, $3, $4, $${values.length}) on conflict do nothing)`);
    }
    const text = `${withSteps(steps)}insert into "${schema}".checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob)
      values ${rows.join(", ")}
      on conflict (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) ${onConflict}`;
    return { text, values };
  });
}

export function deleteEverything(schema: string, threadId: string, ownTables: boolean): Statement {
  const own = ownTables ? ["lgr_task_paths", "lgr_attempts", "lgr_streams", "lgr_threads"] : [];
  const tables = ["checkpoint_blobs", "checkpoint_writes", ...own];
  const steps = tables.map((table) => `${table}_gone as (delete from "${schema}".${table} where thread_id = $1)`);
  return { text: `${withSteps(steps)}delete from "${schema}".checkpoints where thread_id = $1`, values: [threadId] };
}

function withSteps(steps: readonly string[]): string {
  return steps.length === 0 ? "" : `with ${steps.join(", ")} `;
}

function inChunks<T>(rows: readonly T[]): T[][] {
  const chunks: T[][] = [];
  for (let start = 0; start < rows.length; start += rowsPerStatement)
    chunks.push(rows.slice(start, start + rowsPerStatement));
  return chunks;
}
