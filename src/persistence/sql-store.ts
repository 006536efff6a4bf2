import { BaseStore, type Operation, type OperationResults } from "@langchain/langgraph-checkpoint";
import { borrowedConnection } from "./borrowed-connection.js";
import type { SqlPool } from "./sql-pool.js";

/**
 * LangGraph's long-term store: the stock PostgresStore on connections of our pool, opened and migrated on first use.
 * Every method of BaseStore comes down to `batch`; the stock store's own extras (vector search, TTL) are not passed on.
 */
class SqlStore extends BaseStore {
  readonly #open: () => Promise<BaseStore>;
  #opening: Promise<BaseStore> | undefined;

  constructor(open: () => Promise<BaseStore>) {
    super();
    this.#open = open;
  }

  override async batch<Op extends Operation[]>(operations: Op): Promise<OperationResults<Op>> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return (await this.#opening).batch(operations);
  }
}

export function createSqlStore(open: () => Promise<SqlPool>, schema: string): BaseStore {
  return new SqlStore(async () => {
    const pool = await open();
    const { migrateStore } = await import("./migrations.js");
    const { PostgresStore } = await import("@langchain/langgraph-checkpoint-postgres/store");
    await migrateStore(pool, schema);
    return new PostgresStore({
      connectionOptions: borrowedConnection(async () => (await open()).connect()),
      schema,
      ensureTables: false,
    });
  });
}
