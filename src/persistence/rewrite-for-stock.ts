/** The way back: threads in this package's own format become threads of the stock `PostgresSaver`. */
import { JsonPlusSerializer, type SerializerProtocol } from "@langchain/langgraph-checkpoint";
import type pg from "pg";
import { threadLease } from "../core/run-hold.js";
import { ThreadBusyError } from "../errors/persistence-errors.js";
import { ownTablesAreThere } from "./migrations.js";
import { threadKeySql } from "./native/stored-object.js";
import { inTransaction, retryOn, type SqlClient, type SqlPool } from "./sql-pool.js";
import { repeatableQuery } from "./sql-query.js";
import { fromStorableText, toStorableText } from "./storable-text.js";
import { ThreadToStock } from "./thread-to-stock.js";

export interface RewriteOptions {
  /** PostgreSQL schema of the tables; default "public". */
  readonly schema?: string;
  /** Only this thread; default all that have a checkpoint in this package's own format. */
  readonly threadId?: string;
  /** The saver's, if it has one of its own; only needed to tell whether two values are the same. */
  readonly serde?: SerializerProtocol;
  /** Called after each thread. */
  readonly onProgress?: (progress: RewriteProgress) => void;
  /** Ends it after the thread under way. What is done by then is done; the next call goes on from there. */
  readonly signal?: AbortSignal;
}

export interface RewriteProgress {
  readonly threadId: string;
  /** Threads looked at so far, this one included, and in all. */
  readonly done: number;
  readonly total: number;
  /** Checkpoints of this thread that were rewritten. */
  readonly checkpoints: number;
  /** Why the thread stays as it was. */
  readonly error?: Error;
}

export interface RewriteResult {
  /** That were rewritten. */
  readonly threads: number;
  readonly checkpoints: number;
  /**
   * Threads that stay as they were, and why: THREAD_BUSY, CHECKPOINT_CORRUPT, or NOT_IN_STOCK_FORMAT where two
   * checkpoints have different values under one version, which stock's tables have no place for.
   */
  readonly kept: readonly { readonly threadId: string; readonly error: Error }[];
}

/** Threads listed at a time. */
const threadsAtOnce = 500;

/** How long it waits for a run that begins or ends. */
const lockTimeout = "2s";

const holder = "a rewrite into the stock saver's format";

/**
 * Rewrites threads into exactly the rows that the stock saver would have written, and drops this package's own rows of
 * them. Stock then reads every checkpoint as ours did before, in the order that it has for writes, and ours go on
 * reading them, too. One transaction a thread: whenever it ends, each thread is in one format or the other, and the
 * next call goes on with those that are left. A thread that someone runs under a lease is left alone.
 *
 * End every process that writes these threads before, or let it write with `compatible: true`: a run that holds no lease
 * (a plain `graph.invoke`) cannot be seen, and counts on contents that are dropped here.
 *
 * @throws errors of the database; what concerns one thread is in the result
 */
export async function rewriteForStock(pool: pg.Pool | SqlPool, options: RewriteOptions = {}): Promise<RewriteResult> {
  const { schema = "public", signal, onProgress } = options;
  const sqlPool: SqlPool = pool;
  const result = { threads: 0, checkpoints: 0, kept: [] as { threadId: string; error: Error }[] };
  if (!(await ownTablesAreThere(sqlPool, schema))) return result;
  const total = await countThreads(sqlPool, schema, options.threadId);
  let done = 0;
  for await (const storableId of threadsToRewrite(sqlPool, schema, options.threadId)) {
    if (signal?.aborted === true) break;
    const threadId = fromStorableText(storableId);
    const outcome = await rewriteThread(sqlPool, schema, storableId, options.serde ?? new JsonPlusSerializer());
    done += 1;
    if (outcome instanceof Error) result.kept.push({ threadId, error: outcome });
    else {
      result.threads += 1;
      result.checkpoints += outcome;
    }
    onProgress?.({
      threadId,
      done,
      total: Math.max(total, done),
      ...(outcome instanceof Error ? { checkpoints: 0, error: outcome } : { checkpoints: outcome }),
    });
  }
  return result;
}

/** The threads of which something is in our own format. */
const threadsSql = (schema: string) => `select t.thread_id from (
    select distinct thread_id from "${schema}".checkpoints where $1::text is null or thread_id = $1
  ) t where exists (
    select 1 from "${schema}".checkpoints cp where cp.thread_id = t.thread_id and cp.type is not null
  ) or exists (
    select 1 from "${schema}".lgr_write_counts wc where wc.thread_key = ${threadKeySql("t.thread_id")}
  )`;

async function countThreads(pool: SqlPool, schema: string, threadId: string | undefined): Promise<number> {
  const text = `select count(*)::int as count from (${threadsSql(schema)}) threads`;
  const [row] = await repeatableQuery(async () => pool)<{ count: number }>(text, [parameter(threadId)]);
  return row?.count ?? 0;
}

async function* threadsToRewrite(pool: SqlPool, schema: string, threadId: string | undefined): AsyncGenerator<string> {
  const text = `select thread_id from (${threadsSql(schema)}) threads
    where $2::text is null or thread_id > $2 order by thread_id limit ${threadsAtOnce}`;
  const query = repeatableQuery(async () => pool);
  let after: string | null = null;
  for (;;) {
    const rows: { thread_id: string }[] = await query(text, [parameter(threadId), after]);
    for (const { thread_id } of rows) {
      yield thread_id;
      after = thread_id;
    }
    if (rows.length < threadsAtOnce) return;
  }
}

function parameter(threadId: string | undefined): string | null {
  return threadId === undefined ? null : toStorableText(threadId);
}

/** @returns the number of its checkpoints, or why it stays as it is */
async function rewriteThread(pool: SqlPool, schema: string, threadId: string, serde: SerializerProtocol) {
  try {
    return await retryOn(pool, () =>
      inTransaction(pool, async (client) => {
        await client.query(`set local lock_timeout = '${lockTimeout}'`);
        const lease = await holdLease(client, schema, threadId);
        const count = await new ThreadToStock(client, schema, threadId, serde).rewrite();
        await refuseNewRows(client, schema, threadId);
        await client.query(`delete from "${schema}".lgr_locks where name = $1`, [lease]);
        return count;
      }),
    );
  } catch (error) {
    if (isOfOneThread(error)) return error;
    if ((error as { code?: unknown }).code === "55P03") return busy(threadId, "a run that begins", 0, error);
    throw error;
  }
}

/** Until the end of the transaction: whoever wants the thread waits for that, and then finds it free. */
async function holdLease(client: SqlClient, schema: string, threadId: string): Promise<string> {
  const name = toStorableText(threadLease(fromStorableText(threadId)));
  const taken = await client.query(
    `insert into "${schema}".lgr_locks as held (name, token, holder, expires_at)
      values ($1, nextval('"${schema.replaceAll("'", "''")}".lgr_lock_tokens'), $2, now() + interval '1 minute')
      on conflict (name) do update
        set token = excluded.token, holder = excluded.holder, expires_at = excluded.expires_at
        where held.expires_at <= now()
      returning 1`,
    [name, holder],
  );
  if (taken.rows.length > 0) return name;
  const { rows } = await client.query<{ holder: string; ms: string }>(
    `select holder, ceil(extract(epoch from expires_at - now()) * 1000)::bigint::text as ms from "${schema}".lgr_locks where name = $1`,
    [name],
  );
  throw busy(threadId, fromStorableText(rows[0]?.holder ?? "another"), Number(rows[0]?.ms ?? 0));
}

/** A run without a lease cannot be refused; what it stored meanwhile must not lose what it stands on. */
async function refuseNewRows(client: SqlClient, schema: string, threadId: string): Promise<void> {
  const { rows } = await client.query(threadsSql(schema), [threadId]);
  if (rows.length > 0) throw busy(threadId, "a run without a lease", 0);
}

function busy(threadId: string, who: string, expiresInMs: number, cause?: unknown): ThreadBusyError {
  return new ThreadBusyError(fromStorableText(threadId), who, Math.max(0, expiresInMs), { cause });
}

function isOfOneThread(error: unknown): error is Error {
  const ofOneThread = ["THREAD_BUSY", "CHECKPOINT_CORRUPT", "NOT_IN_STOCK_FORMAT"];
  return error instanceof Error && ofOneThread.includes(String((error as { code?: unknown }).code));
}
