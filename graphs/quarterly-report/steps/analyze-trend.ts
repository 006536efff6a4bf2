import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { callStructured } from "langgraph-resilience/nodes";
import { quarterName } from "../figures.js";
import { directionOf, type Metrics, metricsOf } from "../metrics.js";
import { reportModel } from "../model.js";
import { analyzePrompt } from "../prompts.js";
import { signedPercent } from "../prose.js";
import { present, type QuarterlyReport, TrendAnalysis, type Update } from "../state.js";

/** The model rounds as it likes; more than this is another number. */
const TOLERANCE = 0.15;

/** The model's reading of the quarter. Its numbers have to be those of the figures. */
export async function analyzeTrend(state: QuarterlyReport, config: LangGraphRunnableConfig): Promise<Update> {
  const figures = present(state, "figures");
  const metrics = metricsOf(figures);
  const { value, model } = await callStructured(
    {
      model: await reportModel(),
      messages: analyzePrompt(figures, present(state, "findings")),
      schemaName: "trend_analysis",
      schema: TrendAnalysis,
      check: (analysis) => wrongNumbers(analysis, metrics),
    },
    config,
  );
  return { analysis: { ...value, source: model } };
}

/** No model: the comparison with the year-ago quarter as it stands in the figures. */
export async function rawComparison(state: QuarterlyReport): Promise<Update> {
  const figures = present(state, "figures");
  const metrics = metricsOf(figures);
  return {
    analysis: {
      headline: `${quarterName(figures.current)}: net sales ${signedPercent(metrics.netSalesGrowth)} on the year, gross margin ${metrics.grossMargin} %`,
      direction: directionOf(metrics.netSalesGrowth),
      netSalesGrowthPercent: metrics.netSalesGrowth,
      servicesSharePercent: metrics.servicesShare,
      grossMarginPercent: metrics.grossMargin,
      drivers: [
        `product sales ${signedPercent(metrics.productGrowth)} on the year`,
        `service sales ${signedPercent(metrics.serviceGrowth)} on the year`,
      ],
      risks: [],
      notes: ["The model's analysis was not to be had; this is the raw comparison with the year-ago quarter."],
      source: "raw comparison",
    },
  };
}

function wrongNumbers(analysis: TrendAnalysis, metrics: Metrics): string | undefined {
  const facts = [
    ["netSalesGrowthPercent", analysis.netSalesGrowthPercent, metrics.netSalesGrowth],
    ["servicesSharePercent", analysis.servicesSharePercent, metrics.servicesShare],
    ["grossMarginPercent", analysis.grossMarginPercent, metrics.grossMargin],
  ] as const;
  const wrong = facts.filter(([, given, right]) =>
    given === null || right === null ? given !== right : Math.abs(given - right) > TOLERANCE,
  );
  if (wrong.length > 0)
    return wrong.map(([name, given, right]) => `${name} is ${given}, the figures give ${right}`).join("; ");
  const direction = directionOf(metrics.netSalesGrowth);
  return analysis.direction === direction
    ? undefined
    : `direction is "${analysis.direction}", the figures give "${direction}"`;
}
