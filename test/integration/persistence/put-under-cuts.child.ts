/**
 * Puts checkpoints over connections that are cut at every statement of a put, and prints what came of each. Arguments:
 * "stock" or "ours", and an address. The pool is the saver's own: nobody but the saver keeps this process alive.
 */
import { emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import { ResilientPostgresSaver } from "../../../src/persistence/saver.js";
import { startWireProxy } from "./wire-proxy.js";

const [which, url = ""] = process.argv.slice(2);
const proxy = await startWireProxy(url);
const saver = (which === "stock" ? PostgresSaver : ResilientPostgresSaver).fromConnString(proxy.url);

async function put(thread: string): Promise<unknown> {
  // The other saver is at work in the same database.
  const config = { configurable: { thread_id: `${which}: ${thread}`, checkpoint_ns: "" } };
  const checkpoint = { ...emptyCheckpoint(), id: uuid6(0), channel_values: { a: thread }, channel_versions: { a: 1 } };
  await saver.put(config, checkpoint, { source: "loop", step: 0, parents: {} }, { a: 1 });
  return (await saver.getTuple(config))?.checkpoint.channel_values;
}

await put("unbroken, and connected");
proxy.cutAt(0);
await put("unbroken");
const statements = proxy.statements;
for (let n = 1; n <= statements; n += 1) {
  for (const moment of ["statement", "reply", "half of the reply"] as const) {
    const thread = `cut at the ${moment} of ${n}`;
    proxy.cutAt(n, moment);
    const read = await put(thread).catch((error: unknown) => ({ error: String(error) }));
    console.log(JSON.stringify({ thread, read, cuts: proxy.cuts }));
  }
}
console.log("lived");
process.exit(0);
