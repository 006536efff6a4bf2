import { z } from "zod";
import { Figures } from "./figures.js";
import { Findings } from "./outliers.js";

/** What a caller gives. Whether the quarter exists is told by the first step, which knows the file. */
export const QuarterlyReportInput = z.object({
  fiscalYear: z.number().int().describe("Fiscal year, such as 2024"),
  fiscalQuarter: z.number().int().describe("1 to 4"),
  csv: z
    .string()
    .optional()
    .describe("Path of a CSV file with the columns of the bundled one; default: the bundled one"),
  company: z
    .string()
    .optional()
    .describe("Name for titles; default: Apple Inc. for the bundled file, else the file's name"),
  mailTo: z.string().optional().describe("Recipient, or several separated by commas; default: MAIL_TO"),
  outputDir: z.string().optional().describe("Folder that gets a folder per thread; default: reports"),
});

/** What the model is asked for; its numbers are checked against the figures. */
export const TrendAnalysis = z.object({
  headline: z.string().describe("One sentence for the head of the report"),
  direction: z
    .enum(["growing", "flat", "shrinking"])
    .describe("Net sales against the year-ago quarter; flat is within 1 %"),
  netSalesGrowthPercent: z
    .number()
    .nullable()
    .describe("Against the year-ago quarter, one decimal; null if that was 0"),
  servicesSharePercent: z.number().describe("Service sales as a share of net sales, one decimal"),
  grossMarginPercent: z.number().describe("Gross margin as a share of net sales, one decimal"),
  drivers: z.array(z.string()).describe("What moved the quarter, most important first, each with its figure"),
  risks: z.array(z.string()).describe("What a careful reader should watch"),
  notes: z.array(z.string()).describe("Limits of this analysis; may be empty"),
});
export type TrendAnalysis = z.infer<typeof TrendAnalysis>;

const Analysis = TrendAnalysis.extend({
  /** The model's name, or "raw comparison" when no model answered. */
  source: z.string(),
});
export type Analysis = z.infer<typeof Analysis>;

const Chart = z.object({ svgPath: z.string(), pngPath: z.string() });
export type Chart = z.infer<typeof Chart>;

const Report = z.object({
  markdownPath: z.string(),
  htmlPath: z.string(),
  writtenBy: z.enum(["model", "shorterSummary", "template"]),
  /** Absent when no model was asked. */
  model: z.string().optional(),
});
export type Report = z.infer<typeof Report>;

const Delivery = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("sent"),
    to: z.array(z.string()),
    refused: z.array(z.string()),
    messageId: z.string(),
    note: z.string(),
  }),
  z.object({ kind: z.literal("outbox"), path: z.string(), messageId: z.string(), note: z.string() }),
  z.object({ kind: z.literal("failed"), noticePath: z.string(), reason: z.string(), note: z.string() }),
]);
export type Delivery = z.infer<typeof Delivery>;

export const QuarterlyReportState = QuarterlyReportInput.extend({
  /** Absolute path of the thread's folder. */
  folder: z.string().optional(),
  figures: Figures.optional(),
  findings: Findings.optional(),
  analysis: Analysis.optional(),
  chart: Chart.optional(),
  report: Report.optional(),
  delivery: Delivery.optional(),
});
export type QuarterlyReport = z.infer<typeof QuarterlyReportState>;
export type Update = Partial<QuarterlyReport>;

/** A field an earlier step has written. */
export function present<K extends keyof QuarterlyReport>(
  state: QuarterlyReport,
  field: K,
): NonNullable<QuarterlyReport[K]> {
  const value = state[field];
  if (value === undefined || value === null)
    throw new TypeError(`The state has no "${field}": the step that writes it has not run`);
  return value;
}
