/** Books the trip that its environment names, or goes on with that, to its end. Dies where it is told to. */
import { armCrashPoints, traceCrashPoints } from "langgraph-resilience/chaos";
import { travel } from "./transaction.js";

armCrashPoints();
const { DATABASE = "", THREAD = "", SERVER = "", JOURNAL = "", DIES_UNTIL } = process.env;
await travel(
  { database: DATABASE, thread: THREAD, server: SERVER, journal: JOURNAL },
  // In place of what was armed: it is neither killed nor traced from then on.
  DIES_UNTIL === "failed" ? () => traceCrashPoints(() => {}) : undefined,
);
