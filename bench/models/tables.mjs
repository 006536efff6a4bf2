/** The results as text: for a terminal, and as Markdown for the page. */
import { VERDICTS } from "./referee.mjs";

/** @typedef {import("./referee.mjs").Result} Result */
/** @typedef {import("./referee.mjs").Mode} Mode */
/** @typedef {import("./outage.mjs").OutageResult} OutageResult */

/**
 * @typedef {object} Run
 * @property {{ node: string, cpu: string, versions: readonly string[], limitMs: number, atOnce: number }} settings
 * @property {readonly import("./scenarios.mjs").Scenario[]} scenarios
 * @property {readonly import("./contenders.mjs").Contender[]} contenders
 * @property {readonly Result[]} results
 * @property {readonly OutageResult[]} outages
 * @property {number} seconds
 * @property {number} strays
 */

const MODES = /** @type {const} */ ([
  ["stream", "Streamed (.stream)"],
  ["whole", "Whole answers (.invoke)"],
]);

export const seconds = (/** @type {number} */ ms) => `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;

/**
 * @param {readonly Result[]} results
 * @param {string} scenario
 * @param {string} contender
 * @param {Mode} mode
 */
export function find(results, scenario, contender, mode) {
  return results.find((one) => one.scenario === scenario && one.contender === contender && one.mode === mode);
}

/** Rank of a result, 0 the best. */
export const rank = (/** @type {Result} */ { verdict, good }) => (good ? 0 : VERDICTS.indexOf(verdict));

export const remarks = (/** @type {Result} */ { conduct, accounts }) =>
  [conduct, accounts].filter((one) => one !== undefined).join("; ");

/** How often each contender ended well, and the kinds of bad ends. */
function totals(/** @type {Run} */ { contenders, results }) {
  return contenders.map(({ name, title }) => {
    const own = results.filter(({ contender }) => contender === name);
    const count = (/** @type {(one: Result) => boolean} */ is) => own.filter(is).length;
    return {
      title,
      runs: own.length,
      good: count(({ good }) => good),
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
  "verdict, who answered, requests that met the fault / requests in all, time until answer or error; ! marks bad conduct or accounts";

/** @param {Result | undefined} result */
function cell(result) {
  if (result === undefined) return "–";
  const { verdict, answeredBy, sick, requests, ms } = result;
  const mark = remarks(result) === "" ? "" : " !";
  return `${verdict}${answeredBy === undefined ? "" : ` (${answeredBy})`} ${sick}/${requests} ${seconds(ms)}${mark}`;
}

/** @param {Run} run */
function scoreRows({ scenarios, contenders, results }, /** @type {Mode} */ mode) {
  return scenarios
    .filter(({ modes }) => modes?.includes(mode) ?? true)
    .map(({ name, title }) => [
      title,
      ...contenders.map((contender) => cell(find(results, name, contender.name, mode))),
    ]);
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
    ...MODES.flatMap(([mode, title]) => ["", `${title}: ${LEGEND}`, "", ...columns([heads, ...scoreRows(run, mode)])]),
    ...(run.outages.length === 0
      ? []
      : [
          "",
          "Primary down (503) for a minute, a question a second",
          "",
          ...columns([OUTAGE_HEADS, ...outageRows(run)]),
        ]),
    "",
    "Where another was better than resilientModel",
    ...lossLines(run),
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
    ...MODES.flatMap(([mode, title]) => [
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
    "### Where another was better than resilientModel",
    "",
    ...lossLines(run).map((line) => `- ${line}`),
  ].join("\n");
}

/** @param {Run} run */
function lossLines(run) {
  const lines = losses(run);
  return lines.length === 0 ? ["nowhere in this run"] : lines;
}

/** How much sooner is sooner. */
const SOONER_MS = 500;

/**
 * Where ours is not the best of a row.
 *
 * @param {Run} run
 */
function losses({ scenarios, contenders, results, outages }) {
  const ours = contenders.find(({ name }) => name === "ours");
  const others = contenders.filter((contender) => contender !== ours);
  if (ours === undefined) return [];
  const ofRows = scenarios.flatMap(({ name, title }) =>
    MODES.flatMap(([mode]) => {
      const own = find(results, name, ours.name, mode);
      return others.flatMap((contender) => {
        const other = find(results, name, contender.name, mode);
        if (own === undefined || other === undefined) return [];
        return better(other, own).map((what) => `${title}, ${mode}: ${contender.title}, ${what}`);
      });
    }),
  );
  const ofOutages = others.flatMap(({ name, title }) =>
    outages
      .filter(({ contender }) => contender === name)
      .flatMap(({ mode, backMs = Number.POSITIVE_INFINITY, whole, asked }) => {
        const own = outages.find((one) => one.mode === mode && one.contender === ours.name)?.backMs;
        if (own === undefined || backMs + SOONER_MS > own) return [];
        return [
          `outage, ${mode}: ${title}, back after ${seconds(backMs)} against ${seconds(own)} (it had answered ${whole} of ${asked})`,
        ];
      }),
  );
  return [...ofRows, ...ofOutages];
}

/**
 * What is better about the one than about the other.
 *
 * @param {Result} one
 * @param {Result} other
 */
function better(one, other) {
  if (rank(one) < rank(other)) return [`${one.verdict} against ${other.verdict}`];
  if (rank(one) > rank(other)) return [];
  return [
    ...(one.answeredBy === "primary" && other.answeredBy === "fallback"
      ? ["answered by the primary, not its stand-in"]
      : []),
    ...(one.ms + SOONER_MS < other.ms ? [`${seconds(one.ms)} against ${seconds(other.ms)}`] : []),
    ...(one.sick < other.sick ? [`${one.sick} requests to the sick against ${other.sick}`] : []),
    ...(remarks(one) === "" && remarks(other) !== "" ? [remarks(other)] : []),
  ];
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
