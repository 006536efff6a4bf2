import { parseOptions } from "../../core/options.js";
import type { Pin, PrunedThread, PruneOptions, PruneSummary, Retention } from "../../core/retention-ports.js";
import { threadKey } from "../native/stored-object.js";
import { inTransaction, retryOn, type SqlClient, type SqlPool, withClient } from "../sql-pool.js";
import { repeatableQuery } from "../sql-query.js";
import { fromStorableText, toStorableText } from "../storable-text.js";
import {
  type Candidate,
  candidateOf,
  candidatesAfter,
  expiredRecords,
  hasSucceeded,
  type Limits,
  objectionToDelete,
  objectionToDeleteSucceeded,
} from "./candidates.js";
import { dueLeftovers } from "./leftovers.js";
import type { ThreadKey } from "./plan-rows.js";
import { deleteThread, nothing, type PruneWork, pruneThread, Refused, type ThreadTally } from "./prune-thread.js";
import { reclaimSpace } from "./reclaim-space.js";
import { pruneSchema } from "./retention-options.js";
import { lockPins } from "./thread-transaction.js";

/** Records without checkpoints, and threads with leftovers, that are looked for at once. */
const batch = 200;

/** Retention for whatever is behind the ports, and what only the background asks of it. */
export interface SqlRetention extends Retention {
  /** Does it for a thread whose run has succeeded, unless another run has it or came to something else since. */
  complete(threadId: string, how: "compact" | "delete"): Promise<PrunedThread>;
  /** Like {@link prune}, passing over threads that have not changed since nothing could be done about them. */
  pruneChanged(limits: Limits, signal: AbortSignal): Promise<PruneSummary>;
}

/** @param needsVacuum for an embedded Postgres, which has nobody who tidies up after it */
export function createSqlRetention(open: () => Promise<SqlPool>, schema: string, needsVacuum: boolean): SqlRetention {
  const query = repeatableQuery(open);
  /** Newest checkpoints of threads of which nothing could go. */
  const settled = new Map<string, string>();

  const prune = async (given: PruneOptions, onlyChanged: boolean): Promise<PruneSummary> => {
    const { keepLast, ttlMs, threadId, dryRun, signal } = parseOptions("prune", pruneSchema, given);
    const pool = await open();
    const work: PruneWork = { pool, schema, dryRun, signal };
    const threads: PrunedThread[] = [];
    const done = new Set<string>();
    const visit = async (candidate: Candidate, contents: boolean): Promise<void> => {
      if (done.has(candidate.id)) return;
      done.add(candidate.id);
      signal?.throwIfAborted();
      const thread = await pruneCandidate(work, candidate, { keepLast, ttlMs }, contents);
      if (onlyChanged && thread.outcome === "kept" && candidate.head !== null) remember(settled, candidate);
      if (thread.outcome === "kept" && threadId === undefined && thread.rows === 0) return;
      threads.push(thread);
      given.onThread?.(thread);
    };
    const limits = { keepLast, ttlMs };
    if (threadId !== undefined) {
      const id = toStorableText(threadId);
      const candidate = await ask(pool, (client) => candidateOf(client, schema, id, limits));
      if (candidate !== undefined) await visit(candidate, true);
    } else {
      for (let after: string | undefined, more = true; more; ) {
        const page = await ask(pool, (client) => candidatesAfter(client, schema, after, limits));
        for (const one of page.threads) {
          const isSettled = onlyChanged && !one.expired && settled.get(one.id) === one.head;
          if ((one.over || one.expired) && !isSettled) await visit(one, false);
        }
        after = page.next;
        more = after !== undefined;
      }
      if (ttlMs !== false)
        for (const one of await ask(pool, (client) => expiredRecords(client, schema, ttlMs, batch)))
          await visit(one, false);
      for (const id of await ask(pool, (client) => dueLeftovers(client, schema, batch)))
        await visit({ id, name: null, over: false, expired: false, head: null }, true);
    }
    const total = (part: (thread: PrunedThread) => number) => threads.reduce((sum, thread) => sum + part(thread), 0);
    const summary = {
      dryRun,
      threads,
      checkpoints: total((thread) => thread.checkpoints),
      rows: total((thread) => thread.rows),
      bytes: total((thread) => thread.bytes),
    };
    if (needsVacuum && !dryRun) await reclaimSpace(pool, schema, summary.bytes);
    return summary;
  };

  return {
    prune: (options = {}) => prune(options, false),
    pruneChanged: (limits, signal) => prune({ ...limits, signal }, true),
    async complete(threadId, how) {
      const pool = await open();
      const work: PruneWork = { pool, schema, dryRun: false, signal: undefined };
      const thread = keyOf(toStorableText(threadId));
      const found =
        how === "delete"
          ? await deleteThread(work, thread, (client) => objectionToDeleteSucceeded(client, schema, thread))
          : await pruneThread(work, thread, 1, false, async (client) =>
              (await hasSucceeded(client, schema, thread)) ? undefined : "not succeeded",
            );
      return described({ id: thread.id, name: null }, found, how === "delete");
    },
    async pin(threadId, checkpointId, reason) {
      const pool = await open();
      settled.delete(toStorableText(threadId));
      return retryOn(pool, () =>
        inTransaction(pool, async (client) => {
          const id = toStorableText(threadId);
          await lockPins(client, id);
          const { rows } = await client.query(
            `insert into "${schema}".lgr_pins (thread_id, checkpoint_id, reason)
              select $1, $2, $3 where exists (
                select 1 from "${schema}".checkpoints where thread_id = $1 and checkpoint_id = $2)
              on conflict (thread_id, checkpoint_id) do update set reason = excluded.reason returning 1`,
            [id, toStorableText(checkpointId), reason === undefined ? null : toStorableText(reason)],
          );
          return rows.length > 0;
        }),
      );
    },
    async unpin(threadId, checkpointId) {
      settled.delete(toStorableText(threadId));
      const rows = await query(
        `delete from "${schema}".lgr_pins where thread_id = $1 and checkpoint_id = $2 returning 1`,
        [toStorableText(threadId), toStorableText(checkpointId)],
      );
      return rows.length > 0;
    },
    async pins(threadId) {
      const rows = await query<PinRow>(
        `select * from "${schema}".lgr_pins where $1::text is null or thread_id = $1 order by pinned_at, checkpoint_id`,
        [threadId === undefined ? null : toStorableText(threadId)],
      );
      return rows.map(toPin);
    },
  };
}

async function pruneCandidate(
  work: PruneWork,
  candidate: Candidate,
  { keepLast, ttlMs }: Limits,
  contents: boolean,
): Promise<PrunedThread> {
  const { schema } = work;
  const thread = keyOf(candidate.id);
  let against: string | undefined;
  try {
    if (candidate.expired && ttlMs !== false) {
      const found = await deleteThread(work, thread, (client) => objectionToDelete(client, schema, thread, ttlMs));
      if (!(found instanceof Refused) || found.why === "in use") return described(candidate, found, true);
      against = found.why;
    }
    if (against !== undefined && !candidate.over && !contents) return described(candidate, new Refused(against), false);
    return described(candidate, await pruneThread(work, thread, keepLast || Number.POSITIVE_INFINITY, contents), false);
  } catch (error) {
    // A header that the database cannot read: what this thread needs cannot be known, and the others are not to wait.
    if (!/^22/.test(String((error as { code?: unknown }).code))) throw error;
    return described(candidate, new Refused(`damaged: ${(error as Error).message}`), false);
  }
}

function described(
  { id, name }: Pick<Candidate, "id" | "name">,
  found: ThreadTally | Refused,
  deletes: boolean,
): PrunedThread {
  const thread = { threadId: fromStorableText(id), ...(name === null ? {} : { name: fromStorableText(name) }) };
  if (found instanceof Refused) return { ...thread, outcome: "skipped", why: found.why, ...nothing };
  return { ...thread, outcome: deletes ? "deleted" : found.rows > 0 ? "pruned" : "kept", ...found };
}

interface PinRow {
  readonly thread_id: string;
  readonly checkpoint_id: string;
  readonly reason: string | null;
  readonly pinned_at: Date;
}

function toPin(row: PinRow): Pin {
  return {
    threadId: fromStorableText(row.thread_id),
    checkpointId: fromStorableText(row.checkpoint_id),
    ...(row.reason === null ? {} : { reason: fromStorableText(row.reason) }),
    pinnedAt: row.pinned_at,
  };
}

function keyOf(id: string): ThreadKey {
  return { id, key: threadKey(id) };
}

const maxSettled = 10_000;

function remember(settled: Map<string, string>, { id, head }: Candidate): void {
  if (head !== null) settled.set(id, head);
  if (settled.size > maxSettled) settled.delete(settled.keys().next().value ?? "");
}

function ask<T>(pool: SqlPool, question: (client: SqlClient) => Promise<T>): Promise<T> {
  return retryOn(pool, () => withClient(pool, question));
}
