/**
 * The little of node-postgres that the SQL plugins stand on, so that one implementation serves a `pg.Pool` and the
 * embedded PGlite. Nothing here holds a connection while it waits for anything but the database.
 */
import { isConnectionLost } from "./connection-errors.js";

/** How long a connection attempt to a host that does not answer may take. */
export const connectionTimeoutMs = 10_000;

export interface SqlResult<R> {
  readonly rows: R[];
}

export interface SqlClient {
  query<R extends object>(text: string, values?: unknown[]): Promise<SqlResult<R>>;
  /** Gives the connection back; with an error or `true` it is closed instead of reused. */
  release(destroy?: Error | boolean): void;
}

/** A `pg.Pool` is one. */
export interface SqlPool {
  connect(): Promise<SqlClient>;
  end(): Promise<void>;
  on(event: "error" | "connect", listener: (subject: object) => void): unknown;
}

/** A statement and its parameters. */
export interface Statement {
  readonly text: string;
  readonly values: unknown[];
}

const guardedPools = new WeakSet<object>();
const guardedClients = new WeakSet<object>();

/**
 * Listens for errors on the pool and on each client. Without a listener Node ends the process when the server
 * terminates a connection. There is nothing to do on the event itself: the pool drops an idle client by itself, and
 * whoever uses a client sees its query fail.
 */
export function guardPool(pool: SqlPool): void {
  if (guardedPools.has(pool)) return;
  guardedPools.add(pool);
  pool.on("error", () => {});
  pool.on("connect", guardClient);
}

function guardClient(client: object): void {
  if (guardedClients.has(client) || !("on" in client) || typeof client.on !== "function") return;
  guardedClients.add(client);
  client.on("error", () => {});
}

/** Lends one connection to `work`. A connection that broke is closed and never goes back to the pool. */
export async function withClient<T>(pool: SqlPool, work: (client: SqlClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  guardClient(client);
  let broken = false;
  try {
    return await work(client);
  } catch (error) {
    broken = isConnectionLost(error);
    throw error;
  } finally {
    client.release(broken);
  }
}

/** Runs `work` in a transaction. The error thrown is always the one that ended it, even if the rollback fails too. */
export async function inTransaction<T>(pool: SqlPool, work: (client: SqlClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  guardClient(client);
  let broken = false;
  try {
    await client.query("BEGIN");
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    broken = isConnectionLost(error);
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

/** Runs the statements so that all of them take effect or none; one statement needs no transaction of its own. */
export async function runTogether(pool: SqlPool, statements: readonly Statement[]): Promise<void> {
  const [only, ...more] = statements;
  if (only === undefined) return;
  if (more.length === 0) {
    await withClient(pool, (client) => client.query(only.text, only.values));
    return;
  }
  await inTransaction(pool, async (client) => {
    for (const statement of statements) await client.query(statement.text, statement.values);
  });
}
