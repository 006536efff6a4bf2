/** What share of the process's CPU time goes into hashes and checksums, by a sampling profile of the many threads. */
import { Session } from "node:inspector/promises";
import { manyThreads } from "./threads.mjs";

/** @typedef {import("node:inspector").Profiler.Profile} Profile */
/** @typedef {import("node:inspector").Profiler.ProfileNode} ProfileNode */

const INTERVAL_US = 200;
/** Functions of ours, by their own name or their file's. What they call counts as theirs. */
const OURS = /\/dist\/src\/persistence\//;
const NAMES = /hash|crc|check_?sum|integrity|digest|sha_?(256|2)/i;
/** Of Node: counts where a function of ours called it, whatever that one's name is. */
const NODES = /^node:internal\/crypto\/|^node:(zlib|crypto)$/;
/** Time in which no work was done. */
const IDLE = "(idle)";
const SHOWN = 8;

/**
 * @param {import("./storage.mjs").Storage} storage
 * @param {import("./sizes.mjs").Size} size
 * @param {number} round
 */
export async function integrityShare(storage, size, round) {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: INTERVAL_US });
  /** @type {Profile | undefined} */
  let profile;
  const { stepsPerSecond } = await manyThreads(storage, size, round, async (work) => {
    await session.post("Profiler.start");
    await work();
    ({ profile } = await session.post("Profiler.stop"));
  });
  session.disconnect();
  return { ...shares(/** @type {Profile} */ (/** @type {unknown} */ (profile))), stepsPerSecond };
}

/** @param {Profile} profile */
function shares({ nodes, samples = [], timeDeltas = [] }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  /** @type {Map<number, number>} */
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  /** @type {Map<number, ProfileNode[]>} innermost first */
  const stacks = new Map();
  const stackOf = (/** @type {number} */ id) => {
    let stack = stacks.get(id);
    if (stack === undefined) {
      stack = [];
      for (let at = /** @type {number | undefined} */ (id); at !== undefined; at = parents.get(at)) {
        const node = byId.get(at);
        if (node !== undefined) stack.push(node);
      }
      stacks.set(id, stack);
    }
    return stack;
  };

  let [busy, ours, integrity] = [0, 0, 0];
  /** @type {Map<string, number>} */
  const where = new Map();
  for (const [at, id] of samples.entries()) {
    const stack = stackOf(id);
    if (stack[0]?.callFrame.functionName === IDLE) continue;
    const us = timeDeltas[at] ?? 0;
    busy += us;
    const ownAt = stack.findIndex(({ callFrame }) => OURS.test(callFrame.url));
    if (ownAt === -1) continue;
    ours += us;
    const found = stack.find(({ callFrame: { url, functionName } }, depth) =>
      OURS.test(url)
        ? NAMES.test(functionName) || NAMES.test(url.slice(url.lastIndexOf("/")))
        : depth < ownAt && NODES.test(url),
    );
    if (found === undefined) continue;
    integrity += us;
    const { functionName, url } = found.callFrame;
    const name = `${functionName || "(anonymous)"} in ${url.slice(url.lastIndexOf("/") + 1)}`;
    where.set(name, (where.get(name) ?? 0) + us);
  }
  const percent = (/** @type {number} */ us) => (100 * us) / busy;
  const top = [...where].sort(([, a], [, b]) => b - a).slice(0, SHOWN);
  return {
    // None at all is not a share of nothing: a name was changed, or the format has no checksums.
    ...(where.size === 0 ? {} : { integrityShare: percent(integrity) }),
    saverShare: percent(ours),
    note: top.map(([name, us]) => `${name} ${percent(us).toFixed(2)} %`).join(", ") || "no such function was seen",
  };
}
