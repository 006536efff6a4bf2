/** The savers that are compared with MemorySaver. */
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import type pg from "pg";
import { ResilientPostgresSaver } from "../../../../src/persistence/saver.js";
import type { SqlPool } from "../../../../src/persistence/sql-pool.js";
import type { Subject } from "./tee-saver.js";

export async function ours(
  name: string,
  pool: SqlPool,
  schema: string,
  options: { compatible?: boolean; keepThreads?: boolean } = {},
): Promise<Subject> {
  const open = () => new ResilientPostgresSaver(pool, undefined, { ...options, schema });
  const writer = open();
  await writer.setup();
  await writer.getTuple({ configurable: { thread_id: "none" } });
  let other = open();
  return {
    name,
    valuesByVersion: options.compatible === true,
    writer: () => writer,
    readers: () => [writer, other],
    renew: () => {
      other = open();
    },
  };
}

export async function stock(pool: pg.Pool, schema: string): Promise<Subject> {
  const saver = new PostgresSaver(pool, undefined, { schema });
  await saver.setup();
  return { name: "stock", valuesByVersion: true, writer: () => saver, readers: () => [saver], renew: () => {} };
}

/** Ours on what the stock saver wrote: ours reads all along, and from some point on writes as well. */
export async function adopting(pool: pg.Pool, schema: string): Promise<Subject & { takeOver(now: boolean): void }> {
  const before = await stock(pool, schema);
  const after = await ours("ours after stock", pool, schema);
  let taken = false;
  return {
    name: "ours after stock",
    valuesByVersion: true,
    // The stock saver has not stored what they are ordered by.
    ignored: ["order of writes"],
    writer: (): BaseCheckpointSaver => (taken ? after : before).writer(),
    readers: () => after.readers(),
    renew: () => after.renew(),
    takeOver: (now) => {
      taken = now;
    },
  };
}
