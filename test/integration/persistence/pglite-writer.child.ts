/** Writes checkpoints to an embedded Postgres for as long as it lives, and prints each one that was acknowledged. */
import { emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { openPersistence } from "../../../src/persistence/open.js";

const [address, writes] = process.argv.slice(2);
const { checkpointer, close, ready } = openPersistence(address);
await ready();
console.log("ready");
if (writes === "close") {
  await close();
} else {
  for (let step = 0; ; step += 1) {
    const id = uuid6(step);
    const config = { configurable: { thread_id: `t${step % 5}`, checkpoint_ns: "" } };
    const checkpoint = {
      ...emptyCheckpoint(),
      id,
      channel_values: { a: "x".repeat(2000) },
      channel_versions: { a: step + 1 },
    };
    const at = await checkpointer.put(config, checkpoint, { source: "loop", step, parents: {} }, { a: step + 1 });
    await checkpointer.putWrites(at, [["b", step]], "task", "path");
    console.log(`${config.configurable.thread_id} ${id}`);
  }
}
