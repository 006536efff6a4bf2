import { z } from "zod";

/** One quarter of an income statement. Money is in US$ millions. */
export const Quarter = z.object({
  fiscalYear: z.number(),
  fiscalQuarter: z.number(),
  /** ISO date of the last day. */
  periodEnd: z.string(),
  productSales: z.number(),
  serviceSales: z.number(),
  netSales: z.number(),
  productCost: z.number(),
  serviceCost: z.number(),
  costOfSales: z.number(),
  grossMargin: z.number(),
  /** Line of the CSV file it came from, for messages. */
  line: z.number(),
});
export type Quarter = z.infer<typeof Quarter>;

export const Figures = z.object({
  /** Absolute path of the CSV file. */
  source: z.string(),
  company: z.string(),
  current: Quarter,
  yearAgo: Quarter,
  previous: Quarter,
  /** Up to {@link HISTORY_QUARTERS} quarters, oldest first; the last one is the current quarter. */
  history: z.array(Quarter),
});
export type Figures = z.infer<typeof Figures>;

/** Six years: enough for the statistics, small enough for every checkpoint. */
export const HISTORY_QUARTERS = 24;

/** CSV column → field. */
export const COLUMNS = {
  fiscal_year: "fiscalYear",
  fiscal_quarter: "fiscalQuarter",
  period_end: "periodEnd",
  product_sales: "productSales",
  service_sales: "serviceSales",
  net_sales: "netSales",
  product_cost: "productCost",
  service_cost: "serviceCost",
  cost_of_sales: "costOfSales",
  gross_margin: "grossMargin",
} as const satisfies Record<string, Exclude<keyof Quarter, "line">>;

export type Column = keyof typeof COLUMNS;
export const COLUMN_NAMES = Object.keys(COLUMNS) as readonly Column[];

export interface QuarterId {
  readonly fiscalYear: number;
  readonly fiscalQuarter: number;
}

/** Quarters on one scale, so that neighbours differ by 1 and a year ago by 4. */
export function positionOf({ fiscalYear, fiscalQuarter }: QuarterId): number {
  return fiscalYear * 4 + fiscalQuarter - 1;
}

/** "2024 Q3" */
export function quarterName({ fiscalYear, fiscalQuarter }: QuarterId): string {
  return `${fiscalYear} Q${fiscalQuarter}`;
}

/** "2024-Q3", for file names. */
export function quarterSlug(id: QuarterId): string {
  return quarterName(id).replace(" ", "-");
}

/** "2019 Q1 to 2021 Q4, 2022 Q2": runs of neighbours, in order. */
export function quarterRanges(quarters: readonly QuarterId[]): string {
  const runs: { first: QuarterId; last: QuarterId }[] = [];
  for (const quarter of [...quarters].sort((a, b) => positionOf(a) - positionOf(b))) {
    const run = runs.at(-1);
    if (run !== undefined && positionOf(quarter) === positionOf(run.last) + 1) run.last = quarter;
    else runs.push({ first: quarter, last: quarter });
  }
  return runs
    .map(({ first, last }) => (first === last ? quarterName(first) : `${quarterName(first)} to ${quarterName(last)}`))
    .join(", ");
}
