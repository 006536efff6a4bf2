import type { Figures, Quarter } from "./figures.js";

/** Percentages and percentage points with one decimal; null where the base is 0. */
export interface Metrics {
  readonly netSalesGrowth: number | null;
  readonly netSalesGrowthOnQuarter: number | null;
  readonly productGrowth: number | null;
  readonly serviceGrowth: number | null;
  readonly servicesShare: number;
  readonly servicesShareChange: number;
  readonly grossMargin: number;
  readonly grossMarginChange: number;
  readonly productMargin: number | null;
  readonly serviceMargin: number | null;
}

/** Growth, mix and margins of the current quarter; growth and changes are against the year-ago quarter unless named otherwise. */
export function metricsOf({ current, yearAgo, previous }: Pick<Figures, "current" | "yearAgo" | "previous">): Metrics {
  return {
    netSalesGrowth: growth(current.netSales, yearAgo.netSales),
    netSalesGrowthOnQuarter: growth(current.netSales, previous.netSales),
    productGrowth: growth(current.productSales, yearAgo.productSales),
    serviceGrowth: growth(current.serviceSales, yearAgo.serviceSales),
    servicesShare: rounded(servicesShare(current)),
    servicesShareChange: rounded(servicesShare(current) - servicesShare(yearAgo)),
    grossMargin: rounded(grossMarginRate(current)),
    grossMarginChange: rounded(grossMarginRate(current) - grossMarginRate(yearAgo)),
    productMargin: share(current.productSales - current.productCost, current.productSales),
    serviceMargin: share(current.serviceSales - current.serviceCost, current.serviceSales),
  };
}

/** Per cent of net sales. */
export function grossMarginRate(quarter: Quarter): number {
  return (100 * quarter.grossMargin) / quarter.netSales;
}

/** Per cent, one decimal. */
export function growth(now: number, before: number): number | null {
  return before === 0 ? null : rounded(100 * (now / before - 1));
}

/** Within 1 % of the year-ago quarter is flat. */
export function directionOf(netSalesGrowth: number | null): "growing" | "flat" | "shrinking" {
  if (netSalesGrowth === null || Math.abs(netSalesGrowth) < 1) return "flat";
  return netSalesGrowth > 0 ? "growing" : "shrinking";
}

function servicesShare(quarter: Quarter): number {
  return (100 * quarter.serviceSales) / quarter.netSales;
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : rounded((100 * part) / whole);
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
