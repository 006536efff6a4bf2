import type { ChatRequest } from "langgraph-resilience/chaos";
import { FEEDBACK_OPENING } from "langgraph-resilience/nodes";
import { quarterName } from "./figures.js";
import { parseFiguresCsv } from "./figures-csv.js";
import { directionOf, type Metrics, metricsOf } from "./metrics.js";
import { SUMMARY_TASK } from "./prompts.js";
import {
  marginSentence,
  mixSentence,
  revenueSentence,
  serviceGrowthStreak,
  signedPercent,
  signedPoints,
} from "./prose.js";
import type { TrendAnalysis } from "./state.js";

const OFFLINE_LABEL = "Offline analyst: computed from the figures in the request; no language model was asked.";

/**
 * Answers the graph's requests without a language model: reads the figures out of the prompt and works out growth,
 * mix and margins from them. The same request always gets the same answer, and each says that it is offline.
 */
export function offlineAnalyst(request: ChatRequest): string | object {
  const prompt = request.messages.map((message) => message.text).join("\n");
  const figures = parseFiguresCsv(prompt);
  if (figures === undefined) return `${OFFLINE_LABEL} The request holds no table of quarters to work from.`;
  const refusals = request.messages
    .filter(({ text }) => text.startsWith(FEEDBACK_OPENING))
    .map(({ text }) => firstLine(text));
  if (request.responseFormat !== undefined) return analysis(figures, refusals);
  const text = prompt.includes(SUMMARY_TASK) ? summary(figures) : fullReport(figures);
  return [
    `*${OFFLINE_LABEL}*`,
    text,
    ...refusals.map((refusal) => `*Second answer; the one before was refused: ${refusal}*`),
  ].join("\n\n");
}

type Figures = NonNullable<ReturnType<typeof parseFiguresCsv>>;

function analysis(figures: Figures, refusals: readonly string[]): TrendAnalysis {
  const metrics = metricsOf(figures);
  const growing = Number(metrics.serviceGrowth) > Number(metrics.productGrowth);
  return {
    headline: `${quarterName(figures.current)}: net sales ${signedPercent(metrics.netSalesGrowth)} on the year, ${growing ? "led by services" : "led by products"}, gross margin ${metrics.grossMargin} %`,
    direction: directionOf(metrics.netSalesGrowth),
    netSalesGrowthPercent: metrics.netSalesGrowth,
    servicesSharePercent: metrics.servicesShare,
    grossMarginPercent: metrics.grossMargin,
    drivers: drivers(figures, metrics),
    risks: risks(figures, metrics),
    notes: [OFFLINE_LABEL, ...refusals.map((refusal) => `Second answer; the one before was refused: ${refusal}`)],
  };
}

/** The parts of the change in net sales, the larger first. */
function drivers({ current, yearAgo, history }: Figures, metrics: Metrics): string[] {
  const parts = [
    {
      change: current.productSales - yearAgo.productSales,
      text: `product sales ${signedPercent(metrics.productGrowth)} on the year`,
    },
    {
      change: current.serviceSales - yearAgo.serviceSales,
      text: `service sales ${signedPercent(metrics.serviceGrowth)} on the year`,
    },
  ].sort((a, b) => Math.abs(b.change) - Math.abs(a.change));
  const change = current.netSales - yearAgo.netSales;
  const streak = serviceGrowthStreak(history);
  return [
    ...parts.map(
      (part) =>
        `${part.text}: US$ ${Math.round(part.change)} million of the US$ ${Math.round(change)} million change in net sales`,
    ),
    `gross margin rate ${signedPoints(metrics.grossMarginChange)} on the year`,
    ...(streak > 1 ? [`service sales grew in each of the last ${streak} quarters that can be compared`] : []),
  ];
}

function risks({ current, previous }: Figures, metrics: Metrics): string[] {
  const found = [
    ...(Number(metrics.productGrowth) < 0
      ? [`product sales are falling (${signedPercent(metrics.productGrowth)} on the year)`]
      : []),
    ...(Number(metrics.serviceGrowth) < 0
      ? [`service sales are falling (${signedPercent(metrics.serviceGrowth)} on the year)`]
      : []),
    ...(metrics.grossMarginChange < 0
      ? [`the gross margin rate slipped (${signedPoints(metrics.grossMarginChange)})`]
      : []),
    ...(current.serviceSales < previous.serviceSales ? ["service sales were below the previous quarter"] : []),
  ];
  const heavy = `products are still ${(100 - metrics.servicesShare).toFixed(1)} % of net sales at a margin of ${metrics.productMargin ?? 0} %, against ${metrics.serviceMargin ?? 0} % on services`;
  return [...found, heavy];
}

function summary(figures: Figures): string {
  const metrics = metricsOf(figures);
  return [revenueSentence(figures, metrics), mixSentence(figures, metrics), marginSentence(figures, metrics)].join(" ");
}

function fullReport(figures: Figures): string {
  const metrics = metricsOf(figures);
  const { headline, drivers: moved, risks: watch } = analysis(figures, []);
  const list = (items: readonly string[]) => items.map((item) => `- ${item}`).join("\n");
  return [
    `## Summary\n\n${headline}.`,
    `## Revenue\n\n${revenueSentence(figures, metrics)} ${mixSentence(figures, metrics)}\n\n${list(moved)}`,
    `## Margins\n\n${marginSentence(figures, metrics)}`,
    `## What to watch\n\n${list(watch)}`,
  ].join("\n\n");
}

function firstLine(text: string): string {
  return text.slice(FEEDBACK_OPENING.length).split("\n")[0]?.trim() ?? "";
}
