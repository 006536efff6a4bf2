/**
 * `npm start`: the quarterly-report graph on real figures, with failures on purpose. Also an example of running a graph
 * from a program of one's own instead of from the command line.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { styleText } from "node:util";
import { RunControl } from "@langchain/langgraph";
import { openPersistence, type RunResult, runThread, type ThreadUsage, threadUsage } from "langgraph-resilience";
import { consoleReporter } from "langgraph-resilience/observability";
import type { QuarterlyReport } from "./state.js";

const USAGE = `Usage: npm start -- [--calm]

Runs the quarterly-report graph for Apple Inc., fiscal 2024 Q3, on the embedded Postgres (or DATABASE_URL) and the bundled
offline model provider (or OpenAI, with OPENAI_API_KEY).

  --calm   the bundled provider makes no trouble; by default it misbehaves on a printed script
`;

// What lgr and the development server read by langgraph.json; a variable that is set already wins.
const dotEnv = fileURLToPath(new URL("../../.env", import.meta.url));
if (existsSync(dotEnv)) process.loadEnvFile(dotEnv);

const flags = process.argv.slice(2);
const color = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const bold = (text: string): string => (color ? styleText("bold", text) : text);
const say = (text = ""): void => {
  process.stdout.write(`${text}\n`);
};

if (flags.includes("--help") || flags.includes("-h")) {
  say(USAGE);
} else if (flags.some((flag) => flag !== "--calm")) {
  process.stderr.write(`npm start: unknown option ${flags.find((flag) => flag !== "--calm")}\n\n${USAGE}`);
  process.exitCode = 2;
} else {
  process.env.OFFLINE_PROVIDER = flags.includes("--calm") ? "calm" : "scripted";
  process.exitCode = await main().catch((error: unknown) => {
    process.stderr.write(`npm start: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  });
}

async function main(): Promise<number> {
  const { builder } = await import("./graph.js");
  const { describeFaults } = await import("./model.js");
  const persistence = openPersistence(process.env.DATABASE_URL, { strict: true, retention: {} });
  const threadId = `quarterly-report-${new Date().toISOString().slice(0, 19).replace(/:/g, "-")}`;
  try {
    say(bold(`Quarterly report, fiscal 2024 Q3, thread ${threadId}`));
    say(`Threads are kept in ${persistence.description}.`);
    for (const line of faultLines(describeFaults())) say(line);
    say();
    await persistence.ready();
    const graph = builder.compile({
      checkpointer: persistence.checkpointer,
      store: persistence.store,
      name: "quarterly-report",
    });
    const control = new RunControl();
    process.once("SIGINT", () => {
      say("Stopping after the step in flight; Ctrl-C once more leaves at once. Nothing is lost.");
      control.requestDrain("SIGINT");
    });
    const result = await runThread(
      graph,
      { fiscalYear: 2024, fiscalQuarter: 3 },
      { threadId, control, onEvent: consoleReporter({ write: say, color }) },
    );
    say();
    const spent = result.status === "succeeded" ? spentText(await threadUsage(graph, threadId)) : "";
    for (const line of resultLines(result, threadId, spent)) say(line);
    return { succeeded: 0, waiting_human: 3, paused: 3, failed: 1, aborted: 4, drained: 130 }[result.status];
  } finally {
    await persistence.close();
  }
}

function spentText({ useful, wasted, totalUsd }: ThreadUsage): string {
  const tokens = useful.totalTokens + wasted.totalTokens;
  const price = totalUsd === 0 ? "" : `, ${totalUsd.toFixed(4)} USD`;
  const failed =
    wasted.attempts === 0 ? "" : `; ${wasted.totalTokens} of them in ${wasted.attempts} attempts that failed`;
  return `${tokens} tokens${price}${failed}`;
}

function faultLines(faults: readonly string[]): string[] {
  if (process.env.OPENAI_API_KEY)
    return ["The model is OpenAI's (OPENAI_API_KEY is set); no failures are made on purpose."];
  if (faults.length === 0) return ["The model is the bundled offline provider, without trouble."];
  return [
    "The model is the bundled offline provider, which misbehaves on this script:",
    ...faults.map((fault) => `  ${fault}`),
  ];
}

function resultLines(result: RunResult, threadId: string, spent: string): string[] {
  const { report, chart, delivery, degradations } = result.values as QuarterlyReport & {
    degradations?: { node: string; answeredBy: string; category: string }[];
  };
  const next = [`Look back:  npx lgr history ${threadId}`];
  if (result.status !== "succeeded") {
    return [
      `The run ended as ${result.status}${result.error === undefined ? "" : `: ${result.error.message}`}`,
      `Go on with:  npx lgr resume ${threadId}`,
      ...next,
    ];
  }
  const mail =
    delivery?.kind === "sent"
      ? `sent to ${delivery.to.join(", ")}`
      : delivery?.kind === "outbox"
        ? `${delivery.path}\n            ${delivery.note}`
        : `not sent: ${delivery?.reason}`;
  return [
    bold("Results"),
    `  report    ${report?.markdownPath}`,
    `            ${report?.htmlPath}`,
    `            written by ${report?.writtenBy}`,
    `  chart     ${chart?.svgPath}`,
    `            ${chart?.pngPath}`,
    `  mail      ${mail}`,
    ...(degradations ?? []).map((one) => `  degraded  ${one.node} was answered by ${one.answeredBy} (${one.category})`),
    `  spent     ${spent}`,
    "",
    ...next,
  ];
}
