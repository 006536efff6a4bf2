/**
 * An embedded Postgres behind the little of `pg.Pool` that both savers call, so that both are measured on the same: one
 * connection, lent in turn, and a breath for the event loop before each statement.
 */
import { PGlite } from "@electric-sql/pglite";

const oid = { bytea: 17, int8: 20 };
/** As node-postgres reads them. */
const parsers = {
  [oid.int8]: (/** @type {string} */ value) => value,
  [oid.bytea]: (/** @type {string} */ value) => Buffer.from(value.slice(2), "hex"),
};

/**
 * @param {string} folder
 * @param {(text: string) => void} onStatement
 */
export async function openPglite(folder, onStatement) {
  const db = await PGlite.create(folder, { parsers });
  /** @type {(() => void)[]} */
  const waiting = [];
  let lent = false;
  const giveBack = () => {
    const next = waiting.shift();
    if (next === undefined) lent = false;
    else next();
  };
  const acquire = async () => {
    if (lent) await new Promise((resolve) => waiting.push(() => resolve(undefined)));
    lent = true;
  };

  /** @param {string | { text: string, values?: unknown[] }} statement */
  const run = async (statement, /** @type {unknown[] | undefined} */ given) => {
    const { text, values = given } = typeof statement === "string" ? { text: statement } : statement;
    onStatement(text);
    await new Promise((resolve) => setImmediate(resolve));
    const result = values === undefined ? (await db.exec(text)).at(-1) : await db.query(text, encoded(values));
    return { rows: result?.rows ?? [], rowCount: result?.affectedRows ?? result?.rows.length ?? 0 };
  };

  const connect = async () => {
    await acquire();
    let released = false;
    return {
      query: run,
      on: () => {},
      release: () => {
        if (!released) giveBack();
        released = true;
      },
    };
  };
  return {
    connect,
    /** @type {typeof run} */
    query: async (statement, values) => {
      const client = await connect();
      try {
        return await client.query(statement, values);
      } finally {
        client.release();
      }
    },
    on: () => {},
    end: () => db.close(),
  };
}

/** node-postgres leaves out what is undefined. */
const encoded = (/** @type {readonly unknown[]} */ values) =>
  values.map((value) => (value === undefined ? null : value));
