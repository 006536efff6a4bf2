/** The results as text: for a terminal, and as Markdown for the page. */
import { losses, SOONER_MS } from "./losses.mjs";
import { find, isStandIn, rank, remarks, seconds } from "./results.mjs";

/** @typedef {import("./results.mjs").Result} Result */
/** @typedef {import("./results.mjs").Mode} Mode */
/** @typedef {import("./results.mjs").Run} Run */

const TITLES = /** @type {const} */ ([
  ["stream", "Streamed (.stream)"],
  ["whole", "Whole answers (.invoke)"],
]);

/** How often each contender ended well, and the kinds of bad ends. */
function totals(/** @type {Run} */ { contenders, results }) {
  return contenders.map(({ name, title }) => {
    const own = results.filter(({ contender }) => contender === name);
    const count = (/** @type {(one: Result) => boolean} */ is) => own.filter(is).length;
    return {
      title,
      runs: own.length,
      good: count(({ good }) => good),
      standIns: count((one) => isStandIn(results, one)),
      exemplary: count(({ good, conduct, accounts }) => good && conduct === undefined && accounts === undefined),
      errors: count(({ good, verdict }) => !good && verdict.endsWith("error")),
      stale: count(({ verdict }) => verdict === "whole, stale text"),
      flagged: count(({ verdict }) => verdict === "flagged"),
      gaveUp: count(({ verdict }) => verdict === "gave up"),
      empty: count(({ verdict }) => verdict === "EMPTY"),
      truncated: count(({ verdict }) => verdict === "TRUNCATED"),
      wrong: count(({ verdict }) => verdict === "WRONG"),
      sick: own.reduce((sum, { sick }) => sum + sick, 0),
    };
  });
}

const TOTAL_HEADS = [
  "",
  "runs",
  "good end",
  "stand-in's *",
  "and clean",
  "error",
  "stale text",
  "flagged",
  "gave up",
  "EMPTY",
  "TRUNCATED",
  "WRONG",
  "sick requests",
];
const totalRows = (/** @type {Run} */ run) => totals(run).map((row) => Object.values(row).map(String));

const OUTAGE_HEADS = ["", "mode", "whole / asked", "median", "slowest", "requests to the sick", "back after"];
const outageRows = (/** @type {Run} */ { outages, contenders }) =>
  outages.map(({ contender, mode, asked, whole, medianMs, slowestMs, sick, backMs }) => [
    contenders.find(({ name }) => name === contender)?.title ?? contender,
    mode,
    `${whole} / ${asked}`,
    seconds(medianMs),
    seconds(slowestMs),
    String(sick),
    backMs === undefined ? "not seen" : seconds(backMs),
  ]);

/** What a figure in a cell stands for. */
const LEGEND =
  "who answered in full, or how it ended; requests that met the fault / requests in all; time until answer or error";
const MARKS = "* the stand-in's answer where another contender got the primary's; ! bad conduct or wrong accounts";

/**
 * @param {readonly Result[]} results
 * @param {Result | undefined} result
 */
function cell(results, result) {
  if (result === undefined) return "–";
  const { verdict, answeredBy = "", sick, requests, ms } = result;
  const end = verdict === "whole" ? answeredBy : verdict === "whole, stale text" ? `stale, ${answeredBy}` : verdict;
  const marks = `${isStandIn(results, result) ? " *" : ""}${remarks(result) === "" ? "" : " !"}`;
  return `${end} ${sick}/${requests} ${seconds(ms)}${marks}`;
}

/** @param {Run} run */
function scoreRows({ scenarios, contenders, results }, /** @type {Mode} */ mode) {
  return scenarios
    .filter(({ modes }) => modes?.includes(mode) ?? true)
    .map(({ name, title }) => [
      title,
      ...contenders.map((contender) => cell(results, find(results, name, contender.name, mode))),
    ]);
}

/** What the totals of ours do not say. */
function ownLines(/** @type {Run} */ run) {
  const lostRows = losses(run);
  return run.contenders
    .filter(({ ours }) => ours)
    .map(({ name, title }) => {
      const own = run.results.filter(({ contender }) => contender === name);
      const standIns = own.filter((one) => isStandIn(run.results, one)).length;
      const cleared = own.filter((one) => one.cleared > 0).length;
      const times = (/** @type {string} */ what) =>
        lostRows.filter((row) => row.what === what && row.losers.includes(name)).length;
      return [
        `${title}: in ${standIns} of ${own.length} runs it gave the stand-in's answer where others got the primary's;`,
        `another ended better in ${times("a better end")}, was sooner by more than ${SOONER_MS / 1000} s in ${times("sooner")}, and sent the sick fewer requests in ${times("fewer requests to the sick")}; after the outage another was back sooner in ${times("back sooner")} of 2.`,
        `Streams in which its reader was shown text that became void, and cleared it because a mark said so: ${cleared}; a reader that does not heed the mark is left with void text there.`,
      ];
    });
}

/** @param {Run} run */
function remarkLines({ results, scenarios, contenders }) {
  return results.flatMap((result) => {
    const said = [remarks(result), rank(result) === 0 ? "" : result.detail].filter((one) => one !== "").join("; ");
    if (said === "") return [];
    const scenario = scenarios.find(({ name }) => name === result.scenario)?.title;
    const contender = contenders.find(({ name }) => name === result.contender)?.title;
    return [`${contender}, ${result.mode}, ${scenario}: ${said.replaceAll(/\s+/g, " ").slice(0, 220)}`];
  });
}

function settingsLines(/** @type {Run} */ { settings, seconds: took, strays }) {
  return [
    `${settings.versions.join(", ")}; Node ${settings.node}, ${settings.cpu}.`,
    `Real HTTP on loopback, real time, up to ${settings.atOnce} runs side by side, each at a server of its own; the referee gives up after ${settings.limitMs / 1000} s. The run took ${took} s; ${strays} promise rejections were left unhandled by contenders.`,
  ];
}

/** @param {Run} run */
export function report(run) {
  const heads = ["", ...run.contenders.map(({ title }) => title)];
  return [
    "What comes of a question when the model's server misbehaves",
    "",
    ...settingsLines(run),
    "",
    ...run.contenders.map(({ title, setup }) => `${title}: ${setup}`),
    "",
    ...columns([TOTAL_HEADS, ...totalRows(run)]),
    MARKS,
    "",
    ...ownLines(run).map((sentences) => sentences.join("\n  ")),
    ...TITLES.flatMap(([mode, title]) => [
      "",
      `${title}: ${LEGEND}`,
      MARKS,
      "",
      ...columns([heads, ...scoreRows(run, mode)]),
    ]),
    ...(run.outages.length === 0
      ? []
      : [
          "",
          "Primary down (503) for a minute, a question a second",
          "",
          ...columns([OUTAGE_HEADS, ...outageRows(run)]),
        ]),
    "",
    "Where another was better than one of ours",
    ...lossLines(run).map((sentence) => sentence.replaceAll("; ", "\n  ")),
    "",
    "Remarks",
    ...remarkLines(run),
  ].join("\n");
}

/** @param {Run} run */
export function markdown(run) {
  const heads = ["what the server does", ...run.contenders.map(({ title }) => title)];
  return [
    ...settingsLines(run),
    "",
    ...table(["contender", ...TOTAL_HEADS.slice(1)], totalRows(run)),
    "",
    ...ownLines(run).map((sentences) => `- ${sentences.join(" ")}`),
    ...TITLES.flatMap(([mode, title]) => [
      "",
      `### ${title.replace(/ \(.*/, "")}`,
      "",
      ...table(heads, scoreRows(run, mode)),
    ]),
    "",
    "### A minute's outage",
    "",
    ...table(["contender", ...OUTAGE_HEADS.slice(1)], outageRows(run)),
    "",
    "### Where another was better than one of ours",
    "",
    ...lossLines(run).map((line) => `- ${line}`),
  ].join("\n");
}

/** @param {Run} run */
function lossLines(run) {
  const lines = losses(run).map(({ where, what, better, ours }) => `${where}: ${what}; ${better}; against ${ours}`);
  return lines.length === 0 ? ["nowhere in this run"] : lines;
}

/** @param {readonly (readonly string[])[]} rows */
function columns(rows) {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => (row[at] ?? "").length)));
  return rows.map((row) =>
    row
      .map((text, at) => text.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/**
 * @param {readonly string[]} heads
 * @param {readonly (readonly string[])[]} rows
 */
function table(heads, rows) {
  const line = (/** @type {readonly string[]} */ cells) => `| ${cells.join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)];
}
