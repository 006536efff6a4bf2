/** The scorecard as a picture: one cell a run. Drawn by hand, so that it is readable on light and on dark pages alike. */
import { find, isStandIn, rank, remarks, seconds } from "./results.mjs";

const LABEL = 376;
const CELL = { width: 162, height: 22, gap: 3 };
const TOP = 108;

/** By rank: fill of the cell; the text on it is dark on all of them. */
const FILLS = ["#7fc97f", "#c5dd83", "#ffe08a", "#f9c784", "#f5b06a", "#b9c0cc", "#f0936b", "#e57373", "#d9534f"];
/** A whole answer, but not of the model that was wanted and could be had. */
const STAND_IN = "#9ad1d4";
const SHOWN = /** @type {const} */ ([
  [0, "good end"],
  ["stand-in", "stand-in's; others got primary's"],
  [1, "whole, void text left"],
  [2, "clear error"],
  [3, "flagged, no usable call"],
  [4, "unclear error"],
  [5, "referee gave up"],
  [6, "empty, as a success"],
  [7, "truncated, as a success"],
  [8, "wrong, as a success"],
]);

const escaped = (/** @type {string} */ text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** @param {import("./results.mjs").Run} run */
export function picture({ scenarios, contenders, results }) {
  const blocks = /** @type {const} */ (["stream", "whole"]);
  const rows = scenarios.flatMap((scenario) =>
    blocks.filter((mode) => scenario.modes?.includes(mode) ?? true).map((mode) => ({ scenario, mode })),
  );
  const ordered = blocks.flatMap((mode) => rows.filter((row) => row.mode === mode));
  const width = LABEL + contenders.length * (CELL.width + CELL.gap) + 16;
  const step = CELL.height + CELL.gap;
  /** @type {string[]} */
  const parts = [];
  let y = TOP;
  let last = "";
  for (const { scenario, mode } of ordered) {
    if (mode !== last) {
      y += 22;
      parts.push(
        `<text class="ink head" x="16" y="${y - 7}">${mode === "stream" ? "streamed" : "whole answers"}</text>`,
      );
      last = mode;
    }
    parts.push(`<text class="ink" x="16" y="${y + 15}">${escaped(scenario.title)}</text>`);
    for (const [at, { name }] of contenders.entries()) {
      const result = find(results, scenario.name, name, mode);
      if (result !== undefined) parts.push(cell(results, result, LABEL + at * (CELL.width + CELL.gap), y));
    }
    y += step;
  }
  const height = y + 12;
  const heads = contenders.map(
    ({ title }, at) =>
      `<text class="ink head" x="${LABEL + at * (CELL.width + CELL.gap) + 4}" y="${TOP + 4}">${escaped(title)}</text>`,
  );
  const legend = SHOWN.map(([place, what], at) => {
    const [x, top] = [16 + (at % 5) * 236, 40 + Math.floor(at / 5) * 22];
    return `<rect x="${x}" y="${top}" width="14" height="14" rx="2" fill="${place === "stand-in" ? STAND_IN : FILLS[place]}"/><text class="ink" x="${x + 20}" y="${top + 12}">${what}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Scorecard of five ways to call a model at a server that misbehaves">
<style>
text { font: 12px system-ui, "DejaVu Sans", sans-serif }
.ink { fill: #1f2328 } .paper { fill: #ffffff } .head { font-weight: 600 } .on { fill: #111111 }
@media (prefers-color-scheme: dark) { .ink { fill: #e6edf3 } .paper { fill: #0d1117 } }
</style>
<rect class="paper" width="${width}" height="${height}"/>
<text class="ink head" x="16" y="24">When the model's server misbehaves: how it ended, after how long; ! marks bad conduct or wrong accounts</text>
${[...legend, ...heads, ...parts].join("\n")}
</svg>
`;
}

/**
 * @param {readonly import("./results.mjs").Result[]} results
 * @param {import("./results.mjs").Result} result
 */
function cell(results, result, /** @type {number} */ x, /** @type {number} */ y) {
  const { verdict, answeredBy, ms } = result;
  const mark = remarks(result) === "" ? "" : " !";
  const end = verdict === "whole" ? answeredBy : verdict.replace("whole, ", "");
  const isOther = isStandIn(results, result);
  const fill = isOther ? STAND_IN : FILLS[rank(result)];
  const notes = [isOther ? "others got the primary's answer" : "", remarks(result), result.detail];
  const said = [verdict, ...notes].filter((one) => one !== "").join("; ");
  return `<g><title>${escaped(said.slice(0, 300))}</title><rect x="${x}" y="${y}" width="${CELL.width}" height="${CELL.height}" rx="3" fill="${fill}"/><text class="on" x="${x + 6}" y="${y + 15}">${escaped(`${end}, ${seconds(ms)}${mark}`)}</text></g>`;
}
