/** The database behind a persistence, for what is done to its rows as a whole; none behind one that is not SQL. */
import type { Persistence } from "../core/ports.js";
import type { SqlPool } from "./sql-pool.js";

export interface DatabaseOf {
  /** Connects and migrates on first use. */
  readonly pool: () => Promise<SqlPool>;
  readonly schema: string;
}

const databases = new WeakMap<Persistence, DatabaseOf>();

export function registerDatabase(persistence: Persistence, database: DatabaseOf): void {
  databases.set(persistence, database);
}

export function databaseOfPersistence(persistence: Persistence): DatabaseOf | undefined {
  return databases.get(persistence);
}
