/**
 * The `pglite:<folder>` plugin: PostgreSQL in this process, for machines without a server.
 *
 * A process that ends without `close()` loses nothing, but lingers for up to 10 s after the last statement, until
 * PostgreSQL's own statistics timer has run.
 */
import type { PersistencePlugin } from "../core/ports.js";
import { ConfigError } from "../errors/own-errors.js";
import { resolveOptions } from "./persistence-options.js";
import { openFolder, openInMemory } from "./pglite-folder.js";
import { openSqlPersistence } from "./sql-persistence.js";

const inMemory = new Set(["memory", "memory:", "memory://"]);

export const pglitePlugin: PersistencePlugin = {
  open(address, given) {
    const { schema, retention, strict } = resolveOptions(given);
    const folder = address.slice("pglite:".length).replace(/^\/\/(?=\.|\/)/, "");
    if (folder === "")
      throw new ConfigError(`"${address}" names no folder: write pglite:.lgr/pglite, or pglite:memory`);
    const kept = !inMemory.has(folder);
    return openSqlPersistence({
      description: kept ? `embedded Postgres in ${folder}` : "embedded Postgres in memory (lost when the process ends)",
      schema,
      advice: kept
        ? "Check that the folder and the one above it can be written, and that the disk has room"
        : "Check that the machine has memory to spare",
      ownsPool: true,
      needsVacuum: true,
      retention,
      strict,
      connect: () => (kept ? openFolder(folder) : openInMemory()),
    });
  },
};
