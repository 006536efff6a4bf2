import { z } from "zod";
import { positionOf, type Quarter, quarterName } from "./figures.js";
import { grossMarginRate } from "./metrics.js";

const Outlier = z.object({
  quarter: z.string(),
  measure: z.string(),
  /** Change on the year-ago quarter: per cent for sales, percentage points for the margin. */
  change: z.number(),
  /** What was usual: the median of that change over the history. */
  median: z.number(),
  score: z.number(),
  isCurrent: z.boolean(),
});
export type Outlier = z.infer<typeof Outlier>;

export const Findings = z.object({
  quartersChecked: z.number(),
  method: z.string(),
  outliers: z.array(Outlier),
  notes: z.array(z.string()),
});
export type Findings = z.infer<typeof Findings>;

/** Iglewicz and Hoaglin's threshold. */
const THRESHOLD = 3.5;
/** Per cent: a spread below it is what binary fractions leave of equal values. */
const NOISE = 1e-9;
/** Below this many values a median absolute deviation says little. */
const MIN_VALUES = 8;

export const METHOD =
  "modified z-score of the year-over-year change (0.6745 × distance from the median ÷ median absolute deviation), outlier above 3.5; B. Iglewicz and D. Hoaglin, How to Detect and Handle Outliers, ASQC 1993";

const MEASURES: readonly { readonly name: string; readonly change: (now: Quarter, yearAgo: Quarter) => number }[] = [
  { name: "net sales", change: (now, yearAgo) => percent(now.netSales, yearAgo.netSales) },
  { name: "product sales", change: (now, yearAgo) => percent(now.productSales, yearAgo.productSales) },
  { name: "service sales", change: (now, yearAgo) => percent(now.serviceSales, yearAgo.serviceSales) },
  { name: "gross margin rate", change: (now, yearAgo) => grossMarginRate(now) - grossMarginRate(yearAgo) },
];

/** Looks for quarters whose change on the year-ago quarter is unlike the others'. Growth takes the season out of the figures. */
export function findOutliers(history: readonly Quarter[], current: Quarter): Pick<Findings, "outliers" | "notes"> {
  const byPosition = new Map(history.map((quarter) => [positionOf(quarter), quarter]));
  const pairs = history.flatMap((now) => {
    const yearAgo = byPosition.get(positionOf(now) - 4);
    return yearAgo === undefined ? [] : [{ now, yearAgo }];
  });
  if (pairs.length < MIN_VALUES) {
    return {
      outliers: [],
      notes: [
        `Outliers were not looked for: ${pairs.length} year-over-year changes are known, ${MIN_VALUES} are needed`,
      ],
    };
  }
  const outliers = MEASURES.flatMap(({ name, change }) => {
    const changes = pairs.map(({ now, yearAgo }) => change(now, yearAgo));
    const usual = median(changes.filter(Number.isFinite));
    const scores = modifiedZScores(changes);
    return pairs.flatMap(({ now }, index) => {
      const score = scores[index] ?? 0;
      if (Math.abs(score) <= THRESHOLD) return [];
      const isCurrent = positionOf(now) === positionOf(current);
      return [
        {
          quarter: quarterName(now),
          measure: name,
          change: rounded(changes[index] ?? 0),
          median: rounded(usual),
          score: rounded(score),
          isCurrent,
        },
      ];
    });
  });
  return { outliers, notes: [] };
}

/**
 * Scores of the values; 0 for a value that is not finite (growth on a base of 0). When more than half of the values are
 * equal the median absolute deviation is 0 and the mean absolute deviation takes its place, scaled by 1.253314 so that
 * it estimates the same spread (IBM SPSS, modified z score).
 */
export function modifiedZScores(values: readonly number[]): number[] {
  const finite = values.filter(Number.isFinite);
  const middle = median(finite);
  const distances = finite.map((value) => Math.abs(value - middle));
  const mad = median(distances);
  const meanDistance = distances.reduce((sum, distance) => sum + distance, 0) / (distances.length || 1);
  const spread = mad > NOISE ? mad / 0.6745 : meanDistance * 1.253314;
  return values.map((value) => (spread <= NOISE || !Number.isFinite(value) ? 0 : (value - middle) / spread));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  const upper = sorted[Math.floor(half)] ?? 0;
  return Number.isInteger(half) ? (upper + (sorted[half - 1] ?? upper)) / 2 : upper;
}

function percent(now: number, before: number): number {
  return before === 0 ? Number.NaN : 100 * (now / before - 1);
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
