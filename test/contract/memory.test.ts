import { deltaChannelHistoryTests, specTest } from "@langchain/langgraph-checkpoint-validation";
import { openPersistence } from "../../src/persistence/open.js";
import { persistenceContract } from "./persistence-contract.js";

const initializer = {
  // By this name the suite leaves out its one case about storing only changed channels, which MemorySaver does not do.
  checkpointerName: "MemorySaver",
  createCheckpointer: () => openPersistence("memory:").checkpointer,
};

specTest(initializer);
deltaChannelHistoryTests(initializer);
persistenceContract("memory:", async () => openPersistence("memory:"));
