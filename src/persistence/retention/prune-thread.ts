/** Retention of one thread: in short transactions, each harmless to be the last. */
import { crashPoint } from "../../core/crash-points.js";
import { deleteEverything } from "../saver-statements.js";
import { run, type SqlClient, type SqlPool, type Statement, withClient } from "../sql-pool.js";
import { noteLeftovers, settleLeftovers } from "./leftovers.js";
import { type Plan, planThread } from "./plan.js";
import { readFingerprint, readPlanRows, type ThreadKey } from "./plan-rows.js";
import {
  blobsStatement,
  type ContentsRow,
  checkpointsStatement,
  contentsStatement,
  type Tally,
  type TallyRow,
  wholeThreadStatement,
} from "./prune-statements.js";
import { inUse, isInUse, onFreeThread } from "./thread-transaction.js";

/** Checkpoints that one transaction deletes. */
const checkpointsAtOnce = 500;

export interface PruneWork {
  readonly pool: SqlPool;
  readonly schema: string;
  readonly dryRun: boolean;
  readonly signal: AbortSignal | undefined;
}

export interface ThreadTally extends Tally {
  readonly checkpoints: number;
  readonly left: number;
  readonly pinned: number;
}

export const nothing: ThreadTally = { checkpoints: 0, rows: 0, bytes: 0, left: 0, pinned: 0 };

/** Asked in the transaction that is about to delete; gives what speaks against it. */
export type Objection = (client: SqlClient) => Promise<string | undefined>;

export class Refused {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

/**
 * Deletes the checkpoints that are not kept, then the contents that nothing needs any more.
 *
 * @param contents looks for such contents also where no checkpoint goes
 */
export async function pruneThread(
  work: PruneWork,
  thread: ThreadKey,
  keepLast: number,
  contents: boolean,
  objection?: Objection,
): Promise<ThreadTally | Refused> {
  if (work.dryRun) return countThread(work, thread, keepLast, contents);
  const found = await deleteCheckpoints(work, thread, keepLast, objection);
  if (found instanceof Refused || (found.checkpoints === 0 && !contents)) return found;
  return sum(found, await deleteContents(work, thread));
}

/** Deletes all of a thread, unless something speaks against it. */
export async function deleteThread(
  work: PruneWork,
  thread: ThreadKey,
  objection: Objection,
): Promise<ThreadTally | Refused> {
  const { pool, schema, dryRun } = work;
  const count = async (client: SqlClient) => {
    const { rows } = await client.query<{ count: string }>(
      `select count(*) as count from "${schema}".checkpoints where thread_id = $1`,
      [thread.id],
    );
    return Number(rows[0]?.count);
  };
  const remove = async (client: SqlClient) => {
    const against = dryRun && (await isInUse(client, schema, thread)) ? "in use" : await objection(client);
    if (against !== undefined) return new Refused(against);
    const checkpoints = await count(client);
    const all = await tally(client, wholeThreadStatement(schema, thread));
    if (!dryRun) {
      await run(client, deleteEverything(schema, thread.id, thread.key));
      await settleLeftovers(client, schema, thread, 0);
    }
    return { ...all, checkpoints, left: 0, pinned: 0 };
  };
  if (dryRun) return withClient(pool, remove);
  let before = nothing;
  if ((await withClient(pool, count)) > checkpointsAtOnce) {
    // All but the newest checkpoint goes in parts, so that no statement takes long.
    const most = await deleteCheckpoints(work, thread, 1, objection);
    if (most instanceof Refused) return most;
    before = sum(most, await deleteContents(work, thread));
  }
  const rest = await onFree(work, thread, remove);
  return rest instanceof Refused ? rest : sum(rest, before);
}

async function countThread(
  work: PruneWork,
  thread: ThreadKey,
  keepLast: number,
  contents: boolean,
): Promise<ThreadTally | Refused> {
  const { pool, schema } = work;
  return withClient(pool, async (client) => {
    if (await isInUse(client, schema, thread)) return new Refused("in use");
    const plan = planThread(await readPlanRows(client, schema, thread), keepLast);
    let found: ThreadTally = { ...nothing, ...countsOf(plan) };
    for (let at = 0; at < plan.gone.length; at += checkpointsAtOnce) {
      const part = plan.gone.slice(at, at + checkpointsAtOnce);
      found = sum(found, await tally(client, checkpointsStatement(schema, thread, part, false)));
    }
    if (plan.gone.length === 0 && !contents) return found;
    found = sum(found, await tally(client, blobsStatement(schema, thread, plan.gone, false)));
    const statement = (after: string | undefined) => contentsStatement(schema, thread, after, plan.gone);
    return sum(found, await eachBatch((after) => contentsRow(client, statement(after))));
  });
}

async function deleteCheckpoints(
  work: PruneWork,
  thread: ThreadKey,
  keepLast: number,
  objection: Objection | undefined,
): Promise<ThreadTally | Refused> {
  const { schema, signal } = work;
  let plan: Plan | undefined;
  let mark = "";
  let total = nothing;
  for (;;) {
    signal?.throwIfAborted();
    const planned = plan;
    const done = await onFree(work, thread, async (client) => {
      const against = await objection?.(client);
      if (against !== undefined) return new Refused(against);
      const unchanged = planned !== undefined && mark === (await readFingerprint(client, schema, thread));
      const { kept, gone } = unchanged ? planned : planThread(await readPlanRows(client, schema, thread), keepLast);
      const part = gone.slice(0, checkpointsAtOnce);
      const left = { kept, gone: gone.slice(checkpointsAtOnce) };
      if (part.length === 0) return { left, part, rows: nothing, mark };
      let rows: ThreadTally = sum(nothing, await tally(client, checkpointsStatement(schema, thread, part, true)));
      if (left.gone.length === 0) rows = sum(rows, await tally(client, blobsStatement(schema, thread, [], true)));
      await noteLeftovers(client, schema, thread);
      return { left, part, rows, mark: await readFingerprint(client, schema, thread) };
    });
    if (done instanceof Refused) return total.checkpoints > 0 ? total : done;
    total = sum(total, { ...done.rows, checkpoints: done.part.length });
    total = { ...countsOf(done.left), checkpoints: total.checkpoints, rows: total.rows, bytes: total.bytes };
    if (done.left.gone.length === 0) return total;
    plan = done.left;
    mark = done.mark;
  }
}

async function deleteContents(work: PruneWork, thread: ThreadKey): Promise<Tally> {
  const { schema, signal } = work;
  let young = 0;
  return eachBatch(async (after) => {
    signal?.throwIfAborted();
    const batch = await onFree(work, thread, async (client) => {
      const row = await contentsRow(client, contentsStatement(schema, thread, after));
      if (row.last === null) await settleLeftovers(client, schema, thread, young);
      return row;
    });
    if (batch instanceof Refused) return { rows: "0", bytes: "0", young: "0", last: null };
    young += Number(batch.young);
    return batch;
  });
}

async function eachBatch(batch: (after: string | undefined) => Promise<ContentsRow>): Promise<Tally> {
  let [rowCount, byteCount] = [0, 0];
  for (let after: string | undefined; ; ) {
    const { last, rows, bytes } = await batch(after);
    rowCount += Number(rows);
    byteCount += Number(bytes);
    if (last === null) return { rows: rowCount, bytes: byteCount };
    after = last;
  }
}

async function onFree<T>(
  { pool, schema }: PruneWork,
  thread: ThreadKey,
  work: (client: SqlClient) => Promise<T>,
): Promise<T | Refused> {
  crashPoint("retention.prune.before");
  const done = await onFreeThread(pool, schema, thread, work);
  crashPoint("retention.prune.after");
  return done === inUse ? new Refused("in use") : done;
}

async function tally(client: SqlClient, statement: Statement): Promise<Tally> {
  const { rows } = await run<TallyRow>(client, statement);
  return { rows: Number(rows[0]?.rows ?? 0), bytes: Number(rows[0]?.bytes ?? 0) };
}

async function contentsRow(client: SqlClient, statement: Statement): Promise<ContentsRow> {
  const { rows } = await run<ContentsRow>(client, statement);
  return rows[0] ?? { rows: "0", bytes: "0", young: "0", last: null };
}

function countsOf({ kept, gone }: Plan): Pick<ThreadTally, "checkpoints" | "left" | "pinned"> {
  return { checkpoints: gone.length, left: kept.length, pinned: kept.filter((row) => row.pinned).length };
}

function sum(one: ThreadTally, other: Tally & { readonly checkpoints?: number }): ThreadTally {
  return {
    ...one,
    checkpoints: one.checkpoints + (other.checkpoints ?? 0),
    rows: one.rows + other.rows,
    bytes: one.bytes + other.bytes,
  };
}
