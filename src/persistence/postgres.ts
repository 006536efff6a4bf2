/** The `postgres://` plugin: a PostgreSQL server that any number of processes share. */
import { importOptional } from "../core/optional-import.js";
import type { PersistencePlugin } from "../core/ports.js";
import { describePostgres } from "./address.js";
import { resolveOptions } from "./persistence-options.js";
import { openSqlPersistence, serverAdvice } from "./sql-persistence.js";
import { connectionTimeoutMs } from "./sql-pool.js";

export const postgresPlugin: PersistencePlugin = {
  open(url, given) {
    const { schema, maxConnections, retention, strict } = resolveOptions(given);
    return openSqlPersistence({
      description: describePostgres(url),
      schema,
      advice: serverAdvice,
      ownsPool: true,
      retention,
      strict,
      async connect() {
        const { default: pg } = await importOptional(() => import("pg"), "pg");
        return new pg.Pool({
          connectionString: url,
          max: maxConnections,
          connectionTimeoutMillis: connectionTimeoutMs,
          keepAlive: true,
          // A script that forgets close() ends all the same.
          allowExitOnIdle: true,
        });
      },
    });
  },
};
