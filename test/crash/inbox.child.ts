/** Has the question asked that its environment names, and sweeps until that is over. Dies where it is told to. */
import { armCrashPoints } from "langgraph-resilience/chaos";
import { sweepToTheEnd } from "./inbox.js";

armCrashPoints();
const { DATABASE = "", THREAD = "", SERVER = "", JOURNAL = "" } = process.env;
await sweepToTheEnd({ database: DATABASE, thread: THREAD, server: SERVER, journal: JOURNAL });
