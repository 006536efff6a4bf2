/** Where a contender keeps its state, seen from its own process: places to start afresh in, and how much lies there. */
import { cpSync, existsSync, rmSync } from "node:fs";
import pg from "pg";
import { newMemorySaver } from "./contenders.mjs";
import { openPglite } from "./pglite-pool.mjs";

/** For every contender that has a pool. */
export const POOL_SIZE = 10;

/** @typedef {import("./contenders.mjs").Contender} Contender */
/** @typedef {import("./contenders.mjs").Saver} Saver */

/**
 * One round's tables, or one MemorySaver.
 *
 * @typedef {object} Place
 * @property {() => Promise<Saver | undefined>} open a saver as a new process would have it: over what is there, and
 *   knowing no thread of it; the same MemorySaver each time
 * @property {() => Promise<number>} payloadBytes of all values in all rows of all tables
 * @property {() => Promise<number>} diskBytes of tables, indexes and all that belongs to them, after a VACUUM
 * @property {() => Promise<number>} walBytes that the server has logged so far
 * @property {() => number} statements that the saver has sent so far, BEGIN and COMMIT included
 * @property {() => Promise<void>} settle lets the server write out what it owes, so that the next round does not pay for it
 * @property {() => Promise<void>} drop
 */

/**
 * @typedef {object} Storage
 * @property {(name: string) => Promise<Place>} place empty, its tables made
 * @property {() => Promise<void>} close
 */

/**
 * @typedef {object} Where
 * @property {string} url of a database of this process's own, for a contender on PostgreSQL
 * @property {string} folder not there yet, for one on PGlite
 * @property {string} pgliteTemplate a new database to copy, made by whoever needs it first: its start takes seconds
 */

/**
 * @param {Contender} contender
 * @param {Where} where
 * @returns {Promise<Storage>}
 */
export async function openStorage({ database, open }, { url, folder, pgliteTemplate }) {
  if (open === undefined) return withoutDatabase(database === "memory");
  let statements = 0;
  const count = () => {
    statements += 1;
  };
  const { pool, query, close } =
    database === "pglite" ? await embedded(folder, pgliteTemplate, count) : await served(url, count);

  return {
    async place(name) {
      const schema = `lgr_bench_${name}`;
      const fresh = async () => {
        const saver = open(pool, schema);
        await saver.setup();
        // What a saver asks once in its life, and not once a thread, is asked here.
        await saver.getTuple({ configurable: { thread_id: "nobody's" } });
        return saver;
      };
      const tables = async () =>
        (
          await query(
            "select c.oid::int, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind = 'r'",
            [schema],
          )
        ).rows.map(({ oid, relname }) => ({ oid, quoted: `"${schema}"."${relname}"`, relname }));
      const sum = async (/** @type {string} */ text, /** @type {unknown[]} */ values = []) =>
        Number((await query(text, values)).rows[0]?.sum ?? 0);

      await query(`drop schema if exists "${schema}" cascade`);
      await fresh();
      return {
        open: fresh,
        async payloadBytes() {
          let bytes = 0;
          for (const { oid, quoted } of await tables()) {
            const columns = await query(
              "select attname from pg_attribute where attrelid = $1 and attnum > 0 and not attisdropped",
              [oid],
            );
            const each = columns.rows.map(({ attname }) => `coalesce(pg_column_size("${attname}"), 0)`);
            bytes += await sum(`select sum(${each.join(" + ")}) as sum from ${quoted}`);
          }
          return bytes;
        },
        async diskBytes() {
          let bytes = 0;
          for (const { oid, quoted } of await tables()) {
            await query(`vacuum ${quoted}`);
            bytes += await sum("select pg_total_relation_size($1::oid) as sum", [oid]);
          }
          return bytes;
        },
        walBytes: () => sum("select pg_current_wal_lsn() - '0/0'::pg_lsn as sum"),
        statements: () => statements,
        async settle() {
          // A role without the privilege measures without it.
          await query("checkpoint").catch(() => {});
        },
        async drop() {
          await query(`drop schema "${schema}" cascade`);
        },
      };
    },
    close,
  };
}

/** @returns {Storage} */
function withoutDatabase(/** @type {boolean} */ inMemory) {
  const nothing = async () => {};
  const none = async () => 0;
  return {
    async place() {
      const saver = inMemory ? newMemorySaver() : undefined;
      return {
        open: async () => saver,
        payloadBytes: none,
        diskBytes: none,
        walBytes: none,
        statements: () => 0,
        settle: nothing,
        drop: nothing,
      };
    },
    close: nothing,
  };
}

/**
 * @typedef {object} Database
 * @property {pg.Pool} pool
 * @property {(text: string, values?: unknown[]) => Promise<{ rows: any[] }>} query of the benchmark itself, not counted
 * @property {() => Promise<void>} close
 */

/**
 * @param {string} url
 * @param {() => void} count
 * @returns {Promise<Database>}
 */
async function served(url, count) {
  const pool = new pg.Pool({ connectionString: url, max: POOL_SIZE });
  pool.on("error", () => {});
  pool.on("connect", (client) => {
    const query = /** @type {(...args: unknown[]) => unknown} */ (client.query.bind(client));
    Object.assign(client, {
      query: (/** @type {unknown[]} */ ...args) => {
        count();
        return query(...args);
      },
    });
  });
  const own = new pg.Client({ connectionString: url });
  await own.connect();
  return {
    pool,
    query: (text, values) => own.query(text, values),
    async close() {
      await own.end();
      await pool.end();
    },
  };
}

/**
 * @param {string} folder
 * @param {string} template
 * @param {() => void} onStatement
 * @returns {Promise<Database>}
 */
async function embedded(folder, template, onStatement) {
  if (!existsSync(template)) await (await openPglite(template, () => {})).end();
  cpSync(template, folder, { recursive: true });
  let isOwn = false;
  const pool = await openPglite(folder, () => {
    if (!isOwn) onStatement();
  });
  return {
    pool: /** @type {pg.Pool} */ (/** @type {unknown} */ (pool)),
    async query(text, values) {
      // Asked only while the saver is at rest, so no statement of its own can slip in.
      isOwn = true;
      try {
        return await pool.query(text, values);
      } finally {
        isOwn = false;
      }
    },
    async close() {
      await pool.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
