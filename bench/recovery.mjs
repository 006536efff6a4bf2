/**
 * What do effects that happen once cost, how soon does a killed thread go on, and how long does it take to go back?
 *
 *     npm run bench:recovery                       a minute or two; prints
 *     npm run bench:recovery -- --write            writes bench/results/recovery.txt too
 *     node bench/recovery.mjs --only kills --kills 1000   kills so many processes and counts (needs a build);
 *                                                         with --scenario graph those of the shipped graphs alone
 *
 * Bare and recorded calls take turns, so that whatever else the machine does hits both. Absolute figures are this
 * machine's; the ratios are what travels.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startServer } from "./persistence/server.mjs";
import { countKills } from "./recovery/kills.mjs";
import { measureOverhead } from "./recovery/overhead.mjs";
import { measureRollback } from "./recovery/rollback.mjs";
import { killsText, overheadText, rollbackText, takeoverText } from "./recovery/tables.mjs";
import { measureTakeover } from "./recovery/takeover.mjs";

const PARTS = ["overhead", "takeover", "rollback", "kills"];

const { values: flags } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    kills: { type: "string", default: "30" },
    scenario: { type: "string" },
    seed: { type: "string", default: "1" },
    write: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
});
if (flags.help === true) {
  console.log(usage());
  process.exit(0);
}
const parts = (flags.only ?? PARTS).flatMap((one) => one.split(","));
const unknown = parts.find((part) => !PARTS.includes(part));
if (unknown !== undefined) refuse(`--only: there is no "${unknown}"; choose of ${PARTS.join(", ")}`);
const kills = wholeNumber("--kills", flags.kills, 1);
const seed = wholeNumber("--seed", flags.seed, 0);

const stopped = new AbortController();
const { signal } = stopped;
for (const name of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.on(name, () => stopped.abort(new Error(`Stopped by ${name}`)));
}

const began = performance.now();
const folder = mkdtempSync(join(tmpdir(), "lgr-bench-"));
/** @type {string[]} */
const lines = [];
/** @type {import("./persistence/server.mjs").Server | undefined} */
let server;
try {
  server = await startServer(signal);
  const world = { folder, serverUrl: server.url, signal, progress };
  if (parts.includes("overhead")) lines.push("", ...overheadText(await measureOverhead(world)));
  if (parts.includes("takeover")) lines.push("", ...takeoverText(await measureTakeover(world)));
  if (parts.includes("rollback")) lines.push("", ...rollbackText(await measureRollback(world)));
  if (parts.includes("kills")) {
    const counted = await countKills(world, kills, seed, flags.scenario);
    lines.push("", ...killsText(counted));
    if (counted.some(({ violations }) => violations.length > 0)) process.exitCode = 1;
  }
} catch (error) {
  if (!signal.aborted) throw error;
  console.error(`\n${signal.reason.message}; nothing is written`);
  process.exitCode = 130;
} finally {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
}

if (!signal.aborted) {
  const cpu = `${cpus().length} × ${cpus()[0]?.model.trim()}`;
  const seconds = Math.round((performance.now() - began) / 1000);
  const text = [
    "What do effects that happen once cost, how soon does a killed thread go on, and how long does it take to go back?",
    "",
    `Node ${process.version}, ${cpu}; ${new Date().toISOString().slice(0, 10)}, ${seconds} s.`,
    `${server?.description}.`,
    ...lines,
  ].join("\n");
  console.log(text);
  if (flags.write === true) {
    const results = fileURLToPath(new URL("results/", import.meta.url));
    mkdirSync(results, { recursive: true });
    writeFileSync(`${results}recovery.txt`, `${text}\n`);
  }
}

function progress(/** @type {string} */ line) {
  process.stderr.write(`${String(Math.round((performance.now() - began) / 1000)).padStart(5)} s  ${line}\n`);
}

/** @param {string} flag @param {string} given @param {number} least */
function wholeNumber(flag, given, least) {
  const number = Number(given);
  if (!Number.isInteger(number) || number < least) refuse(`${flag}: "${given}" is no whole number from ${least}`);
  return number;
}

/** @param {string} why @returns {never} */
function refuse(why) {
  console.error(why);
  process.exit(2);
}

function usage() {
  return `Usage: node bench/recovery.mjs [--only <part,…>] [--kills <n>] [--scenario <text>] [--seed <n>] [--write]

Measures what an effect's ledger costs against the bare call, how long a killed thread waits for the next process, and how
long a rollback takes; kills processes anywhere and counts what was lost and what happened twice. Starts a PostgreSQL of
its own in a temporary folder, with default durability; DATABASE_URL names another one, on which databases may be created.
Imports the built package: run npm run build first. Exits with 1 where a kill broke anything.

  --only <parts>  these alone: ${PARTS.join(", ")}
  --kills <n>     how many processes are killed; default 30
  --scenario <t>  only those with this in their title; "graph": the shipped graphs
  --seed <n>      behind the points that are drawn; default 1
  --write         writes bench/results/recovery.txt
  --help          this`;
}
