/** Runs the scenario and dies at the given passage through a crash point; passage 0 lists them instead. */
import { openPersistence, runThread } from "langgraph-resilience";
import { crashAtPassage, traceCrashPoints } from "langgraph-resilience/chaos";
import { builder } from "./scenario.js";

const [url = "", threadId = "", journal = "", passage = "0", durability = "async"] = process.argv.slice(2);
const persistence = openPersistence(url);
await persistence.ready();
if (passage === "0") traceCrashPoints((point) => process.stdout.write(`${point}\n`));
else crashAtPassage(Number(passage));
const graph = builder.compile({ checkpointer: persistence.checkpointer, name: "scenario" });
const result = await runThread(graph, { journal }, { threadId, durability: durability as "sync" | "async" });
await persistence.close();
process.exitCode = result.status === "succeeded" ? 0 : 1;
