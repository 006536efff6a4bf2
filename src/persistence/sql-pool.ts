/**
 * The little of node-postgres that the SQL plugins stand on, so that one implementation serves a `pg.Pool` and the
 * embedded PGlite. Nothing here holds a connection while it waits for anything but the database.
 */
import { BoundedPool, DatabaseTimeoutError, type PoolLimits } from "./bounded-pool.js";
import { isConnectionLost, retryTransient } from "./connection-errors.js";
import { guardPool } from "./guarded-pool.js";

export { guardPool };

/** How long a connection attempt to a host that does not answer may take. */
export const connectionTimeoutMs = 10_000;

export interface SqlResult<R> {
  readonly rows: R[];
}

/** A statement and its parameters. */
export interface Statement {
  readonly text: string;
  readonly values: unknown[];
  /** Prepared under this name once a connection, so it is parsed and planned once; needs the same text every time. */
  readonly name?: string;
}

export interface SqlClient {
  query<R extends object>(text: string | Statement, values?: unknown[]): Promise<SqlResult<R>>;
  /** Gives the connection back; with an error or `true` it is closed instead of reused. */
  release(destroy?: Error | boolean): void;
}

/** A `pg.Pool` is one. */
export interface SqlPool {
  /** A pool that bounds the wait for a connection itself says so here, as a `pg.Pool` does. */
  readonly options?: { readonly connectionTimeoutMillis?: number | undefined };
  connect(): Promise<SqlClient>;
  end(): Promise<void>;
  on(event: "error" | "connect", listener: (subject: object) => void): unknown;
}

/** Runs a statement, as a prepared one where it has a name. */
export function run<R extends object>(client: SqlClient, statement: Statement): Promise<SqlResult<R>> {
  return statement.name === undefined ? client.query(statement.text, statement.values) : client.query(statement);
}

const boundedPools = new WeakMap<SqlPool, BoundedPool>();

/**
 * The pool with a limit on everything it waits for: for its statements, and for a connection where it sets none itself.
 * A statement that passes the limit rejects with `STATEMENT_TIMEOUT`, and its connection is closed. Without `limits`
 * the same pool always gives the same bounded one; a pool that is bounded already stays as it is.
 */
export function boundedPool(pool: SqlPool, limits?: PoolLimits): BoundedPool {
  if (pool instanceof BoundedPool) return limits === undefined ? pool : pool.withLimits(limits);
  const known = limits === undefined ? boundedPools.get(pool) : undefined;
  if (known !== undefined) return known;
  guardPool(pool);
  const bounded = new BoundedPool(pool, limits);
  if (limits === undefined) boundedPools.set(pool, bounded);
  return bounded;
}

/**
 * Repeats `work`, which must be idempotent, after transient errors, with a patience that the pool has earned: up to
 * 15 s for a database that has answered before, as it may be starting up again; 1 s for one that never has. Ending the
 * pool ends the wait. The last error is thrown as it came.
 */
export function retryOn<T>(pool: SqlPool, work: () => Promise<T>): Promise<T> {
  return retryTransient(work, boundedPool(pool));
}

/** Lends one connection to `work`. A connection that broke is closed and never goes back to the pool. */
export async function withClient<T>(pool: SqlPool, work: (client: SqlClient) => Promise<T>): Promise<T> {
  const client = await borrow(pool);
  let broken = false;
  try {
    return await work(client);
  } catch (error) {
    broken = isBroken(error);
    throw error;
  } finally {
    client.release(broken);
  }
}

/** Runs `work` in a transaction. The error thrown is always the one that ended it, even if the rollback fails too. */
export async function inTransaction<T>(pool: SqlPool, work: (client: SqlClient) => Promise<T>): Promise<T> {
  const client = await borrow(pool);
  let broken = false;
  try {
    await client.query("BEGIN");
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    broken = isBroken(error);
    if (!broken) {
      await client.query("ROLLBACK").catch(() => {
        broken = true;
      });
    }
    throw error;
  } finally {
    client.release(broken);
  }
}

async function borrow(pool: SqlPool): Promise<SqlClient> {
  return boundedPool(pool).connect();
}

function isBroken(error: unknown): boolean {
  return error instanceof DatabaseTimeoutError || isConnectionLost(error);
}

/** Runs the statements so that all of them take effect or none; one statement needs no transaction of its own. */
async function runTogether(pool: SqlPool, statements: readonly Statement[]): Promise<void> {
  const [only, ...more] = statements;
  if (only === undefined) return;
  if (more.length === 0) {
    await withClient(pool, (client) => run(client, only));
    return;
  }
  await inTransaction(pool, async (client) => {
    for (const statement of statements) await run(client, statement);
  });
}

/**
 * The statements run together, repeated after transient errors: the statements must be idempotent.
 *
 * @param guard gives a row if the statements may run; asked in their transaction
 */
export async function writeTogether(
  pool: SqlPool,
  statements: readonly Statement[],
  guard?: Statement,
): Promise<"written" | "refused"> {
  if (guard === undefined) {
    await retryOn(pool, () => runTogether(pool, statements));
    return "written";
  }
  return retryOn(pool, () =>
    inTransaction(pool, async (client) => {
      if ((await run(client, guard)).rows.length === 0) return "refused";
      for (const statement of statements) await run(client, statement);
      return "written";
    }),
  );
}
