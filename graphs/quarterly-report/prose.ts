/** Sentences computed from the figures alone: what the offline analyst and the template are made of. */
import { type Figures, positionOf, type Quarter, quarterName } from "./figures.js";
import { growth, type Metrics } from "./metrics.js";
import type { Outlier } from "./outliers.js";

const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

/** 85777 → "85,777" */
export function money(millions: number): string {
  return GROUPED.format(millions);
}

/** 4.9 → "+4.9 %"; null, where there is no base, → "n/a" */
export function signedPercent(value: number | null): string {
  return value === null ? "n/a" : `${signed(value)} %`;
}

export function signedPoints(value: number): string {
  return `${signed(value)} points`;
}

export function revenueSentence({ current, yearAgo, previous }: Compared, metrics: Metrics): string {
  return `Net sales were US$ ${money(current.netSales)} million, ${signedPercent(metrics.netSalesGrowth)} on ${quarterName(yearAgo)} (US$ ${money(yearAgo.netSales)} million) and ${signedPercent(metrics.netSalesGrowthOnQuarter)} on ${quarterName(previous)}.`;
}

export function mixSentence({ current }: Compared, metrics: Metrics): string {
  return `Products brought in US$ ${money(current.productSales)} million (${signedPercent(metrics.productGrowth)} on the year) and services US$ ${money(current.serviceSales)} million (${signedPercent(metrics.serviceGrowth)}); services are ${metrics.servicesShare} % of net sales, ${signedPoints(metrics.servicesShareChange)} on the year.`;
}

export function marginSentence({ current }: Compared, metrics: Metrics): string {
  return `Gross margin was US$ ${money(current.grossMargin)} million or ${metrics.grossMargin} % of net sales, ${signedPoints(metrics.grossMarginChange)} on the year: ${rate(metrics.productMargin)} on products and ${rate(metrics.serviceMargin)} on services.`;
}

export function outlierSentence({ quarter, measure, change, median, score }: Outlier): string {
  const unit = measure.endsWith("rate") ? "points" : "%";
  return `${quarter}: ${measure} changed by ${signed(change)} ${unit} on the year, where ${signed(median)} ${unit} is usual (score ${score})`;
}

/** How many quarters in a row, up to the last one, service sales grew on the year-ago quarter. */
export function serviceGrowthStreak(history: readonly Quarter[]): number {
  const byPosition = new Map(history.map((quarter) => [positionOf(quarter), quarter]));
  let streak = 0;
  for (const quarter of [...history].reverse()) {
    const yearAgo = byPosition.get(positionOf(quarter) - 4);
    if (yearAgo === undefined || (growth(quarter.serviceSales, yearAgo.serviceSales) ?? 0) <= 0) break;
    streak += 1;
  }
  return streak;
}

type Compared = Pick<Figures, "current" | "yearAgo" | "previous">;

function signed(value: number): string {
  return `${value > 0 ? "+" : ""}${value.toFixed(1)}`;
}

function rate(value: number | null): string {
  return value === null ? "n/a" : `${value} %`;
}
