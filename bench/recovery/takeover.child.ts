/** Runs the order of the crash tests, or goes on with it; prints each crash point with its time, and dies at one. */
import { traceCrashPoints } from "langgraph-resilience/chaos";
import { fulfil } from "../../test/crash/effects.js";

const [database = "", thread = "", server = "", journal = "", diesAt = ""] = process.argv.slice(2);
const now = () => performance.timeOrigin + performance.now();
const passed: Record<string, number> = {};
traceCrashPoints((point) => {
  passed[point] = (passed[point] ?? 0) + 1;
  process.stdout.write(`${point} ${now()}\n`);
  if (`${point} ${passed[point]}` === diesAt) process.kill(process.pid, "SIGKILL");
});
await fulfil({ database, thread, server, clearedBy: "keys", durability: "sync", journal });
process.stdout.write(`end ${now()}\n`);
