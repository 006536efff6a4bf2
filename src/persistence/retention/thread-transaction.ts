/**
 * A transaction on a thread that nobody runs. The lease is held within the transaction only: whoever wants the thread
 * waits for the few milliseconds until its end and then finds it free, and a process that dies leaves nothing behind.
 */
import { threadLease } from "../../core/run-hold.js";
import { inTransaction, retryOn, type SqlClient, type SqlPool } from "../sql-pool.js";
import { fromStorableText, toStorableText } from "../storable-text.js";
import type { ThreadKey } from "./plan-rows.js";

/** First key of the lock that keeps pinning and pruning apart, "lgp" in ASCII; the second is made of the thread's ID. */
const pinLock = 0x6c6770;

/** How long it waits for another transaction of this kind, or for a run that begins. */
const lockTimeout = "2s";

/**
 * A lease that has run out may still be renewed by a process that slept, so that one is left alone for a while: to it
 * the thread would be lost although nobody else has run it.
 */
const graceTime = "1 hour";

export const inUse = Symbol("the thread is in use");

/** @returns `inUse` when a run has the thread, and then nothing was done */
export async function onFreeThread<T>(
  pool: SqlPool,
  schema: string,
  thread: ThreadKey,
  work: (client: SqlClient) => Promise<T>,
): Promise<T | typeof inUse> {
  const name = leaseName(thread);
  try {
    return await retryOn(pool, () =>
      inTransaction(pool, async (client) => {
        await client.query(`set local lock_timeout = '${lockTimeout}'`);
        await lockPins(client, thread.id);
        const taken = await client.query(
          `insert into "${schema}".lgr_locks as held (name, token, holder, expires_at)
          values ($1, nextval('"${schema.replaceAll("'", "''")}".lgr_lock_tokens'), 'retention', now() + interval '1 minute')
          on conflict (name) do update
            set token = excluded.token, holder = excluded.holder, expires_at = excluded.expires_at
            where held.expires_at < now() - interval '${graceTime}'
          returning 1`,
          [name],
        );
        if (taken.rows.length === 0) return inUse;
        const result = await work(client);
        await client.query(`delete from "${schema}".lgr_locks where name = $1`, [name]);
        return result;
      }),
    );
  } catch (error) {
    if ((error as { code?: unknown }).code === "55P03") return inUse;
    throw error;
  }
}

export async function isInUse(client: SqlClient, schema: string, thread: ThreadKey): Promise<boolean> {
  const { rows } = await client.query(
    `select 1 from "${schema}".lgr_locks where name = $1 and expires_at >= now() - interval '${graceTime}'`,
    [leaseName(thread)],
  );
  return rows.length > 0;
}

function leaseName({ id }: ThreadKey): string {
  return toStorableText(threadLease(fromStorableText(id)));
}

/** Until the end of the transaction. */
export async function lockPins(client: SqlClient, threadId: string): Promise<void> {
  await client.query("select pg_advisory_xact_lock($1::int, hashtext($2))", [pinLock, threadId]);
}
