import type { PromptMessage } from "langgraph-resilience/nodes";
import { type Figures, quarterName } from "./figures.js";
import { figuresCsv } from "./figures-csv.js";
import type { Findings } from "./outliers.js";
import { outlierSentence } from "./prose.js";
import type { Analysis } from "./state.js";

/** The first words of each request: the fault script finds its requests by them. */
export const ANALYZE_TASK = "Task: analyze the trend";
export const REPORT_TASK = "Task: write the quarterly report";
export const SUMMARY_TASK = "Task: write a short summary";

const SYSTEM =
  "You are a financial analyst writing for a CFO. Use only the figures given, in US$ millions; never invent a figure or a cause. Be plain and exact.";

export function analyzePrompt(figures: Figures, findings: Findings): PromptMessage[] {
  return prompt(
    `${ANALYZE_TASK} of ${figures.company} for fiscal ${quarterName(figures.current)}, against the year-ago quarter first. Answer as JSON in the schema given.`,
    figures,
    findings,
  );
}

export function reportPrompt(figures: Figures, findings: Findings, analysis: Analysis): PromptMessage[] {
  return prompt(
    `${REPORT_TASK} of ${figures.company} for fiscal ${quarterName(figures.current)} in Markdown: 250 to 400 words under the headings "## Summary", "## Revenue", "## Margins" and "## What to watch". No table and no title: they are added.\nAnalysis so far: ${JSON.stringify(analysis)}`,
    figures,
    findings,
  );
}

export function summaryPrompt(figures: Figures, findings: Findings): PromptMessage[] {
  return prompt(
    `${SUMMARY_TASK} of ${figures.company}'s fiscal ${quarterName(figures.current)}: one paragraph of at most 100 words, plain text.`,
    // Fewer quarters: a provider that failed on the long request may manage a short one.
    { ...figures, history: figures.history.slice(-5) },
    findings,
  );
}

function prompt(task: string, figures: Figures, findings: Findings): PromptMessage[] {
  const outliers = findings.outliers.map((outlier) => `- ${outlierSentence(outlier)}`).join("\n");
  return [
    { role: "system", content: SYSTEM },
    {
      role: "user",
      content: `${task}\n\nFigures, oldest quarter first; the last line is the quarter to report:\n${figuresCsv(figures.history)}\n\nUnusual quarters:\n${outliers || "- none"}`,
    },
  ];
}
