/** Runs the order that its environment names, or goes on with it, to its end. Dies where it is told to. */
import { armCrashPoints } from "langgraph-resilience/chaos";
import { type ClearedBy, fulfil } from "./effects.js";

armCrashPoints();
const { DATABASE = "", THREAD = "", SERVER = "", CLEARED_BY = "", DURABILITY = "", JOURNAL = "" } = process.env;
await fulfil({
  database: DATABASE,
  thread: THREAD,
  server: SERVER,
  clearedBy: CLEARED_BY as ClearedBy,
  durability: DURABILITY as "sync" | "async",
  journal: JOURNAL,
});
