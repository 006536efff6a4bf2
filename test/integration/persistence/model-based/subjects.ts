/** The savers that are compared with MemorySaver. */
import type { BaseCheckpointSaver, JsonPlusSerializer } from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import type pg from "pg";
import { ResilientPostgresSaver } from "../../../../src/persistence/saver.js";
import type { SqlPool } from "../../../../src/persistence/sql-pool.js";
import type { Subject } from "./tee-saver.js";

type Serializer = JsonPlusSerializer | undefined;
const noSerializer: Serializer = undefined;

export async function ours(
  name: string,
  pool: SqlPool,
  schema: string,
  options: { compatible?: boolean } = {},
): Promise<Subject> {
  const open = () => new ResilientPostgresSaver(pool, noSerializer, { ...options, schema });
  const writer = open();
  await writer.setup();
  const valuesByVersion = options.compatible === true;
  return { name, valuesByVersion, writer: () => writer, readers: () => [writer, open()] };
}

export async function stock(pool: pg.Pool, schema: string): Promise<Subject> {
  const saver = new PostgresSaver(pool, noSerializer, { schema });
  await saver.setup();
  return { name: "stock", valuesByVersion: true, writer: () => saver, readers: () => [saver] };
}

/** Ours on what the stock saver wrote: ours reads all along, and from some point on writes as well. */
export async function adopting(pool: pg.Pool, schema: string): Promise<Subject & { takeOver(now: boolean): void }> {
  const before = await stock(pool, schema);
  const after = await ours("ours after stock", pool, schema);
  let taken = false;
  return {
    name: "ours after stock",
    valuesByVersion: true,
    writer: (): BaseCheckpointSaver => (taken ? after : before).writer(),
    readers: () => after.readers(),
    takeOver: (now) => {
      taken = now;
    },
  };
}
