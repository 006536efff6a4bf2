/** One contender in one scenario, in a process of its own: says when it is ready, then runs a round when told to. */
import { CONTENDERS } from "./contenders.mjs";
import { SCENARIOS } from "./scenarios.mjs";
import { FULL, QUICK } from "./sizes.mjs";
import { openStorage } from "./storage.mjs";

/** @typedef {{ scenario: string, contender: string, quick: boolean } & import("./storage.mjs").Where} Task */

// Ctrl-C reaches the whole group; the parent decides. Without a parent there is nobody to work for.
process.on("SIGINT", () => {});
process.on("disconnect", () => process.exit(1));
// Nobody's traces are to leave this machine.
for (const name of Object.keys(process.env)) if (/^LANG(SMITH|CHAIN)_/.test(name)) delete process.env[name];

/** @type {((message: { start?: Task, round?: number, stop?: boolean }) => Promise<unknown>) | undefined} */
let handle = async ({ start }) => {
  const scenario = SCENARIOS.find(({ name }) => name === start?.scenario);
  const contender = CONTENDERS.find(({ name }) => name === start?.contender);
  if (start === undefined || scenario === undefined || contender === undefined) throw new Error("What am I to do?");
  const size = start.quick ? QUICK : FULL;
  const storage = await openStorage(contender, start);
  const prepared = await scenario.prepare?.(storage, size);
  handle = async ({ round, stop }) => {
    if (stop !== true) return scenario.round(storage, size, round ?? 0, prepared, contender);
    await storage.close();
  };
};

process.on("message", async (/** @type {any} */ message) => {
  try {
    process.send?.({ done: (await handle?.(message)) ?? {} });
  } catch (error) {
    process.send?.({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
