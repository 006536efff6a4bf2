/**
 * What does it cost to keep a thread's state? No saver, MemorySaver, the stock PostgresSaver and ours, on PostgreSQL and
 * on the embedded PGlite: the same graphs with the same texts, side by side in one run.
 *
 *     npm run bench:persistence                    about half an hour on an idle machine; writes
 *                                                  bench/results/persistence.{txt,svg,json} and the tables of
 *                                                  docs/persistence-bench.md
 *     node bench/persistence.mjs --quick           about a minute and a half, to see whether everything runs; prints only
 *     node bench/persistence.mjs --only many,chat  these scenarios alone, prints only (needs a build)
 *     node bench/persistence.mjs --list            the scenarios
 *
 * Each contender runs in a process of its own; rounds of all contenders take turns, so that whatever else the machine
 * does hits all of them. Absolute figures are this machine's; the ratios are what travels.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startChild, stopChildren } from "./persistence/children.mjs";
import { CONTENDERS } from "./persistence/contenders.mjs";
import { picture } from "./persistence/picture.mjs";
import { asJson } from "./persistence/results.mjs";
import { SCENARIOS } from "./persistence/scenarios.mjs";
import { startServer } from "./persistence/server.mjs";
import { FULL, QUICK } from "./persistence/sizes.mjs";
import { POOL_SIZE } from "./persistence/storage.mjs";
import { markdown, number, report } from "./persistence/tables.mjs";

/** @typedef {import("./persistence/scenarios.mjs").Scenario} Scenario */
/** @typedef {import("./persistence/scenarios.mjs").Sample} Sample */

const QUICK_ROUNDS = 1;

const { values: flags } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    contender: { type: "string", multiple: true },
    rounds: { type: "string" },
    quick: { type: "boolean" },
    write: { type: "boolean" },
    list: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
});
const quick = flags.quick === true;
const size = quick ? QUICK : FULL;
if (flags.help === true) {
  console.log(usage());
  process.exit(0);
}
if (flags.list === true) {
  for (const { name, title } of SCENARIOS) console.log(name.padEnd(14), title(size));
  process.exit(0);
}
const scenarios = chosen("--only", flags.only, SCENARIOS);
const contenders = chosen("--contender", flags.contender, CONTENDERS);
const rounds = flags.rounds === undefined ? undefined : Number(flags.rounds);
if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
  console.error(`--rounds: "${flags.rounds}" is no whole number above 0`);
  process.exit(2);
}
const isAll = flags.only === undefined && flags.contender === undefined && !quick;

const stopped = new AbortController();
const { signal } = stopped;
for (const name of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.on(name, () => stopped.abort(new Error(`Stopped by ${name}`)));
}

const startedAt = new Date().toISOString();
const began = performance.now();
/** @type {Record<string, Record<string, Sample[]>>} */
const samples = {};
/** @type {{ scenario: string, contender: string, error: string }[]} */
const failures = [];
const temporary = mkdtempSync(join(tmpdir(), "lgr-bench-"));
const pgliteTemplate = join(temporary, "pglite");
/** @type {import("./persistence/server.mjs").Server | undefined} */
let server;
try {
  server = await startServer(signal);
  for (const scenario of scenarios) await measure(scenario, server.url);
} catch (error) {
  if (!signal.aborted) throw error;
  console.error(`\n${signal.reason.message}; nothing is written`);
  process.exitCode = 130;
} finally {
  await stopChildren();
  await server?.stop();
  rmSync(temporary, { recursive: true, force: true });
}
if (signal.aborted) process.exit();

const settings = { ...machine(), server: server?.description ?? "none", poolSize: POOL_SIZE, quick, startedAt };
const seconds = (performance.now() - began) / 1000;
const run = { settings, size, scenarios, contenders, samples, failures, seconds };
const text = report(run);
console.log(text);
if (isAll || flags.write === true) {
  const folder = fileURLToPath(new URL("results/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}persistence.txt`, `${text}\n`);
  writeFileSync(`${folder}persistence.svg`, picture(run));
  writeFileSync(`${folder}persistence.json`, `${JSON.stringify(asJson(run), null, 1)}\n`);
  writeIntoPage(fileURLToPath(new URL("../docs/persistence-bench.md", import.meta.url)), markdown(run));
}
process.exit(failures.length === 0 ? 0 : 1);

/**
 * All processes are there from the first round to the last. Whoever fails is out of this scenario, and the others go on.
 *
 * @param {Scenario} scenario
 */
async function measure(scenario, /** @type {string} */ serverUrl) {
  /** @type {Record<string, Sample[]>} */
  const found = {};
  samples[scenario.name] = found;
  /** @type {Map<string, import("./persistence/children.mjs").Child>} */
  const children = new Map();
  const attempt = async (/** @type {string} */ contender, /** @type {() => Promise<void>} */ work) => {
    try {
      await work();
    } catch (error) {
      signal.throwIfAborted();
      progress(`${scenario.name}: ${contender} FAILED: ${error}`);
      failures.push({ scenario: scenario.name, contender, error: String(error) });
      await children.get(contender)?.stop();
      children.delete(contender);
    }
  };

  for (const contender of contenders.filter(scenario.takes)) {
    await attempt(contender.name, async () => {
      progress(`${scenario.name}: ${contender.name} gets ready`);
      children.set(
        contender.name,
        await startChild(contender, scenario.name, { serverUrl, pgliteTemplate, quick, signal }),
      );
    });
  }
  const last = rounds ?? (quick ? QUICK_ROUNDS : scenario.rounds);
  for (let round = scenario.warmUp ? 0 : 1; round <= last; round += 1) {
    for (const [name, child] of inTurn([...children], round)) {
      await attempt(name, async () => {
        const sample = await child.round(round);
        const which = round === 0 ? "warm-up" : `round ${round} of ${last}`;
        progress(`${scenario.name}, ${which}: ${name} ${shortly(scenario, sample)}`);
        if (round > 0) found[name] = [...(found[name] ?? []), sample];
      });
    }
  }
  await stopChildren();
}

/**
 * Another one first in each round, so that none is always the one who comes after the slowest.
 *
 * @template T
 * @param {readonly T[]} all
 */
function inTurn(all, /** @type {number} */ round) {
  const first = round % Math.max(1, all.length);
  return [...all.slice(first), ...all.slice(0, first)];
}

function shortly(/** @type {Scenario} */ scenario, /** @type {Sample} */ sample) {
  return scenario
    .metrics(size)
    .filter(({ key }) => typeof sample[key] === "number")
    .map(({ key, title, whole }) => `${number(Number(sample[key]), whole)} ${title}`)
    .slice(0, 4)
    .join(", ");
}

function progress(/** @type {string} */ line) {
  const at = Math.round((performance.now() - began) / 1000);
  process.stderr.write(`${String(at).padStart(5)} s  ${line}\n`);
}

function machine() {
  const read = createRequire(import.meta.url);
  const version = (/** @type {string} */ name) => {
    const path = fileURLToPath(import.meta.resolve(name)).replace(
      /(.*node_modules\/(?:@[^/]+\/)?[^/]+)\/.*/,
      "$1/package.json",
    );
    return `${name} ${read(path).version}`;
  };
  return {
    node: process.version,
    cpu: `${cpus().length} × ${cpus()[0]?.model.trim()}`,
    versions: [
      `langgraph-resilience ${read("../package.json").version}`,
      ...["@langchain/langgraph", "@langchain/langgraph-checkpoint-postgres", "pg", "@electric-sql/pglite"].map(
        version,
      ),
    ],
  };
}

/**
 * @template {{ name: string }} T
 * @param {string} flag
 * @param {readonly string[] | undefined} given
 * @param {readonly T[]} known
 * @returns {readonly T[]} in the order they are known in
 */
function chosen(flag, given, known) {
  if (given === undefined) return known;
  const names = given.flatMap((one) => one.split(",")).filter((one) => one !== "");
  const unknown = names.find((name) => !known.some((one) => one.name === name));
  if (unknown === undefined) return known.filter(({ name }) => names.includes(name));
  console.error(`${flag}: there is no "${unknown}"; choose of ${known.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}

/** @param {string} path */
function writeIntoPage(path, /** @type {string} */ tables) {
  const page = readFileSync(path, "utf8");
  writeFileSync(
    path,
    page.replace(/(<!-- figures -->\n)[\s\S]*(<!-- end of figures -->)/, (_, a, b) => `${a}${tables}\n${b}`),
  );
}

function usage() {
  return `Usage: node bench/persistence.mjs [--only <scenario,…>] [--contender <name,…>] [--rounds <n>] [--quick] [--write]

Measures ${CONTENDERS.map(({ title }) => title).join(", ")}.
Starts a PostgreSQL of its own in a temporary folder, with default durability; DATABASE_URL names another one, on which
databases may be created. Imports the built package: run npm run build first.

  --only <names>       these scenarios alone; prints, writes nothing
  --contender <names>  these contenders alone: ${CONTENDERS.map(({ name }) => name).join(", ")}; prints, writes nothing
  --rounds <n>         of each scenario, instead of its own number
  --quick              small sizes and one round, to see whether everything runs; prints, writes nothing
  --write              writes all the same
  --list               the scenarios
  --help               this`;
}
