/** Bounds every wait for a database: a connection that says nothing any more must not hold up a run for ever. */
import { setMaxListeners } from "node:events";
import { type Clock, systemClock } from "../core/clock.js";
import { ResilienceError } from "../errors/own-errors.js";
import type { Retrying } from "./connection-errors.js";
import { guardClient } from "./guarded-pool.js";
import type { SqlClient, SqlPool, SqlResult, Statement } from "./sql-pool.js";
import { TimeLimit } from "./time-limit.js";

export interface PoolLimits {
  /** How long a statement may go without its answer, in milliseconds; default 30,000. */
  readonly statementTimeoutMs?: number;
  /**
   * How long the pool may take to lend a connection, in milliseconds; default 30,000. A pool that sets a limit itself
   * (`connectionTimeoutMillis`) keeps its own.
   */
  readonly connectTimeoutMs?: number;
  readonly clock?: Clock;
  /** Ends the waits between repetitions (`retryOn`), as ending the pool does. */
  readonly signal?: AbortSignal;
}

const defaultTimeoutMs = 30_000;

/** The database gave no answer in time. Whether the statement took effect is not known. */
export class DatabaseTimeoutError extends ResilienceError {
  readonly category = "timeout";
}

/** A pool all of whose waits are bounded, and which knows how patiently a failure on it is to be met. */
export class BoundedPool implements SqlPool, Retrying {
  readonly clock: Clock;
  readonly #pool: SqlPool;
  readonly #limits: PoolLimits;
  readonly #statementLimit: TimeLimit;
  readonly #connectLimit: TimeLimit | undefined;
  readonly #ending = new AbortController();
  readonly signal: AbortSignal;
  #hasLent = false;

  constructor(pool: SqlPool, limits: PoolLimits = {}) {
    this.clock = limits.clock ?? systemClock;
    this.#pool = pool;
    this.#limits = limits;
    this.#statementLimit = new TimeLimit(limits.statementTimeoutMs ?? defaultTimeoutMs, this.clock);
    const setsOwnLimit = (pool.options?.connectionTimeoutMillis ?? 0) > 0;
    this.#connectLimit = setsOwnLimit
      ? undefined
      : new TimeLimit(limits.connectTimeoutMs ?? defaultTimeoutMs, this.clock);
    this.signal =
      limits.signal === undefined ? this.#ending.signal : AbortSignal.any([limits.signal, this.#ending.signal]);
    // Every repetition that waits listens, and there may be hundreds; Node 20 warns of a leak at eleven.
    setMaxListeners(0, this.signal);
  }

  /** The same pool under other limits: for work that may take longer than a statement should, or shorter. */
  withLimits(limits: PoolLimits): BoundedPool {
    const signals = limits.signal === undefined ? [this.signal] : [this.signal, limits.signal];
    return new BoundedPool(this.#pool, { ...this.#limits, ...limits, signal: AbortSignal.any(signals) });
  }

  /** A database that was there a moment ago comes back; one that never answered may be the wrong address. */
  get patience(): "long" | "short" {
    return this.#hasLent ? "long" : "short";
  }

  async connect(): Promise<SqlClient> {
    const client = await (this.#connectLimit === undefined ? this.#pool.connect() : this.#within(this.#connectLimit));
    this.#hasLent = true;
    guardClient(client);
    return new BoundedClient(client, this.#statementLimit);
  }

  #within(limit: TimeLimit): Promise<SqlClient> {
    return new Promise((resolve, reject) => {
      const lent = this.#pool.connect();
      let late = false;
      const wait = limit.begin(() => {
        late = true;
        reject(noConnection(limit.limitMs));
      });
      lent.then(
        (client) => {
          limit.end(wait);
          if (late) client.release();
          else resolve(client);
        },
        (error: unknown) => {
          limit.end(wait);
          reject(error);
        },
      );
    });
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#pool.end();
  }

  on(event: "error" | "connect", listener: (subject: object) => void): unknown {
    return this.#pool.on(event, listener);
  }
}

/** A connection on loan. Once it has let a statement wait too long it takes no other, and is closed on release. */
class BoundedClient implements SqlClient {
  readonly #client: SqlClient;
  readonly #limit: TimeLimit;
  #silent: DatabaseTimeoutError | undefined;

  constructor(client: SqlClient, limit: TimeLimit) {
    this.#client = client;
    this.#limit = limit;
  }

  query<R extends object>(statement: string | Statement, values?: unknown[]): Promise<SqlResult<R>> {
    return new Promise((resolve, reject) => {
      if (this.#silent !== undefined) throw this.#silent;
      const answer = this.#client.query<R>(statement, values);
      const limit = this.#limit;
      const wait = limit.begin(() => {
        this.#silent = noAnswer(statement, limit.limitMs);
        reject(this.#silent);
      });
      answer.then(
        (result) => {
          limit.end(wait);
          resolve(result);
        },
        (error: unknown) => {
          limit.end(wait);
          reject(error);
        },
      );
    });
  }

  release(destroy?: Error | boolean): void {
    this.#client.release(this.#silent === undefined ? destroy : true);
  }
}

function noConnection(timeoutMs: number): DatabaseTimeoutError {
  return new DatabaseTimeoutError(
    "CONNECT_TIMEOUT",
    `The pool lent no connection within ${timeoutMs} ms: the database does not answer, or every connection is in use. Check that it can be reached and that the pool is large enough`,
    { details: { timeoutMs } },
  );
}

function noAnswer(statement: string | Statement, timeoutMs: number): DatabaseTimeoutError {
  const text = (typeof statement === "string" ? statement : statement.text).replace(/\s+/g, " ").trim();
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return new DatabaseTimeoutError(
    "STATEMENT_TIMEOUT",
    `The database did not answer the statement "${shown}" within ${timeoutMs} ms; its connection was closed, and the statement may or may not have taken effect. Check that the database can be reached and what blocks it, then resume`,
    { details: { statement: shown, timeoutMs } },
  );
}
