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
    do update set type = null, checkpoint = excluded.checkpoint, metadata = excluded.metadata`;
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

/** @param threadKey the thread's in this package's own tables; undefined where they are not there */
export function deleteEverything(schema: string, threadId: string, threadKey: string | undefined): Statement {
  const byId = ["checkpoint_blobs", "checkpoint_writes"];
  const own = [
    "lgr_task_paths",
    "lgr_attempts",
    "lgr_streams",
    "lgr_effects",
    "lgr_inbox",
    "lgr_threads",
    "lgr_pins",
    "lgr_quarantine",
  ];
  const byKey = ["lgr_objects", "lgr_writes", "lgr_write_counts"];
  const gone = (table: string, condition: string) =>
    `${table}_gone as (delete from "${schema}".${table} where ${condition})`;
  const steps = byId.map((table) => gone(table, "thread_id = $1"));
  if (threadKey !== undefined) {
    steps.push(...own.map((table) => gone(table, "thread_id = $1")));
    steps.push(...byKey.map((table) => gone(table, "thread_key = $2::uuid")));
  }
  return {
    text: `${withSteps(steps)}delete from "${schema}".checkpoints where thread_id = $1`,
    values: threadKey === undefined ? [threadId] : [threadId, threadKey],
  };
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
