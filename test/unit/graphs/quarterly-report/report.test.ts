import { beforeAll, describe, expect, it } from "vitest";
import type { Figures } from "../../../../graphs/quarterly-report/figures.js";
import type { Findings } from "../../../../graphs/quarterly-report/outliers.js";
import { type Narrative, reportHtml, reportMarkdown } from "../../../../graphs/quarterly-report/report.js";
import type { Analysis } from "../../../../graphs/quarterly-report/state.js";
import { rawComparison } from "../../../../graphs/quarterly-report/steps/analyze-trend.js";
import { reported } from "./reported.js";

const CHART = { svgPath: "/x/2024-Q3-chart.svg", pngPath: "/x/2024-Q3-chart.png" };
let figures: Figures;
let findings: Findings;
let analysis: Analysis;

beforeAll(async () => {
  ({ figures, findings } = await reported(2024, 3));
  analysis = (await rawComparison({ fiscalYear: 2024, fiscalQuarter: 3, figures })).analysis as Analysis;
});

const markdownOf = (narrative: Partial<Narrative> = {}, company = "Apple Inc.") =>
  reportMarkdown({ ...figures, company }, findings, analysis, CHART, {
    writtenBy: "model",
    model: "m-1",
    text: "It grew.",
    ...narrative,
  });

describe("the report", () => {
  it.each([
    [{ writtenBy: "model", model: "m-1" }, "> Written by the model m-1."],
    [
      { writtenBy: "shorterSummary", model: "m-1", because: "503 the engine\nis overloaded" },
      "> Degraded: a shorter summary, written by the model m-1 because the full report failed: 503 the engine is overloaded",
    ],
    [
      { writtenBy: "template", because: "no connection" },
      "> Degraded: written from a template, without a model because the full report failed: no connection",
    ],
  ] as const)("says who wrote it: %j", (narrative, line) => {
    const markdown = markdownOf(narrative);
    expect(markdown.split("\n")).toContain(line);
    expect(markdown).toContain("\n\nIt grew.\n\n");
  });

  it("has title, chart, figures with their changes, analysis, checks and source", () => {
    const lines = markdownOf().split("\n");
    expect(lines[0]).toBe("# Apple Inc.: fiscal 2024 Q3 report");
    expect(lines).toEqual(
      expect.arrayContaining([
        "Quarter ended 2024-06-29. US$ millions unless stated otherwise.",
        "![Net sales by quarter and gross margin rate, 2024 Q3 highlighted](2024-Q3-chart.png)",
        "| US$ millions | 2024 Q3 | 2023 Q3 | change | 2024 Q2 | change |",
        "| Service sales | 24,213 | 21,213 | +14.1 % | 23,867 | +1.4 % |",
        "| **Net sales** | 85,777 | 81,797 | +4.9 % | 90,753 | -5.5 % |",
        "| **Gross margin** | 39,678 | 36,413 | +9.0 % | 42,271 | -6.1 % |",
        // 46.257 − 44.516 and 46.257 − 46.578
        "| Gross margin rate | 46.3 % | 44.5 % | +1.7 points | 46.6 % | -0.3 points |",
        "**2024 Q3: net sales +4.9 % on the year, gross margin 46.3 %** (by raw comparison)",
        "The sums of 23 quarters were checked and hold.",
        "- 2021 Q2: net sales changed by +53.6 % on the year, where +4.9 % is usual (score 5.4)",
        "Source of the figures: apple-income-quarterly.csv.",
      ]),
    );
  });

  it("leaves out lists that hold nothing", () => {
    expect(markdownOf()).not.toContain("To watch:");
    expect(markdownOf()).toContain("What moved the quarter:\n\n- product sales +1.6 %");
  });
});

describe("the report as HTML", () => {
  const htmlOf = (text: string, company?: string) => reportHtml(markdownOf({ text }, company), "cid:chart");

  it("is one page with the table and the chart from where it is told", () => {
    const html = htmlOf("It grew.");
    expect(html).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(html).toContain("<title>Apple Inc.: fiscal 2024 Q3 report</title>");
    expect(html).toMatch(/<td[^>]*>85,777<\/td>/);
    expect(html.match(/<img [^>]*>/g)).toEqual([
      '<img src="cid:chart" alt="Net sales by quarter and gross margin rate, 2024 Q3 highlighted">',
    ]);
  });

  it("shows a company's name as text, whatever it holds", () => {
    const html = htmlOf("It grew.", '<b>& "Sons"</b><script>x</script>');
    expect(html).not.toMatch(/<b>|<script/);
    const shown = (part: string) =>
      part
        .replaceAll(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
        .replaceAll("&quot;", '"')
        .replaceAll("&lt;", "<")
        .replaceAll("&gt;", ">")
        .replaceAll("&amp;", "&");
    const name = '<b>& "Sons"</b><script>x</script>: fiscal 2024 Q3 report';
    expect(shown(/<title>(.*)<\/title>/.exec(html)?.[1] ?? "")).toBe(name);
    expect(shown(/<h1>(.*)<\/h1>/.exec(html)?.[1] ?? "")).toBe(name);
  });

  it.each([
    ["a block of HTML", "<script>steal()</script>", /<script/],
    ["HTML within a line", "It <img src=x onerror=steal()> grew", /<img src=x/],
    ["a script behind a link", "[press](javascript:steal())", /<a /],
    ["a script behind an encoded link", "[press](&#106;avascript:steal())", /<a /],
    ["a page behind a data link", "[press](data:text/html,x)", /<a /],
    ["a picture from elsewhere", "![spy](https://example.com/spy.png)", /<img[^>]*example/],
    ["a quote that ends an attribute", '[press](https://example.com/"onmouseover="steal())', /<a [^>]*" ?onmouseover=/],
    ["a name that ends an attribute", '![" onerror="steal()](2024-Q3-chart.png)', /<img [^>]*" onerror=/],
  ])("does not let a model put in %s", (_what, text, harm) => {
    expect(htmlOf(text)).not.toMatch(harm);
  });

  it("keeps links to pages and to mail", () => {
    const html = htmlOf("See [the filing](https://www.sec.gov/x?a=1&b=2) or [ask](mailto:cfo@example.com).");
    expect(html).toMatch(/<a href="https:\/\/www\.sec\.gov\/x\?a=1&#38;b=2" rel="noopener noreferrer">the filing<\/a>/);
    expect(html).toContain('<a href="mailto:cfo@example.com"');
  });
});
