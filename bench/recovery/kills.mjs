/** The order of the crash tests, killed so many times: how many effects were lost, and how many happened twice. */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { enumerateCrashPoints } from "langgraph-resilience/chaos";
import { compiled, createDatabase, startPayments } from "./world.mjs";

/** What clears doubts, and the durability. */
const CASES = ["keys", "probe", "person"].flatMap((clearedBy) =>
  ["sync", "async"].map((durability) => ({ clearedBy, durability })),
);
const EFFECTS = ["order", "charge", "reserve", "letter"];

/**
 * @typedef {object} Kills
 * @property {string} title of the case
 * @property {number} kills
 * @property {number} effects that should have happened
 * @property {number} lost
 * @property {number} duplicated
 * @property {readonly string[]} violations all of what was wrong, runs that did not come to their end included
 */

/**
 * @param {import("./world.mjs").World} world
 * @param {number} wanted
 * @param {number} seed of the points that are drawn
 * @returns {Promise<Kills[]>}
 */
export async function countKills(world, wanted, seed) {
  const child = await compiled(new URL("../../test/crash/effects.child.ts", import.meta.url), world.folder);
  const database = await createDatabase(world.serverUrl);
  const servers = { keys: await startPayments(world, true), others: await startPayments(world, false) };
  try {
    /** @type {(Kills & { left: number })[]} */
    const found = CASES.map(({ clearedBy, durability }, index) => ({
      title: `${clearedBy}, ${durability}`,
      kills: 0,
      effects: 0,
      lost: 0,
      duplicated: 0,
      violations: [],
      left: Math.floor(wanted / CASES.length) + (index < wanted % CASES.length ? 1 : 0),
    }));
    for (const [index, one] of found.entries()) {
      const { clearedBy, durability } = CASES[index] ?? { clearedBy: "", durability: "" };
      const server = clearedBy === "keys" ? servers.keys : servers.others;
      // A run has fewer points than may be wanted: then it is gone through again.
      for (let again = 0; one.left > 0; again += 1) {
        const place = { DATABASE: database.url, SERVER: server.url, CLEARED_BY: clearedBy, DURABILITY: durability };
        /** @type {string[]} */
        const threads = [];
        const report = await enumerateCrashPoints(
          {
            command: [process.execPath, child],
            prepare() {
              const thread = `${clearedBy}-${durability}-${again}-${threads.length}`;
              threads.push(thread);
              const journal = join(world.folder, thread);
              return {
                env: { ...place, THREAD: thread, JOURNAL: journal },
                observe: () => JSON.parse(readFileSync(`${journal}.end`, "utf8")).ledger.length,
              };
            },
          },
          { atMost: one.left, seed: seed + again, parallel: availableParallelism(), signal: world.signal },
        );
        // Of runs that did not come to their end too. The first was not disturbed.
        for (const times of await timesDone(server.url, threads.slice(1))) {
          one.effects += 1;
          if (times === 0) one.lost += 1;
          else one.duplicated += times - 1;
        }
        one.kills += report.points.filter(({ reached }) => reached).length;
        one.left -= report.points.length;
        one.violations = [...one.violations, ...report.violations];
        world.progress(`kills: ${one.title}: ${one.kills}`);
      }
    }
    return found;
  } finally {
    await Promise.all([servers.keys.close(), servers.others.close()]);
    await database.drop();
  }
}

/**
 * @param {string} server
 * @param {readonly string[]} orders
 * @returns {Promise<number[]>} how often each effect of each of them happened
 */
async function timesDone(server, orders) {
  /** @type {any} */
  const log = await (await fetch(`${server}/log`)).json();
  /** @type {Map<string, number>} */
  const times = new Map();
  for (const { name, input } of log) {
    const which = `${name} of ${input.order}`;
    times.set(which, (times.get(which) ?? 0) + 1);
  }
  return orders.flatMap((order) => EFFECTS.map((effect) => times.get(`${effect} of ${order}`) ?? 0));
}
