/** Begins the thread of the scenario, or goes on with it, and writes down what it ends with. Dies where it is told to. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { inspectThread, openPersistence, resumeThread, runThread } from "langgraph-resilience";
import { armCrashPoints } from "langgraph-resilience/chaos";
import { builder } from "./scenario.js";

armCrashPoints();
const { DATABASE = "", THREAD: threadId = "", JOURNAL: journal = "", DURABILITY: durability } = process.env;
const persistence = openPersistence(DATABASE);
await persistence.ready();
const graph = builder.compile({ checkpointer: persistence.checkpointer, name: "scenario" });
const { stored, status } = await inspectThread(graph, threadId);
if (!stored) await assert.rejects(resumeThread(graph, threadId), /Nothing is stored.*lgr run <graph> --thread/);
const result = stored
  ? await resumeThread(graph, threadId)
  : await runThread(graph, { journal }, { threadId, durability: durability as "sync" | "async" });
await persistence.close();
if (result.status === "succeeded") writeFileSync(`${journal}.end`, JSON.stringify(result.values));
else throw new Error(`Found ${status}, it ended ${result.status}`, { cause: result.error });
