/**
 * Runs a thread, or goes on with it, and dies in an attempt ("node 3") or at a passage through a crash point
 * ("attempts.append.after 2"). Prints each crash point it passes.
 */
import { openPersistence, resumeThread, runThread } from "langgraph-resilience";
import { traceCrashPoints } from "langgraph-resilience/chaos";
import { builderOf, type GraphName } from "./attempts.js";

const [url = "", threadId = "", journal = "", name = "alone", place = "", action = "run"] = process.argv.slice(2);
const persistence = openPersistence(url);
await persistence.ready();
const passed: Record<string, number> = {};
traceCrashPoints((point) => {
  passed[point] = (passed[point] ?? 0) + 1;
  process.stdout.write(`${point} ${passed[point]}\n`);
  if (`${point} ${passed[point]}` === place) process.kill(process.pid, "SIGKILL");
});
const builder = builderOf(name as GraphName, { journal, dies: (begun) => begun === place });
const graph = builder.compile({ checkpointer: persistence.checkpointer, name: "attempts" });
const result = await (action === "run" ? runThread(graph, { value: 0 }, { threadId }) : resumeThread(graph, threadId));
process.stdout.write(`${result.status}\n`);
await persistence.close();
