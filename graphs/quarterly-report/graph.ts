import { END, START, StateGraph } from "@langchain/langgraph";
import { installRecovery, keepCheckpointer, openPersistence, resilient } from "langgraph-resilience";
import { QuarterlyReportInput, QuarterlyReportState } from "./state.js";
import { analyzeTrend, rawComparison } from "./steps/analyze-trend.js";
import { cleanFigures } from "./steps/clean-figures.js";
import { compileReport, shorterSummary, template } from "./steps/compile-report.js";
import { drawChart } from "./steps/draw-chart.js";
import { extractFigures } from "./steps/extract-figures.js";
import { keepSavedReport, sendReport } from "./steps/send-report.js";

/** Short waits: a person is watching. Retry-After is obeyed all the same. */
const QUICK = { maxAttempts: 3, initialDelayMs: 250 };
/** Both steps ask the same model: what one learns of its health, the other need not find out again. */
const MODEL = {
  service: "chat-model",
  retry: QUICK,
  timeout: { baseMs: 60_000, maxMs: 120_000, firstTokenMs: 30_000, idleMs: 30_000 },
};

/** A refused login or address does not mend itself either, so these answer for it instead of stopping the run. */
const MAIL_FAILURES = [
  "network",
  "timeout",
  "rate_limit",
  "server_error",
  "environment",
  "quota",
  "conflict",
  "auth",
  "permission",
  "not_found",
  "invalid_input",
  "unknown",
] as const;

export const builder = new StateGraph({ state: QuarterlyReportState, input: QuarterlyReportInput })
  .addNode("extractFigures", resilient(extractFigures, { name: "extractFigures" }))
  .addNode("cleanFigures", resilient(cleanFigures, { name: "cleanFigures" }))
  .addNode(
    "analyzeTrend",
    resilient(analyzeTrend, {
      name: "analyzeTrend",
      ...MODEL,
      fallback: [{ name: "rawComparison", run: rawComparison }],
    }),
  )
  .addNode("drawChart", resilient(drawChart, { name: "drawChart" }))
  .addNode(
    "compileReport",
    resilient(compileReport, {
      name: "compileReport",
      ...MODEL,
      fallback: [
        { name: "shorterSummary", run: shorterSummary },
        { name: "template", run: template },
      ],
    }),
  )
  .addNode(
    "sendReport",
    resilient(sendReport, {
      name: "sendReport",
      retry: { maxAttempts: 3, initialDelayMs: 500 },
      fallback: [{ name: "keepSavedReport", run: keepSavedReport, when: [...MAIL_FAILURES] }],
    }),
  )
  .addEdge(START, "extractFigures")
  .addEdge("extractFigures", "cleanFigures")
  .addEdge("cleanFigures", "analyzeTrend")
  .addEdge("analyzeTrend", "drawChart")
  .addEdge("drawChart", "compileReport")
  .addEdge("compileReport", "sendReport")
  .addEdge("sendReport", END);

installRecovery(builder);

export const graph = builder.compile({
  checkpointer: openPersistence(process.env.DATABASE_URL, { strict: true, retention: {} }).checkpointer,
});
keepCheckpointer(graph);
