/** How this format's statements reach the database: prepared, repeated after transient errors, tables made on demand. */
import { isPreparedStatementLost } from "../connection-errors.js";
import { retryOn, run, type SqlPool, type Statement, withClient } from "../sql-pool.js";

export class Database {
  readonly #pool: SqlPool;
  readonly #makeTables: () => Promise<void>;
  #prepares = true;

  /** @param makeTables called when a table is missing: a drop-in for stock is not set up anew where stock was */
  constructor(pool: SqlPool, makeTables: () => Promise<void>) {
    this.#pool = pool;
    this.#makeTables = makeTables;
  }

  async rows<R extends object>(statement: Statement): Promise<R[]> {
    try {
      return await this.#repeatable<R>(statement);
    } catch (error) {
      if ((error as { code?: unknown }).code !== "42P01") throw error;
      await this.#makeTables();
      return await this.#repeatable<R>(statement);
    }
  }

  async #repeatable<R extends object>(statement: Statement): Promise<R[]> {
    return retryOn(this.#pool, async () => {
      try {
        return await this.#once<R>(this.#prepares ? statement : unprepared(statement));
      } catch (error) {
        if (!isPreparedStatementLost(error)) throw error;
        this.#prepares = false;
        return await this.#once<R>(unprepared(statement));
      }
    });
  }

  #once<R extends object>(statement: Statement): Promise<R[]> {
    return withClient(this.#pool, async (client) => (await run<R>(client, statement)).rows);
  }
}

function unprepared({ text, values }: Statement): Statement {
  return { text, values };
}
