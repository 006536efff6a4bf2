/** The results as text: for a terminal, and as Markdown for the page. */
import { figure, judge, notes, verdict } from "./results.mjs";

/** @typedef {import("./results.mjs").Run} Run */
/** @typedef {import("./results.mjs").Figure} Figure */
/** @typedef {import("./scenarios.mjs").Scenario} Scenario */

const HOW = "Medians over the rounds; in brackets the least and the most. A ratio is taken round by round.";

export function number(/** @type {number} */ value, whole = false) {
  if (whole || Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
}

/** @param {Figure | undefined} found */
function cell(found, whole = false) {
  if (found === undefined) return "–";
  const [median, min, max] = [found.median, found.min, found.max].map((value) => number(value, whole));
  return min === max ? median : `${median} (${min}–${max})`;
}

/** @param {Run} run */
function figureRows(run, /** @type {Scenario} */ scenario) {
  const taking = run.contenders.filter((contender) => scenario.takes(contender));
  const metrics = scenario.metrics(run.size);
  // Many figures of few contenders are read downwards.
  if (metrics.length > 6) {
    return [
      ["", ...taking.map(({ title }) => title)],
      ...metrics.map(({ key, title, whole }) => [
        title,
        ...taking.map(({ name }) => cell(figure(run, scenario.name, name, key), whole)),
      ]),
    ];
  }
  return [
    ["", ...metrics.map(({ title }) => title)],
    ...taking.map(({ name, title }) => [
      title,
      ...metrics.map(({ key, whole }) => cell(figure(run, scenario.name, name, key), whole)),
    ]),
  ];
}

const GOAL_HEADS = ["", "found", "goal", ""];
const goalRows = (/** @type {Run} */ run, /** @type {Scenario} */ scenario) =>
  judge(run, scenario).map((judged) => [judged.goal.title, cell(judged.figure), judged.limit, verdict(judged)]);

/** What the last round's profile says of where the time went. */
function noteLines(/** @type {Run} */ run, /** @type {Scenario} */ scenario) {
  return run.contenders.flatMap(({ name, title }) => {
    const last = notes(run, scenario.name, name).at(-1);
    return last === undefined ? [] : [`${title}, last round: ${last}`];
  });
}

function settingsLines(/** @type {Run} */ { settings, seconds }) {
  const { versions, node, cpu, server, poolSize, quick, startedAt } = settings;
  return [
    ...(quick ? ["A QUICK RUN, to see whether everything runs: its figures say nothing."] : []),
    `${versions.join(", ")}; Node ${node}, ${cpu}; ${startedAt.slice(0, 10)}, ${Math.round(seconds)} s.`,
    `${server}. A pool of ${poolSize} for every saver; each contender in a process of its own; durability "async", LangGraph's default.`,
  ];
}

const failureLines = (/** @type {Run} */ { failures }) =>
  failures.map(({ scenario, contender, error }) => `FAILED: ${contender} in ${scenario}: ${error}`);

/** @param {Run} run */
export function report(run) {
  return [
    "What does it cost to keep a thread's state?",
    "",
    ...settingsLines(run),
    HOW,
    "",
    ...run.contenders.map(({ title, setup }) => `${title}: ${setup}`),
    ...run.scenarios.flatMap((scenario) => [
      "",
      `${scenario.name}: ${scenario.title(run.size)}`,
      "",
      ...columns(figureRows(run, scenario)),
      "",
      ...columns([GOAL_HEADS, ...goalRows(run, scenario)]).slice(1),
      ...noteLines(run, scenario),
    ]),
    ...(run.failures.length === 0 ? [] : ["", ...failureLines(run)]),
  ].join("\n");
}

/** @param {Run} run */
export function markdown(run) {
  return [
    ...settingsLines(run).flatMap((line) => [line, ""]),
    HOW,
    "",
    "### Goals",
    "",
    ...table(
      ["measured", "figure", "found", "goal", ""],
      run.scenarios.flatMap((scenario) => goalRows(run, scenario).map((row) => [`\`${scenario.name}\``, ...row])),
    ),
    ...run.scenarios.flatMap((scenario) => {
      const [heads = [], ...rows] = figureRows(run, scenario);
      return [
        "",
        `### ${scenario.title(run.size)}`,
        "",
        ...table(heads, rows),
        ...noteLines(run, scenario).flatMap((line) => ["", line]),
      ];
    }),
    ...failureLines(run).flatMap((line) => ["", line.split("\n")[0] ?? ""]),
  ].join("\n");
}

/** @param {readonly (readonly (string | undefined)[])[]} rows */
function columns(rows) {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => (row[at] ?? "").length)));
  return rows.map((row) =>
    row
      .map((text = "", at) => (at === 0 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/**
 * @param {readonly (string | undefined)[]} heads
 * @param {readonly (readonly (string | undefined)[])[]} rows
 */
function table(heads, rows) {
  const line = (/** @type {readonly (string | undefined)[]} */ cells) => `| ${cells.join(" | ")} |`;
  return [line(heads), line(heads.map((_, at) => (at === 0 ? "---" : "--:"))), ...rows.map(line)];
}
