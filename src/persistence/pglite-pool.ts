/** An embedded Postgres behind the interface of a pool: one connection, lent to one user at a time. */
import type { PGlite, Results } from "@electric-sql/pglite";
import { type Clock, systemClock } from "../core/clock.js";
import { ResilienceError } from "../errors/own-errors.js";
import type { SqlClient, SqlPool, SqlResult, Statement } from "./sql-pool.js";

/** How long `connect()` waits for the one connection. */
const acquireTimeoutMs = 30_000;

const opensTransaction = /^\s*(begin|start\s+transaction)\b/i;
const endsTransaction = /^\s*(commit|rollback|end|abort)\b(?!\s+to\b)/i;

const oid = { bytea: 17, int8: 20 };

/** Types read as node-postgres reads them, given to the PGlite constructor. */
export const nodePostgresParsers = {
  [oid.int8]: (value: string) => value,
  [oid.bytea]: (value: string) => Buffer.from(value.slice(2), "hex"),
};

export function createPglitePool(db: PGlite, close: () => Promise<void>, clock: Clock = systemClock): SqlPool {
  let lent = false;
  const waiting: (() => void)[] = [];

  const handOn = () => {
    const next = waiting.shift();
    if (next === undefined) lent = false;
    else next();
  };

  const acquire = async (): Promise<void> => {
    if (!lent) {
      lent = true;
      return;
    }
    const given = new AbortController();
    const turn = () => given.abort();
    waiting.push(turn);
    try {
      await clock.sleep(acquireTimeoutMs, given.signal);
    } catch {
      return;
    }
    const place = waiting.indexOf(turn);
    // The connection was handed on in the same moment as the time ran out.
    if (place === -1) return;
    waiting.splice(place, 1);
    throw new ResilienceError(
      "BUSY",
      `The embedded Postgres was in use for ${acquireTimeoutMs} ms; its one connection was not free`,
    );
  };

  return {
    options: { connectionTimeoutMillis: acquireTimeoutMs },
    async connect() {
      await acquire();
      return borrow(db, handOn);
    },
    end: close,
    on: () => {},
  };
}

function borrow(db: PGlite, giveBack: () => void): SqlClient {
  let released = false;
  let inTransaction = false;
  return {
    async query<R extends object>(given: string | Statement, valuesApart?: unknown[]): Promise<SqlResult<R>> {
      // PGlite has no prepared statements by name; one that has a name runs as any other.
      const { text, values } = typeof given === "string" ? { text: given, values: valuesApart } : given;
      if (released) throw new Error("This connection was released");
      // PGlite works on the event loop's own thread; without this a burst of statements starves everything else.
      await new Promise((resolve) => setImmediate(resolve));
      if (opensTransaction.test(text)) inTransaction = true;
      const result = values === undefined ? await lastOf<R>(db, text) : await db.query<R>(text, values);
      if (endsTransaction.test(text)) inTransaction = false;
      return { rows: result?.rows ?? [] };
    },
    release() {
      if (released) return;
      released = true;
      if (!inTransaction || db.closed) giveBack();
      else void db.exec("rollback").then(giveBack, giveBack);
    },
  };
}

/** Text without parameters may hold several statements, as with node-postgres. */
async function lastOf<R extends object>(db: PGlite, text: string): Promise<Results<R> | undefined> {
  return (await db.exec(text)).at(-1) as Results<R> | undefined;
}
