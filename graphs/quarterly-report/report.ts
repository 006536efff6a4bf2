import { basename } from "node:path";
import { Marked } from "marked";
import { type Figures, type Quarter, quarterName } from "./figures.js";
import { growth, metricsOf } from "./metrics.js";
import type { Findings } from "./outliers.js";
import { money, outlierSentence, signedPercent, signedPoints } from "./prose.js";
import type { Analysis, Chart, Report } from "./state.js";

/** The words of the report and who wrote them. */
export interface Narrative {
  readonly writtenBy: Report["writtenBy"];
  readonly model?: string;
  readonly text: string;
  /** Why the first way did not answer. */
  readonly because?: string;
}

/** The report around the narrative: title, who wrote it, chart, figures, analysis, checks and source. */
export function reportMarkdown(
  figures: Figures,
  findings: Findings,
  analysis: Analysis,
  chart: Chart,
  narrative: Narrative,
): string {
  const { current, company, source } = figures;
  return [
    `# ${company}: fiscal ${quarterName(current)} report`,
    `Quarter ended ${current.periodEnd}. US$ millions unless stated otherwise.`,
    `> ${provenance(narrative)}`,
    narrative.text.trim(),
    "## Chart",
    `![Net sales by quarter and gross margin rate, ${quarterName(current)} highlighted](${encodeURI(basename(chart.pngPath))})`,
    "## Figures",
    figuresTable(figures),
    "## Trend analysis",
    `**${analysis.headline}** (by ${analysis.source})`,
    list("What moved the quarter", analysis.drivers),
    list("To watch", analysis.risks),
    list("Notes", analysis.notes),
    "## Checks of the data",
    `The sums of ${findings.quartersChecked} quarters were checked and hold.`,
    list(
      "Unusual quarters",
      findings.outliers.map((outlier) => `${outlierSentence(outlier)}${outlier.isCurrent ? ": **this quarter**" : ""}`),
    ),
    list("Notes", findings.notes),
    `Method: ${findings.method}.`,
    `Source of the figures: ${basename(source)}.`,
  ]
    .filter((part) => part !== "")
    .join("\n\n")
    .concat("\n");
}

/** The report as one HTML page that stands alone. `chartSource` is the address of the chart: a data URI, or `cid:` in mail. */
export function reportHtml(markdown: string, chartSource: string): string {
  const body = createMarked(chartSource).parse(markdown, { async: false });
  const title = /^# (.*)$/m.exec(markdown)?.[1] ?? "Report";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${body}</main>
</body>
</html>
`;
}

const STYLE = `
body { margin: 0; background: #f5f6f8; color: #1d2733; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 860px; margin: 2rem auto; padding: 1rem 2.5rem 2rem; background: #fff; border: 1px solid #dfe3e8; border-radius: 6px; }
h1 { font-size: 1.7rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #dfe3e8; padding-bottom: .25rem; }
blockquote { margin: 1rem 0; padding: .5rem 1rem; border-left: 4px solid #b7791f; background: #fdf6e7; } blockquote p { margin: 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .95rem; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid #e7eaee; text-align: right; } th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; height: auto; }
@media print { body { background: #fff; } main { border: 0; margin: 0; } }
`;

/** Markdown from a model is not trusted: raw HTML is shown as text, only web and mail links stay links, no image is loaded but the chart. */
function createMarked(chartSource: string): Marked {
  return new Marked({
    renderer: {
      html: ({ text }) => escapeHtml(text),
      link({ href, tokens }) {
        const label = this.parser.parseInline(tokens);
        return /^(https?:|mailto:)/i.test(href)
          ? `<a href="${escapeHtml(href)}" rel="noopener noreferrer">${label}</a>`
          : label;
      },
      image: ({ href, text }) =>
        /^[^/:]+-chart\.png$/.test(href)
          ? `<img src="${escapeHtml(chartSource)}" alt="${escapeHtml(text)}">`
          : escapeHtml(text),
    },
  });
}

function provenance({ writtenBy, model, because }: Narrative): string {
  const reason = because === undefined ? "" : ` because the full report failed: ${oneLine(because)}`;
  switch (writtenBy) {
    case "model":
      return `Written by the model ${model}.`;
    case "shorterSummary":
      return `Degraded: a shorter summary, written by the model ${model}${reason}`;
    case "template":
      return `Degraded: written from a template, without a model${reason}`;
  }
}

const ROWS: readonly {
  readonly label: string;
  readonly field: "productSales" | "serviceSales" | "netSales" | "costOfSales" | "grossMargin";
}[] = [
  { label: "Product sales", field: "productSales" },
  { label: "Service sales", field: "serviceSales" },
  { label: "**Net sales**", field: "netSales" },
  { label: "Cost of sales", field: "costOfSales" },
  { label: "**Gross margin**", field: "grossMargin" },
];

function figuresTable(figures: Figures): string {
  const { current, yearAgo, previous } = figures;
  const rate = (quarter: Quarter) => `${((100 * quarter.grossMargin) / quarter.netSales).toFixed(1)} %`;
  const { grossMarginChange } = metricsOf(figures);
  const onQuarter = metricsOf({ current, yearAgo: previous, previous }).grossMarginChange;
  const rows = ROWS.map(({ label, field }) => [
    label,
    money(current[field]),
    money(yearAgo[field]),
    signedPercent(growth(current[field], yearAgo[field])),
    money(previous[field]),
    signedPercent(growth(current[field], previous[field])),
  ]);
  const lines = [
    ["US$ millions", quarterName(current), quarterName(yearAgo), "change", quarterName(previous), "change"],
    ["---", "--:", "--:", "--:", "--:", "--:"],
    ...rows,
    [
      "Gross margin rate",
      rate(current),
      rate(yearAgo),
      signedPoints(grossMarginChange),
      rate(previous),
      signedPoints(onQuarter),
    ],
  ];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function list(title: string, items: readonly string[]): string {
  return items.length === 0 ? "" : `${title}:\n\n${items.map((item) => `- ${oneLine(item)}`).join("\n")}`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
