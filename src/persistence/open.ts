import type { Persistence, PersistenceOptions, PersistencePlugin } from "../core/ports.js";
import { ConfigError } from "../errors/own-errors.js";
import { schemeOf } from "./address.js";
import { memoryPlugin } from "./memory.js";
import { resolveOptions } from "./persistence-options.js";
import { pglitePlugin } from "./pglite.js";
import { postgresPlugin } from "./postgres.js";
import { openSqlPersistence, serverAdvice } from "./sql-persistence.js";
import type { SqlPool } from "./sql-pool.js";

/** Where the embedded Postgres keeps its files when nothing else is said, relative to the working directory. */
const defaultAddress = "pglite:.lgr/pglite";

const plugins = new Map<string, PersistencePlugin>([
  ["memory", memoryPlugin],
  ["pglite", pglitePlugin],
  ["postgres", postgresPlugin],
  ["postgresql", postgresPlugin],
]);

/** A pool the application has already; `close()` leaves it open. */
export interface PoolTarget {
  /** A `pg.Pool`, or anything with its `connect`, `end` and `on`. */
  readonly pool: SqlPool;
  readonly schema?: string;
}

/**
 * Opens what runs are stored in. Returns at once and connects on first use, so a module may call it while it loads;
 * `ready()` connects now. The tables are made and brought up to date when it connects.
 *
 * | target | where |
 * |---|---|
 * | none, or `""` | `pglite:.lgr/pglite` |
 * | `memory:` | this process |
 * | `pglite:<folder>` | an embedded Postgres in that folder, one process at a time; `pglite:memory` keeps no files |
 * | `postgres://user:password@host:5432/database` | a PostgreSQL server |
 * | `{ pool, schema? }` | a pool of yours |
 *
 * @throws ConfigError for an unknown scheme, a malformed address or an option out of range
 */
export function openPersistence(target?: string | PoolTarget, options: PersistenceOptions = {}): Persistence {
  if (typeof target === "object") {
    const { schema, retention, strict } = resolveOptions({
      ...options,
      ...(target.schema === undefined ? {} : { schema: target.schema }),
    });
    const { pool } = target;
    return openSqlPersistence({
      description: "PostgreSQL behind a given pool",
      schema,
      advice: serverAdvice,
      ownsPool: false,
      retention,
      strict,
      connect: async () => pool,
    });
  }
  const address = target === undefined || target === "" ? defaultAddress : target;
  const scheme = schemeOf(address);
  const plugin = scheme === undefined ? undefined : plugins.get(scheme);
  if (plugin === undefined) {
    throw new ConfigError(
      `No persistence plugin for ${scheme === undefined ? "an address without a scheme" : `the scheme "${scheme}:"`}; known: ${[...plugins.keys()].map((known) => `${known}:`).join(", ")}. registerPersistence adds one`,
    );
  }
  resolveOptions(options);
  return plugin.open(address, options);
}

/**
 * Adds a plugin for addresses that begin with `<scheme>:`.
 *
 * @throws ConfigError when the scheme is malformed or taken by another plugin
 */
export function registerPersistence(scheme: string, plugin: PersistencePlugin): void {
  if (schemeOf(`${scheme}:`) !== scheme) {
    throw new ConfigError(
      `"${scheme}" is no URL scheme: use lower-case letters, digits, "+", "." and "-", letter first`,
    );
  }
  const taken = plugins.get(scheme);
  if (taken !== undefined && taken !== plugin) throw new ConfigError(`The scheme "${scheme}:" has a plugin already`);
  plugins.set(scheme, plugin);
}
