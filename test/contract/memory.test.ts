import { deltaChannelHistoryTests, specTest } from "@langchain/langgraph-checkpoint-validation";
import { openPersistence } from "langgraph-resilience";
import { persistenceContract } from "langgraph-resilience/testing";
import * as test from "vitest";
import { expect, it } from "vitest";
import { crashPointsContract, ownStores, storesOf } from "./stores-contract.js";

const initializer = {
  // By this name the suite leaves out its one case about storing only changed channels, which MemorySaver does not do.
  checkpointerName: "MemorySaver",
  createCheckpointer: () => openPersistence("memory:").checkpointer,
};

specTest(initializer);
deltaChannelHistoryTests(initializer);
const open = () => openPersistence("memory:");
persistenceContract({ name: "memory:", open, stores: ownStores, test });
crashPointsContract("memory:", open);

it("memory: keeps the 1000 cached answers that were used last", async () => {
  const { cache } = storesOf(openPersistence("memory:"));
  const aMinute = 60_000;
  for (let n = 0; n < 1000; n += 1) await cache.put(`k${n}`, n, aMinute);
  expect(await cache.get("k0")).toMatchObject({ value: 0 });
  await cache.put("k1", "again", aMinute);
  await cache.put("one more", 1, aMinute);
  await cache.put("another", 1, aMinute);
  const left = async (key: string) => (await cache.get(key)) !== undefined;
  expect(await Promise.all(["k0", "k1", "k2", "k3", "k4", "k999"].map(left))).toEqual([
    true,
    true,
    false,
    false,
    true,
    true,
  ]);
});
