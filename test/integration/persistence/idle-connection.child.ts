/** Leaves a connection idle, says so, and on the word "go" reads again. Arguments: "stock" or "ours", and an address. */
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import { ResilientPostgresSaver } from "../../../src/persistence/saver.js";

const [which, url] = process.argv.slice(2);
const saver = (which === "stock" ? PostgresSaver : ResilientPostgresSaver).fromConnString(url ?? "");
const read = () => saver.getTuple({ configurable: { thread_id: "none" } });
await read();
console.log("idle");
process.stdin.once("data", async () => {
  await read();
  console.log("alive");
  process.exit(0);
});
