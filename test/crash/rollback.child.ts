/** Takes back the order that its environment names, or goes on with that, to its end. Dies where it is told to. */
import { armCrashPoints, traceCrashPoints } from "langgraph-resilience/chaos";
import { takeBack, type UndoneBy } from "./rollback.js";

armCrashPoints();
const { DATABASE = "", THREAD = "", SERVER = "", UNDONE_BY = "", JOURNAL = "", DIES_UNTIL } = process.env;
await takeBack(
  { database: DATABASE, thread: THREAD, server: SERVER, undoneBy: UNDONE_BY as UndoneBy, journal: JOURNAL },
  // In place of what was armed: it is neither killed nor traced from then on.
  DIES_UNTIL === "rolled back" ? () => traceCrashPoints(() => {}) : undefined,
);
