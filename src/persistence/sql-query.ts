import { retryOn, type SqlPool, withClient } from "./sql-pool.js";

/** Runs one statement and gives its rows. */
export type SqlQuery = <R extends object>(text: string, values: unknown[]) => Promise<R[]>;

/** Statements that may be repeated: after a transient error each is run again, on another connection. */
export function repeatableQuery(open: () => Promise<SqlPool>): SqlQuery {
  return async <R extends object>(text: string, values: unknown[]) => {
    const pool = await open();
    return retryOn(pool, () => withClient(pool, async (client) => (await client.query<R>(text, values)).rows));
  };
}
