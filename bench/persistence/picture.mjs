/** The figures as bars, drawn by hand, so that they are readable on light and on dark pages alike. */
import { figure, judge } from "./results.mjs";
import { number } from "./tables.mjs";

/** @typedef {import("./results.mjs").Run} Run */

/** What is drawn of which scenario, two panels a row. */
const PANELS = [
  { scenario: "many", metric: "stepsPerSecond", better: "more" },
  { scenario: "alone", metric: "msPerStep", better: "less" },
  { scenario: "chat", metric: "seconds", better: "less" },
  { scenario: "chat", metric: "payload", better: "less" },
  { scenario: "delta-chat", metric: "seconds", better: "less" },
  { scenario: "delta-chat", metric: "payload", better: "less" },
  { scenario: "history", metric: "ms", better: "less" },
  { scenario: "delta-state", metric: "ms", better: "less" },
];
const PANEL = { width: 620, label: 168, value: 72, top: 44, row: 24, gap: 22 };
const TOP = 44;
const FILLS = { ours: "#2f81f7", stock: "#d98324", other: "#8b949e" };

const escaped = (/** @type {string} */ text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** @param {Run} run */
export function picture(run) {
  const panels = PANELS.filter(({ scenario }) => run.scenarios.some(({ name }) => name === scenario));
  let y = TOP;
  /** @type {string[]} */
  const parts = [];
  for (let at = 0; at < panels.length; at += 2) {
    const drawn = panels.slice(at, at + 2).map((panel, column) => draw(run, panel, 16 + column * PANEL.width, y));
    parts.push(...drawn.map(({ svg }) => svg));
    y += Math.max(...drawn.map(({ height }) => height)) + PANEL.gap;
  }
  const width = 2 * PANEL.width + 16;
  const quick = run.settings.quick ? " (A QUICK RUN: the figures say nothing)" : "";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img" aria-label="What it costs to keep a thread's state, by saver">
<style>
text { font: 12px system-ui, "DejaVu Sans", sans-serif }
.ink { fill: #1f2328 } .paper { fill: #ffffff } .head { font-weight: 600 } .goal { stroke: #1a7f37; stroke-width: 2 } .spread { stroke: #1f2328 }
@media (prefers-color-scheme: dark) { .ink { fill: #e6edf3 } .paper { fill: #0d1117 } .goal { stroke: #3fb950 } .spread { stroke: #e6edf3 } }
</style>
<rect class="paper" width="${width}" height="${y}"/>
<text class="ink head" x="16" y="24">What it costs to keep a thread's state: medians with spread; the green mark is the goal${quick}</text>
${parts.join("\n")}
</svg>
`;
}

/**
 * @param {Run} run
 * @param {typeof PANELS[number]} panel
 */
function draw(run, { scenario: name, metric, better }, /** @type {number} */ x, /** @type {number} */ y) {
  const scenario = run.scenarios.find((one) => one.name === name);
  const bars = run.contenders.flatMap((contender) => {
    const found = figure(run, name, contender.name, metric);
    return found === undefined ? [] : [{ contender, found, goal: goalFor(run, name, contender.name, metric) }];
  });
  const room = PANEL.width - PANEL.label - PANEL.value - 24;
  const most = Math.max(...bars.flatMap(({ found, goal }) => [found.max, goal ?? 0]), Number.MIN_VALUE);
  const at = (/** @type {number} */ value) => Number((x + PANEL.label + (value / most) * room).toFixed(1));
  const title = scenario?.metrics(run.size).find(({ key }) => key === metric)?.title ?? metric;
  const lines = [
    `<text class="ink head" x="${x}" y="${y + 14}">${escaped(scenario?.title(run.size) ?? name)}</text>`,
    `<text class="ink" x="${x}" y="${y + 32}">${escaped(title)}, ${better} is better</text>`,
    ...bars.map(({ contender, found, goal }, row) => {
      const top = y + PANEL.top + row * PANEL.row;
      const fill = contender.ours === true ? FILLS.ours : contender.open === undefined ? FILLS.other : FILLS.stock;
      const [start, end, middle] = [at(0), at(found.median), top + 8];
      return [
        `<text class="ink" x="${x}" y="${top + 13}">${escaped(contender.title)}</text>`,
        `<rect x="${start}" y="${top}" width="${Math.max(1, end - start).toFixed(1)}" height="16" rx="2" fill="${fill}"/>`,
        `<line class="spread" x1="${at(found.min)}" y1="${middle}" x2="${at(found.max)}" y2="${middle}"/>`,
        goal === undefined
          ? ""
          : `<line class="goal" x1="${at(goal)}" y1="${top - 2}" x2="${at(goal)}" y2="${top + 18}"/>`,
        `<text class="ink" x="${at(Math.max(found.max, goal ?? 0)) + 6}" y="${top + 13}">${number(found.median)}</text>`,
      ].join("");
    }),
  ];
  return { svg: lines.join("\n"), height: PANEL.top + bars.length * PANEL.row };
}

/**
 * Where the bar would have to end; the harder of two goals.
 *
 * @param {Run} run
 * @param {string} name
 * @param {string} contender
 * @param {string} metric
 */
function goalFor(run, name, contender, metric) {
  const scenario = run.scenarios.find((one) => one.name === name);
  if (scenario === undefined) return undefined;
  const goals = judge(run, scenario).map(({ goal }) => goal);
  const marks = goals
    .filter((goal) => goal.contender === contender && goal.metric === metric)
    .map(({ per, atLeast, atMost }) => {
      const base = per === undefined ? 1 : (figure(run, name, per, metric)?.median ?? Number.NaN);
      return { mark: (atLeast ?? atMost ?? Number.NaN) * base, isLeast: atLeast !== undefined };
    })
    .filter(({ mark }) => Number.isFinite(mark));
  if (marks.length === 0) return undefined;
  const values = marks.map(({ mark }) => mark);
  return marks[0]?.isLeast === true ? Math.max(...values) : Math.min(...values);
}
