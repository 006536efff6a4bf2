/** The offline analyst works its numbers out of the request; the expected ones here were worked out by hand. */
import { describe, expect, it } from "vitest";
import type { Figures } from "../../../../graphs/quarterly-report/figures.js";
import { directionOf, growth, metricsOf } from "../../../../graphs/quarterly-report/metrics.js";
import { offlineAnalyst } from "../../../../graphs/quarterly-report/offline-analyst.js";
import { analyzePrompt, reportPrompt, summaryPrompt } from "../../../../graphs/quarterly-report/prompts.js";
import { TrendAnalysis } from "../../../../graphs/quarterly-report/state.js";
import { rawComparison } from "../../../../graphs/quarterly-report/steps/analyze-trend.js";
import type { PromptMessage } from "../../../../nodes/call-model.js";
import { FEEDBACK_OPENING } from "../../../../nodes/call-model.js";
import type { ChatRequest } from "../../../../src/chaos/chat-request.js";
import { reported } from "./reported.js";

const LABEL = "Offline analyst: computed from the figures in the request; no language model was asked.";

function requestOf(prompt: readonly PromptMessage[], structured = false): ChatRequest {
  return {
    model: "offline-analyst",
    messages: prompt.map(({ role, content }) => ({ role, text: content })),
    stream: true,
    includeUsage: false,
    tools: [],
    ...(structured && { responseFormat: { name: "trend_analysis", schema: {} } }),
  };
}
const refusal = (what: string): PromptMessage => ({
  role: "user",
  content: `${FEEDBACK_OPENING} ${what}\nAnswer the request again, complete and without that fault.`,
});

async function asked(fiscalYear: number, fiscalQuarter: number) {
  const { figures, findings } = await reported(fiscalYear, fiscalQuarter);
  const prompt = analyzePrompt(figures, findings);
  const analysis = TrendAnalysis.parse(offlineAnalyst(requestOf(prompt, true)));
  const text = (messages: readonly PromptMessage[]) => offlineAnalyst(requestOf(messages)) as string;
  return {
    figures,
    findings,
    prompt,
    analysis,
    report: text(reportPrompt(figures, findings, { ...analysis, source: "m" })),
    summary: text(summaryPrompt(figures, findings)),
    text,
  };
}

describe("the analysis of 2024 Q3", () => {
  it("has the growth, share and margin of the figures", async () => {
    const { analysis } = await asked(2024, 3);
    expect(analysis).toMatchObject({
      headline: "2024 Q3: net sales +4.9 % on the year, led by services, gross margin 46.3 %",
      direction: "growing",
      netSalesGrowthPercent: 4.9, // 85,777 ÷ 81,797
      servicesSharePercent: 28.2, // 24,213 ÷ 85,777
      grossMarginPercent: 46.3, // 39,678 ÷ 85,777
      notes: [LABEL],
    });
    expect(analysis.drivers).toEqual([
      "service sales +14.1 % on the year: US$ 3000 million of the US$ 3980 million change in net sales",
      "product sales +1.6 % on the year: US$ 980 million of the US$ 3980 million change in net sales",
      "gross margin rate +1.7 points on the year",
      "service sales grew in each of the last 19 quarters that can be compared",
    ]);
    expect(analysis.risks).toEqual([
      "products are still 71.8 % of net sales at a margin of 35.3 %, against 74 % on services",
    ]);
  });
});

describe("the analysis of 2023 Q1, a quarter that went otherwise", () => {
  it("has other numbers, another direction and other risks", async () => {
    const { analysis } = await asked(2023, 1);
    expect(analysis).toMatchObject({
      headline: "2023 Q1: net sales -5.5 % on the year, led by services, gross margin 43 %",
      direction: "shrinking",
      netSalesGrowthPercent: -5.5, // 117,154 ÷ 123,945
      servicesSharePercent: 17.7, // 20,766 ÷ 117,154
      grossMarginPercent: 43, // 50,332 ÷ 117,154
    });
    // the larger part of the change comes first
    expect(analysis.drivers[0]).toBe(
      "product sales -7.7 % on the year: US$ -8041 million of the US$ -6791 million change in net sales",
    );
    expect(analysis.drivers[1]).toContain("service sales +6.4 % on the year: US$ 1250 million");
    expect(analysis.risks).toEqual([
      "product sales are falling (-7.7 % on the year)",
      "the gross margin rate slipped (-0.8 points)",
      "products are still 82.3 % of net sales at a margin of 37 %, against 70.8 % on services",
    ]);
  });
});

describe("the offline analyst", () => {
  it("writes a report of the figures under the headings asked for, labelled offline", async () => {
    const { report } = await asked(2024, 3);
    expect(report.startsWith(`*${LABEL}*`)).toBe(true);
    expect(report.match(/^## .*$/gm)).toEqual(["## Summary", "## Revenue", "## Margins", "## What to watch"]);
    expect(report).toContain(
      "Net sales were US$ 85,777 million, +4.9 % on 2023 Q3 (US$ 81,797 million) and -5.5 % on 2024 Q2.",
    );
    expect(report).toContain(
      "services US$ 24,213 million (+14.1 %); services are 28.2 % of net sales, +2.3 points on the year.",
    );
    expect(report).toContain(
      "Gross margin was US$ 39,678 million or 46.3 % of net sales, +1.7 points on the year: 35.3 % on products and 74 % on services.",
    );
  });

  it("writes a shorter summary where that is asked for, from the few quarters it is given", async () => {
    const { report, summary } = await asked(2023, 1);
    expect(summary).toContain(
      "Net sales were US$ 117,154 million, -5.5 % on 2022 Q1 (US$ 123,945 million) and +30.0 % on 2022 Q4.",
    );
    expect(summary).toContain(LABEL);
    expect(summary).not.toContain("##");
    expect(summary.length).toBeLessThan(report.length);
  });

  it("computes from the request, not from a stored answer", async () => {
    const { prompt } = await asked(2024, 3);
    const changed = prompt.map((message) => ({
      ...message,
      content: message.content.replace("61564,24213,85777", "51564,24213,75777"),
    }));
    const analysis = TrendAnalysis.parse(offlineAnalyst(requestOf(changed, true)));
    expect(analysis).toMatchObject({ direction: "shrinking", netSalesGrowthPercent: -7.4, servicesSharePercent: 32 });
  });

  it("gives the same answer to the same request", async () => {
    const { prompt } = await asked(2024, 3);
    expect(offlineAnalyst(requestOf(prompt, true))).toEqual(offlineAnalyst(requestOf(prompt, true)));
  });

  it("says which refusals it answers again for", async () => {
    const { prompt, figures, findings, text } = await asked(2024, 3);
    const again = [...prompt, refusal("headline: expected string")];
    expect(TrendAnalysis.parse(offlineAnalyst(requestOf(again, true))).notes).toEqual([
      LABEL,
      "Second answer; the one before was refused: headline: expected string",
    ]);
    expect(text([...summaryPrompt(figures, findings), refusal("it was cut")])).toMatch(
      /\*Second answer; the one before was refused: it was cut\*$/,
    );
  });

  it("says so when the request holds no figures", () => {
    expect(offlineAnalyst(requestOf([{ role: "user", content: "hello" }]))).toBe(
      `${LABEL} The request holds no table of quarters to work from.`,
    );
  });
});

describe("metrics", () => {
  it("have no growth on nothing, and margins of nothing", async () => {
    const { figures } = await asked(2024, 3);
    const bare: Figures = {
      ...figures,
      yearAgo: { ...figures.yearAgo, serviceSales: 0 },
      current: { ...figures.current, productSales: 0 },
    };
    expect(metricsOf(bare)).toMatchObject({ serviceGrowth: null, productMargin: null, productGrowth: -100 });
    expect(growth(5, 0)).toBeNull();
  });

  it.each([
    [0.9, "flat"],
    [-0.9, "flat"],
    [1, "growing"],
    [-1, "shrinking"],
    [null, "flat"],
  ] as const)("a growth of %s is %s", (value, direction) => {
    expect(directionOf(value)).toBe(direction);
  });

  it("agree with the comparison that stands in when no model answers", async () => {
    const { figures } = await asked(2023, 1);
    const { analysis } = await rawComparison({ fiscalYear: 2023, fiscalQuarter: 1, figures });
    expect(analysis).toMatchObject({
      source: "raw comparison",
      direction: "shrinking",
      netSalesGrowthPercent: -5.5,
      servicesSharePercent: 17.7,
      grossMarginPercent: 43,
      drivers: ["product sales -7.7 % on the year", "service sales +6.4 % on the year"],
      notes: [expect.stringContaining("raw comparison")],
    });
  });
});
