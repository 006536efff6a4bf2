import { join } from "node:path";
import { writeWhole } from "../artifacts.js";
import { chartPng, chartSvg } from "../chart.js";
import { quarterSlug } from "../figures.js";
import { present, type QuarterlyReport, type Update } from "../state.js";

/** Draws the figures as SVG, and as PNG for mail and for readers without SVG. */
export async function drawChart(state: QuarterlyReport): Promise<Update> {
  const figures = present(state, "figures");
  const base = join(present(state, "folder"), `${quarterSlug(figures.current)}-chart`);
  const svg = chartSvg(figures);
  return {
    chart: {
      svgPath: await writeWhole(`${base}.svg`, svg),
      pngPath: await writeWhole(`${base}.png`, await chartPng(svg)),
    },
  };
}
