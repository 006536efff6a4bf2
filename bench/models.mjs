/**
 * What comes of a question when the model's server misbehaves? ChatOpenAI alone, with withFallbacks, in an agent with
 * LangChain's retry and fallback middleware, resilientModel, and an agent with resilienceMiddleware: the same faults over
 * real HTTP, in real time, in one run, judged by one referee.
 *
 *     npm run bench:models                        below five minutes; writes bench/results/models.{txt,svg,json} and the
 *                                                 tables of docs/models-scorecard.md
 *     node bench/models.mjs --only stall,cut      these scenarios alone, prints only (needs a build)
 *     node bench/models.mjs --contender ours      this contender alone, prints only
 *     node bench/models.mjs --list                the scenarios
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CONTENDERS } from "./models/contenders.mjs";
import { OUTAGE, runOutage } from "./models/outage.mjs";
import { picture } from "./models/picture.mjs";
import { LIMIT_MS, runOne } from "./models/referee.mjs";
import { MODES } from "./models/results.mjs";
import { SCENARIOS } from "./models/scenarios.mjs";
import { markdown, report } from "./models/tables.mjs";

/** Most runs do nothing but wait. */
const AT_ONCE = 48;
/** Between the starts of two runs, so that the times are not those of a crowd. */
const APART_MS = 150;
const OUTAGE_NAME = "outage";

const { values: flags } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    contender: { type: "string", multiple: true },
    list: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
});
if (flags.help === true) {
  console.log(usage());
  process.exit(0);
}
if (flags.list === true) {
  for (const { name, title } of SCENARIOS) console.log(name.padEnd(22), title);
  console.log(OUTAGE_NAME.padEnd(22), "the primary is down for a minute and comes back");
  process.exit(0);
}

const scenarioNames = chosen("--only", flags.only, [...SCENARIOS.map(({ name }) => name), OUTAGE_NAME]);
const contenderNames = chosen(
  "--contender",
  flags.contender,
  CONTENDERS.map(({ name }) => name),
);
const scenarios = SCENARIOS.filter(({ name }) => scenarioNames.includes(name));
const contenders = CONTENDERS.filter(({ name }) => contenderNames.includes(name));
const isAll = flags.only === undefined && flags.contender === undefined;

// A contender may leave a promise behind that nobody waits for; it must not end the run of the others.
let strays = 0;
process.on("unhandledRejection", () => {
  strays += 1;
});
// Nobody's traces are to leave this machine.
for (const name of Object.keys(process.env)) if (/^LANG(SMITH|CHAIN)_/.test(name)) delete process.env[name];

// Clients tell there of what they could not read; the verdicts say it better.
console.warn = () => undefined;
console.error = () => undefined;

// Not the first of a process: modules are loaded and code compiled.
const [healthy] = SCENARIOS;
if (healthy !== undefined)
  for (const contender of contenders) for (const mode of MODES) await runOne(healthy, contender, mode);

const began = performance.now();
const outages = scenarioNames.includes(OUTAGE_NAME)
  ? contenders.flatMap((contender) => MODES.map((mode) => runOutage(contender, mode)))
  : [];
const jobs = MODES.flatMap((mode) =>
  scenarios
    .filter((scenario) => scenario.modes?.includes(mode) ?? true)
    .flatMap((scenario) => contenders.map((contender) => () => runOne(scenario, contender, mode))),
);
const results = await inGroups(jobs);
const outageResults = await Promise.all(outages);
const seconds = Math.round((performance.now() - began) / 1000);

const run = { settings: settings(), scenarios, contenders, results, outages: outageResults, seconds, strays };
const text = report(run);
console.log(text);
if (isAll) {
  const folder = fileURLToPath(new URL("results/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}models.txt`, `${text}\n`);
  writeFileSync(`${folder}models.svg`, picture(run));
  const { settings: how, results: each, outages: down } = run;
  writeFileSync(
    `${folder}models.json`,
    `${JSON.stringify({ ...how, seconds, strays, results: each, outages: down }, null, 1)}\n`,
  );
  writeIntoPage(fileURLToPath(new URL("../docs/models-scorecard.md", import.meta.url)), markdown(run));
}
process.exit(0);

/** @param {readonly (() => Promise<import("./models/referee.mjs").Result>)[]} jobs */
async function inGroups(jobs) {
  /** @type {import("./models/referee.mjs").Result[]} */
  const done = [];
  const left = jobs.entries();
  const began = performance.now();
  const work = async () => {
    for (const [at, job] of left) {
      await sleep(Math.max(0, began + at * APART_MS - performance.now()));
      done[at] = await job();
      if (process.stderr.isTTY) process.stderr.write(`\r${Object.keys(done).length} of ${jobs.length} `);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (process.stderr.isTTY) process.stderr.write("\r");
  return done;
}

function settings() {
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
      ...["langchain", "@langchain/core", "@langchain/openai", "@langchain/langgraph"].map(version),
    ],
    limitMs: LIMIT_MS,
    atOnce: AT_ONCE,
    outage: OUTAGE,
  };
}

/**
 * @param {string} flag
 * @param {readonly string[] | undefined} given
 * @param {readonly string[]} known
 */
function chosen(flag, given, known) {
  if (given === undefined) return known;
  const names = given.flatMap((one) => one.split(",")).filter((one) => one !== "");
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return names;
  console.error(`${flag}: there is no "${unknown}"; choose of ${known.join(", ")}`);
  process.exit(2);
}

/** @param {string} path */
function writeIntoPage(path, /** @type {string} */ tables) {
  const page = readFileSync(path, "utf8");
  writeFileSync(
    path,
    page.replace(/(<!-- scorecard -->\n)[\s\S]*(<!-- end of scorecard -->)/, (_, a, b) => `${a}${tables}\n${b}`),
  );
}

function usage() {
  return `Usage: node bench/models.mjs [--only <scenario,…>] [--contender <name,…>] [--list]

Asks ${CONTENDERS.map(({ title }) => title).join(", ")} the same questions at a server that misbehaves.
Real HTTP on loopback, real time, below five minutes. Imports the built package: run npm run build first.

  --only <names>       these scenarios alone; prints, writes nothing
  --contender <names>  these contenders alone: ${CONTENDERS.map(({ name }) => name).join(", ")}; prints, writes nothing
  --list               the scenarios
  --help               this`;
}
