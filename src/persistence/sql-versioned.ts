/**
 * Versioned state that every process on the database shares.
 *
 * A compare-and-swap whose reply was lost may have been done, and repeating it would then find its own work and take it
 * for another's. So each write leaves its mark in the row, which keeps the marks of the last few writes: whoever must
 * know who wrote a version can look it up, also when others have written since.
 */
import { randomUUID } from "node:crypto";
import type { Versioned, VersionedStore } from "../core/store-ports.js";
import { ResilienceError } from "../errors/own-errors.js";
import { retryTransient } from "./connection-errors.js";
import { jsonText } from "./json-text.js";
import { retryOn, type SqlPool, type Statement, withClient } from "./sql-pool.js";
import { repeatableQuery } from "./sql-query.js";
import { fromStorableJson, fromStorableText, toStorableJson, toStorableText } from "./storable-text.js";
import { inOrderOfKeys } from "./versioned-rules.js";

/** Marks that a row keeps: fewer writes of others must come between a write and the question whether it was done. */
const keptMarks = 32;

const nowMs = "floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now_ms";

interface Row {
  key: string;
  value: unknown;
  /** Numbers of 64 bits come as text. */
  version: string | null;
  now_ms: string;
}

interface Write {
  readonly key: string;
  readonly json: string;
  readonly expectedVersion: number;
  readonly mark: string;
  readonly companion: Companion | undefined;
}

/** What is written in the statement of a write, and so if and only if that takes place. */
export interface Companion {
  /**
   * An insert, without a `returning`.
   *
   * @param first number of the first of its parameters
   * @param source gives it a row where the write takes place, and none otherwise
   */
  readonly sql: (first: number, source: string) => string;
  readonly values: readonly unknown[];
}

export interface SqlVersionedStore extends VersionedStore {
  /** @param companion absent: the state alone is written */
  write(key: string, value: unknown, expectedVersion: number, companion?: Companion): Promise<number | undefined>;
}

interface Waiting {
  /** Whether writes wait for a server that starts up again, as reads do; default false: whoever writes soon hears of it. */
  readonly patient?: boolean;
}

/**
 * @param table its name; columns key, value, version and marks
 */
export function createSqlVersioned(
  open: () => Promise<SqlPool>,
  schema: string,
  table: string,
  { patient = false }: Waiting = {},
): SqlVersionedStore {
  const at = `"${schema}".${table}`;
  const query = repeatableQuery(open);

  const swap = async (pool: SqlPool, write: Write): Promise<number | undefined> => {
    const { text, values } = swapStatement(at, write);
    const { rows } = await withClient(pool, (client) => client.query<{ version: string }>(text, values));
    return rows[0] === undefined ? undefined : Number(rows[0].version);
  };

  /** The mark of the write that made this version; `forgotten` when too many have followed it. */
  const markOf = async (pool: SqlPool, key: string, version: number): Promise<string | undefined | "forgotten"> => {
    const { rows } = await withClient(pool, (client) =>
      client.query<{ mark: string | null }>(
        `select marks[least(version - $2::bigint + 1, ${keptMarks + 1})::int]::text as mark
          from ${at} where key = $1 and version >= $2::bigint`,
        [key, version],
      ),
    );
    return rows[0] === undefined ? undefined : (rows[0].mark ?? "forgotten");
  };

  return {
    async read(key) {
      const [row] = await query<Row>(
        `select clock.now_ms, stored.value, stored.version from (select ${nowMs}) clock
          left join ${at} stored on stored.key = $1`,
        [toStorableText(key)],
      );
      if (row === undefined) throw new Error(`Reading "${key}" from ${at} gave no row`);
      return described(row);
    },
    async write(key, value, expectedVersion, companion) {
      const write: Write = {
        key: toStorableText(key),
        json: toStorableJson(jsonText(`The state "${key}"`, value)),
        expectedVersion,
        mark: randomUUID(),
        companion,
      };
      const pool = await open();
      let inDoubt: unknown;
      const once = async () => {
        try {
          const version = await swap(pool, write);
          if (version !== undefined || inDoubt === undefined) return version;
          // A statement of its own: one that has waited for the lost one to finish still sees the row as it was before.
          const mark = await markOf(pool, write.key, expectedVersion + 1);
          if (mark === "forgotten") throw neverKnown(key, expectedVersion, inDoubt);
          return mark === write.mark ? expectedVersion + 1 : undefined;
        } catch (error) {
          inDoubt ??= error;
          throw error;
        }
      };
      return patient ? retryOn(pool, once) : retryTransient(once);
    },
    async list() {
      const rows = await query<Row>(`select key, value, version, ${nowMs} from ${at}`, []);
      return inOrderOfKeys(rows.map((row) => ({ key: fromStorableText(row.key), ...described(row) })));
    },
  };
}

/** Gives the version that was written, or no row. */
function swapStatement(at: string, { key, json, expectedVersion, mark, companion }: Write): Statement {
  const isNew = expectedVersion === 0;
  const text = isNew
    ? `insert into ${at} (key, value, version, marks) values ($1, $2, 1, array[$3::uuid])
      on conflict (key) do nothing returning version`
    : `update ${at} set value = $2, version = version + 1, marks = (array_prepend($3::uuid, marks))[:${keptMarks}]
      where key = $1 and version = $4 returning version`;
  const values = [key, json, mark, ...(isNew ? [] : [expectedVersion])];
  if (companion === undefined) return { text, values };
  return {
    text: `with written as (${text}), beside as (${companion.sql(values.length + 1, "from written")})
      select version from written`,
    values: [...values, ...companion.values],
  };
}

/** Neither answer would be known to be true, and a wrong one is worse than none. */
function neverKnown(key: string, expectedVersion: number, cause: unknown): ResilienceError {
  return new ResilienceError(
    "WRITE_IN_DOUBT",
    `Whether the state "${key}" was written over version ${expectedVersion} is not known: the connection broke before the answer came, and ${keptMarks} writes or more have followed; read it again and decide anew`,
    { cause, details: { key, expectedVersion } },
  );
}

function described(row: Row): Versioned {
  const stored = row.version !== null;
  return {
    value: stored ? fromStorableJson(row.value) : undefined,
    version: stored ? Number(row.version) : 0,
    nowMs: Number(row.now_ms),
  };
}
