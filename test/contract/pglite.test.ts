import { randomUUID } from "node:crypto";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { deltaChannelHistoryTests, specTest } from "@langchain/langgraph-checkpoint-validation";
import { openPersistence, type Persistence } from "langgraph-resilience";
import { persistenceContract } from "langgraph-resilience/testing";
import * as test from "vitest";
import { afterAll, beforeAll } from "vitest";
import { createFolder, embeddedAt } from "../support/databases.js";
import { appendOnlyContract } from "./append-only-contract.js";
import { crashPointsContract, ownStores } from "./stores-contract.js";

// Starting an embedded Postgres takes its time, so one serves the file, and each caller gets a schema of its own.
const folder = createFolder();
const address = embeddedAt(`${folder.path}/data`);
const keeper = openPersistence(address);
beforeAll(() => keeper.ready(), 60_000);
afterAll(async () => {
  await keeper.close();
  folder.remove();
});

const open = () => openPersistence(address, { schema: `s${randomUUID()}` });
const opened = new Map<BaseCheckpointSaver, Persistence>();

const initializer = {
  checkpointerName: "pglite:",
  beforeAllTimeout: 60_000,
  createCheckpointer: () => {
    const persistence = open();
    opened.set(persistence.checkpointer, persistence);
    return persistence.checkpointer;
  },
  destroyCheckpointer: (saver: BaseCheckpointSaver) => opened.get(saver)?.close(),
};

specTest(initializer);
deltaChannelHistoryTests(initializer);

const schema = `s${randomUUID()}`;
const openAgain = () => openPersistence(address, { schema });
persistenceContract({ name: "pglite:", open: openAgain, reopen: openAgain, stores: ownStores, test });
crashPointsContract("pglite:", openAgain);
appendOnlyContract("pglite:", openAgain);
