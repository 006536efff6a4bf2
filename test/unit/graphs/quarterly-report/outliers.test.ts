import { describe, expect, it } from "vitest";
import type { Quarter } from "../../../../graphs/quarterly-report/figures.js";
import { findOutliers, modifiedZScores } from "../../../../graphs/quarterly-report/outliers.js";
import { reported } from "./reported.js";

describe("modifiedZScores", () => {
  it("is 0.6745 × distance from the median ÷ median absolute deviation", () => {
    // median 5; distances 4 3 2 1 0 1 2 3 95, whose median is 2
    const scores = modifiedZScores([1, 2, 3, 4, 5, 6, 7, 8, 100]);
    expect(scores[8]).toBeCloseTo((0.6745 * 95) / 2, 10);
    expect(scores[8]).toBeCloseTo(32.03875, 5);
    expect(scores[0]).toBeCloseTo(-1.349, 5);
    expect(scores[4]).toBe(0);
  });

  it("takes what binary fractions leave of equal values for equal", () => {
    expect(modifiedZScores([0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2, 0.3 - 1e-16, 0.3])).toEqual([0, 0, 0, 0, 0, 0]);
    expect(modifiedZScores([0.1 + 0.2, 0.3, 0.1 + 0.2, 0.3, 5])[4]).toBeCloseTo(4.7 / (1.253314 * (4.7 / 5)), 10);
  });

  it("of an even count takes the middle of the two middle values", () => {
    // median 3; distances 2 1 1 7, whose median is 1.5
    expect(modifiedZScores([1, 2, 4, 10])[3]).toBeCloseTo((0.6745 * 7) / 1.5, 10);
  });

  it("takes the mean deviation where more than half of the values are equal", () => {
    // mean distance 9 / 5 = 1.8
    expect(modifiedZScores([1, 1, 1, 1, 10])[4]).toBeCloseTo(9 / (1.253314 * 1.8), 10);
  });

  it("is 0 for equal values, for what is no number, and leaves that out of the median", () => {
    expect(modifiedZScores([3, 3, 3])).toEqual([0, 0, 0]);
    expect(modifiedZScores([])).toEqual([]);
    const scores = modifiedZScores([1, 2, 3, Number.NaN, Number.POSITIVE_INFINITY]);
    expect(scores.slice(3)).toEqual([0, 0]);
    expect(scores[2]).toBeCloseTo(0.6745, 10);
  });
});

/** A first year of 1000 a quarter, and quarters after it that grew by the percentages given; shares and margin stay. */
function history(growths: readonly number[]): Quarter[] {
  const net = [1000, 1000, 1000, 1000];
  for (const [index, growth] of growths.entries()) net.push((net[index] ?? 0) * (1 + growth / 100));
  return net.map((netSales, index) => ({
    fiscalYear: 2020 + Math.floor(index / 4),
    fiscalQuarter: (index % 4) + 1,
    periodEnd: "2020-01-01",
    productSales: 0.8 * netSales,
    serviceSales: 0.2 * netSales,
    netSales,
    productCost: 0.4 * netSales,
    serviceCost: 0.1 * netSales,
    costOfSales: 0.5 * netSales,
    grossMargin: 0.5 * netSales,
    line: index + 2,
  }));
}

describe("findOutliers", () => {
  /** Median 10 and a median absolute deviation of 1, so the score of the last one is 0.6745 × (growth − 10). */
  const endingWith = (last: number) => {
    const quarters = history([8, 9, 10, 11, 12, 8, 9, 10, 11, 12, 10, last]);
    return findOutliers(quarters, quarters.at(-1) as Quarter);
  };

  it("lets a score of 3.44 pass and reports one of 3.57, up and down", () => {
    expect(endingWith(15.1)).toEqual({ outliers: [], notes: [] });
    const upward = { quarter: "2023 Q4", change: 15.3, median: 10, score: 3.6, isCurrent: true };
    expect(endingWith(15.3).outliers).toEqual([
      { ...upward, measure: "net sales" },
      { ...upward, measure: "product sales" },
      { ...upward, measure: "service sales" },
    ]);
    expect(endingWith(4.9).outliers).toEqual([]);
    expect(endingWith(4.7).outliers[0]).toEqual({
      quarter: "2023 Q4",
      measure: "net sales",
      change: 4.7,
      median: 10,
      score: -3.6,
      isCurrent: true,
    });
  });

  it("needs eight year-over-year changes and says when there are fewer", () => {
    const seven = history([10, 10, 10, 10, 10, 10, 90]);
    expect(findOutliers(seven, seven.at(-1) as Quarter)).toEqual({
      outliers: [],
      notes: [expect.stringMatching(/not looked for: 7 year-over-year changes are known, 8 are needed/)],
    });
    const eight = history([8, 9, 10, 11, 12, 9, 10, 90]);
    expect(findOutliers(eight, eight.at(-1) as Quarter).outliers).not.toEqual([]);
  });

  it("compares with the year-ago quarter only where there is one", () => {
    const quarters = history([8, 9, 10, 11, 12, 8, 9, 10, 11, 12, 10, 90]).filter(({ line }) => line !== 13);
    // without the year-ago quarter of the last one its growth is not known
    expect(findOutliers(quarters, quarters.at(-1) as Quarter).outliers).toEqual([]);
  });

  it("finds in Apple's figures the two quarters of 2021 that stand out, none of them the reported one", async () => {
    const { findings } = await reported(2024, 3);
    // 89,584 ÷ 58,313, 81,434 ÷ 59,685 and 72,683 ÷ 44,965
    expect(findings.outliers).toEqual([
      { quarter: "2021 Q2", measure: "net sales", change: 53.6, median: 4.9, score: 5.4, isCurrent: false },
      { quarter: "2021 Q3", measure: "net sales", change: 36.4, median: 4.9, score: 3.5, isCurrent: false },
      { quarter: "2021 Q2", measure: "product sales", change: 61.6, median: 1.6, score: 5.8, isCurrent: false },
    ]);
  });
});
