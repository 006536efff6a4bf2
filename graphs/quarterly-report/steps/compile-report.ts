import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { ErrorReport } from "langgraph-resilience";
import { callModel } from "langgraph-resilience/nodes";
import { writeWhole } from "../artifacts.js";
import { quarterSlug } from "../figures.js";
import { metricsOf } from "../metrics.js";
import { reportModel } from "../model.js";
import { reportPrompt, summaryPrompt } from "../prompts.js";
import { marginSentence, mixSentence, revenueSentence } from "../prose.js";
import { type Narrative, reportHtml, reportMarkdown } from "../report.js";
import { present, type QuarterlyReport, type Update } from "../state.js";

/** The model writes the whole report. */
export async function compileReport(state: QuarterlyReport, config: LangGraphRunnableConfig): Promise<Update> {
  const messages = reportPrompt(present(state, "figures"), present(state, "findings"), present(state, "analysis"));
  const { text, model } = await callModel({ model: await reportModel(), messages }, config);
  return save(state, { writtenBy: "model", model, text });
}

/** A shorter request: less to read, less to write, less to go wrong. */
export async function shorterSummary(
  state: QuarterlyReport,
  config: LangGraphRunnableConfig,
  failure: ErrorReport,
): Promise<Update> {
  const messages = summaryPrompt(present(state, "figures"), present(state, "findings"));
  const { text, model } = await callModel({ model: await reportModel(), messages }, config);
  return save(state, { writtenBy: "shorterSummary", model, text, because: failure.message });
}

/** No model at all: sentences made of the figures. */
export async function template(
  state: QuarterlyReport,
  _config: LangGraphRunnableConfig,
  failure: ErrorReport,
): Promise<Update> {
  const figures = present(state, "figures");
  const metrics = metricsOf(figures);
  const text = [
    revenueSentence(figures, metrics),
    mixSentence(figures, metrics),
    marginSentence(figures, metrics),
  ].join("\n\n");
  return save(state, { writtenBy: "template", text, because: failure.message });
}

async function save(state: QuarterlyReport, narrative: Narrative): Promise<Update> {
  const figures = present(state, "figures");
  const chart = present(state, "chart");
  const markdown = reportMarkdown(figures, present(state, "findings"), present(state, "analysis"), chart, narrative);
  const html = reportHtml(markdown, `data:image/svg+xml;base64,${(await readFile(chart.svgPath)).toString("base64")}`);
  const base = join(present(state, "folder"), `${quarterSlug(figures.current)}-report`);
  const { writtenBy, model } = narrative;
  return {
    report: {
      markdownPath: await writeWhole(`${base}.md`, markdown),
      htmlPath: await writeWhole(`${base}.html`, html),
      writtenBy,
      ...(model === undefined ? {} : { model }),
    },
  };
}
