/**
 * Lets code that insists on a `pg.Pool` of its own (the stock PostgresStore) work on connections of ours: connection
 * options whose clients are borrowed for one use. So it shares the limit of the pool, and runs on PGlite, too.
 */
import { EventEmitter } from "node:events";
import type pg from "pg";
import type { SqlClient } from "./sql-pool.js";

export function borrowedConnection(borrow: () => Promise<SqlClient>): pg.PoolConfig {
  class BorrowedClient extends EventEmitter {
    /** node-postgres drops a client from its pool unless this says that it works. */
    readonly _queryable = true;
    #lent: SqlClient | undefined;

    connect(done: (error?: unknown) => void): void {
      borrow().then(
        (client) => {
          this.#lent = client;
          done();
        },
        (error: unknown) => done(error),
      );
    }

    query(text: string, values?: unknown[]): Promise<unknown> {
      if (this.#lent === undefined) return Promise.reject(new Error("The borrowed connection was given back"));
      return this.#lent.query(text, values);
    }

    end(done?: () => void): void {
      this.#lent?.release();
      this.#lent = undefined;
      done?.();
    }
  }
  return { Client: BorrowedClient as unknown as new () => pg.ClientBase, maxUses: 1 };
}
