import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { deltaChannelHistoryTests, specTest } from "@langchain/langgraph-checkpoint-validation";
import { openPersistence } from "langgraph-resilience";
import { ResilientPostgresSaver } from "langgraph-resilience/persistence";
import { persistenceContract } from "langgraph-resilience/testing";
import * as test from "vitest";
import { createDatabase, describeOnPostgres, type TestDatabase } from "../support/databases.js";
import { appendOnlyContract } from "./append-only-contract.js";
import { crashPointsContract, ownStores } from "./stores-contract.js";

const ends = new Map<BaseCheckpointSaver, () => Promise<void>>();
const destroyCheckpointer = async (saver: BaseCheckpointSaver) => ends.get(saver)?.();

describeOnPostgres("PostgreSQL", () => {
  const opened = {
    checkpointerName: "postgres:",
    destroyCheckpointer,
    async createCheckpointer() {
      const database = await createDatabase();
      const persistence = openPersistence(database.url, { maxConnections: 4 });
      ends.set(persistence.checkpointer, async () => {
        await persistence.close();
        await database.drop();
      });
      return persistence.checkpointer;
    },
  };
  specTest(opened);
  deltaChannelHistoryTests(opened);

  const dropIn = {
    checkpointerName: "ResilientPostgresSaver as a drop-in",
    destroyCheckpointer,
    async createCheckpointer() {
      const database = await createDatabase();
      const saver = ResilientPostgresSaver.fromConnString(database.url);
      await saver.setup();
      ends.set(saver, async () => {
        await saver.end();
        await database.drop();
      });
      return saver;
    },
  };
  specTest(dropIn);
  deltaChannelHistoryTests(dropIn);

  let database: TestDatabase;
  test.beforeAll(async () => {
    database = await createDatabase();
  });
  test.afterAll(() => database.drop());
  const open = () => openPersistence(database.url);
  persistenceContract({ name: "postgres:", open, reopen: open, stores: ownStores, test });
  crashPointsContract("postgres:", open);
  appendOnlyContract("postgres:", open);
});
