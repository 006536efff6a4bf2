/** Processes killed anywhere, so many times: how much of what they do to the world was lost, and how much happened twice. */
import { availableParallelism } from "node:os";
import { enumerateCrashPoints } from "langgraph-resilience/chaos";
import { openScenarios } from "./kill-scenarios.mjs";
import { createDatabase } from "./world.mjs";

/**
 * @typedef {object} Kills
 * @property {string} title of the scenario
 * @property {number} kills
 * @property {number} effects that should have happened, undoings among them
 * @property {number} lost
 * @property {number} duplicated
 * @property {readonly string[]} violations all of what was wrong, runs that did not come to their end included
 */

/**
 * @param {import("./world.mjs").World} world
 * @param {number} wanted
 * @param {number} seed of the points that are drawn
 * @param {string | undefined} only scenarios with this in their title
 * @returns {Promise<Kills[]>}
 */
export async function countKills(world, wanted, seed, only) {
  const database = await createDatabase(world.serverUrl);
  const opened = await openScenarios(world, database.url);
  try {
    const scenarios = opened.scenarios.filter(({ title }) => title.includes(only ?? ""));
    const found = [];
    for (const [index, scenario] of scenarios.entries()) {
      const share = Math.floor(wanted / scenarios.length) + (index < wanted % scenarios.length ? 1 : 0);
      if (share > 0) found.push(await killedIn(scenario, `kill-${index}`, world, share, seed));
    }
    return found;
  } finally {
    await opened.close();
    await database.drop();
  }
}

/**
 * @param {import("./kill-scenarios.mjs").KillScenario} scenario
 * @param {string} name of its threads, before their numbers
 * @param {import("./world.mjs").World} world
 * @param {number} wanted
 * @param {number} seed
 * @returns {Promise<Kills>}
 */
async function killedIn({ title, command, envOf, expected, happened }, name, world, wanted, seed) {
  const one = { title, kills: 0, effects: 0, lost: 0, duplicated: 0, violations: /** @type {string[]} */ ([]) };
  let threads = 0;
  // A run has fewer points than may be wanted: then it is gone through again.
  for (let again = 0, left = wanted; left > 0; again += 1) {
    let isUndisturbed = true;
    const report = await enumerateCrashPoints(
      {
        command,
        prepare() {
          threads += 1;
          const thread = `${name}-${threads}`;
          const counts = !isUndisturbed;
          isUndisturbed = false;
          return {
            env: envOf(thread),
            observe: async () => (await happened(thread)).toSorted(),
            // Of runs that did not come to their end too.
            async close() {
              if (!counts || world.signal.aborted) return;
              const did = await happened(thread).catch(() => []);
              one.effects += expected.length;
              one.lost += without(expected, did).length;
              one.duplicated += without(did, expected).length;
            },
          };
        },
        invariants: (did) => [
          ...without(expected, did).map((what) => `"${what}" was lost`),
          ...without(did, expected).map((what) => `"${what}" happened once more than it should`),
        ],
      },
      { atMost: left, seed: seed + again, parallel: availableParallelism(), signal: world.signal },
    );
    const wrong = [...without(expected, report.undisturbed), ...without(report.undisturbed, expected)];
    if (wrong.length > 0) throw new Error(`${title}: undisturbed, it did ${report.undisturbed.join(", ")}`);
    one.kills += report.points.filter(({ reached }) => reached).length;
    left -= report.points.length;
    one.violations.push(...report.violations);
    world.progress(`kills: ${title}: ${one.kills}`);
  }
  return one;
}

/**
 * @param {readonly string[]} some
 * @param {readonly string[]} taken
 * @returns {string[]} what is left of `some`
 */
function without(some, taken) {
  const left = [...some];
  for (const one of taken) {
    const at = left.indexOf(one);
    if (at >= 0) left.splice(at, 1);
  }
  return left;
}
