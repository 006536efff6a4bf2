import { type SqlPool, withClient } from "../sql-pool.js";

/** Bytes from which it is worth the time: that a vacuum takes grows with the tables. */
const worthwhileBytes = 1024 * 1024;

const tables = [
  "checkpoints",
  "checkpoint_blobs",
  "checkpoint_writes",
  "lgr_objects",
  "lgr_writes",
  "lgr_write_counts",
];

/** For an embedded Postgres, which has no autovacuum: makes the place of what was deleted free for what comes next. */
export async function reclaimSpace(pool: SqlPool, schema: string, deletedBytes: number): Promise<void> {
  if (deletedBytes < worthwhileBytes) return;
  for (const table of tables) await withClient(pool, (client) => client.query(`vacuum "${schema}".${table}`));
}
