/** The whole graph as users run it, on MemorySaver, the bundled provider over HTTP and a mail server on loopback. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemorySaver } from "@langchain/langgraph";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { ResilienceEvent } from "../../../src/core/events.js";
import { parseMail, startMailServer } from "./mail-server.js";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quarterly-report-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => {
  for (const name of ["OPENAI_API_KEY", "OPENAI_BASE_URL", "SMTP_URL", "MAIL_TO", "MAIL_FROM", "OFFLINE_PROVIDER"])
    vi.stubEnv(name, undefined);
  // the module opens what Studio stores its threads in
  vi.stubEnv("DATABASE_URL", "memory:");
});
afterEach(() => vi.unstubAllEnvs());

interface Values {
  readonly figures: { current: { netSales: number }; company: string };
  readonly analysis: { direction: string; notes: string[]; source: string };
  readonly chart: { svgPath: string; pngPath: string };
  readonly report: { markdownPath: string; htmlPath: string; writtenBy: string; model?: string };
  readonly delivery:
    | { kind: "sent"; to: string[]; refused: string[]; messageId: string; note: string }
    | { kind: "outbox"; path: string; messageId: string; note: string }
    | { kind: "failed"; noticePath: string; reason: string; note: string };
  readonly degradations?: { node: string; answeredBy: string; category: string }[];
}

/** A run of a builder loaded afresh, as a process of its own has it: the provider keeps its script for its lifetime. */
async function loaded() {
  vi.resetModules();
  const { builder } = await import("../../../graphs/quarterly-report/graph.js");
  const { runThread, resumeThread } = await import("../../../src/index.js");
  return { builder, runThread, resumeThread };
}
let calm: Awaited<ReturnType<typeof loaded>> | undefined;

async function run(
  input: object = {},
  { builder, runThread }: Awaited<ReturnType<typeof loaded>>,
  threadId: string = randomUUID(),
) {
  const events: ResilienceEvent[] = [];
  const graph = builder.compile({ checkpointer: new MemorySaver(), name: "quarterly-report" });
  const result = await runThread(graph, { fiscalYear: 2024, fiscalQuarter: 3, outputDir: folder, ...input } as never, {
    threadId,
    onEvent: (event) => void events.push(event),
  });
  const failed = events.flatMap((event) => (event.type === "attempt.failed" ? [event] : []));
  return {
    result,
    values: result.values as unknown as Values,
    events,
    failures: failed.map(
      (event) =>
        `${event.node}${event.step === undefined ? "" : `/${event.step}`} ${event.attempt}: ${event.report.category}${event.report.status === undefined ? "" : ` ${event.report.status}`}`,
    ),
    failed,
  };
}

/** On the calm provider. */
async function runCalmly(input?: object, threadId?: string) {
  calm ??= await loaded();
  return await run(input, calm, threadId);
}

describe("under OFFLINE_PROVIDER=scripted", () => {
  it("succeeds through exactly the failures of the script, in their order", async () => {
    vi.stubEnv("OFFLINE_PROVIDER", "scripted");
    const { result, values, events, failures, failed } = await run({}, await loaded());
    expect(result.status).toBe("succeeded");
    expect(failures).toEqual([
      "analyzeTrend 1: rate_limit 429",
      "analyzeTrend 2: malformed_output",
      "compileReport 1: server_error 503",
      "compileReport 2: malformed_output",
      "compileReport 3: server_error 503",
    ]);
    expect(failed[0]).toMatchObject({ report: { retryAfterMs: 1000 } });
    expect(failed[0]?.delayMs).toBeGreaterThanOrEqual(1000);
    expect(failed[1]?.report.message).toContain("does not fit its schema");
    expect(failed[3]?.report.message).toContain("without a finish_reason");
    expect(events.filter((event) => event.type === "fallback.started")).toMatchObject([
      { node: "compileReport", step: "shorterSummary" },
    ]);
    // the third answer to the analysis was asked for with what was wrong with the second
    expect(values.analysis.notes.at(-1)).toMatch(
      /^Second answer; the one before was refused: The trend_analysis does not fit its schema/,
    );
    expect(values.report.writtenBy).toBe("shorterSummary");
    expect(values.degradations).toMatchObject([
      { node: "compileReport", answeredBy: "shorterSummary", category: "server_error" },
    ]);
    expect(await readFile(values.report.markdownPath, "utf8")).toContain(
      "> Degraded: a shorter summary, written by the model offline-analyst because the full report failed:",
    );
  });
});

describe("under the calm provider", () => {
  it("succeeds without a failure, and the report, the chart and the mail are there and of the figures", async () => {
    vi.stubEnv("OFFLINE_PROVIDER", "calm");
    const { result, values, failures, events } = await runCalmly({}, "calm-run");
    expect(result.status).toBe("succeeded");
    expect(failures).toEqual([]);
    expect(events.flatMap((event) => (event.type === "node.succeeded" ? [event.node] : []))).toEqual([
      "extractFigures",
      "cleanFigures",
      "analyzeTrend",
      "drawChart",
      "compileReport",
      "sendReport",
    ]);
    expect(values.degradations ?? []).toEqual([]);
    expect(values.report).toMatchObject({ writtenBy: "model", model: "offline-analyst" });
    const files = await readdir(join(folder, "calm-run"), { recursive: true });
    expect(files.sort()).toEqual([
      "2024-Q3-chart.png",
      "2024-Q3-chart.svg",
      "2024-Q3-report.html",
      "2024-Q3-report.md",
      "outbox",
      "outbox/2024-Q3-report.eml",
    ]);
    const markdown = await readFile(values.report.markdownPath, "utf8");
    expect(markdown).toContain("| **Net sales** | 85,777 | 81,797 | +4.9 % | 90,753 | -5.5 % |");
    expect(markdown).toContain("no language model was asked");
    expect(await readFile(values.report.htmlPath, "utf8")).toContain('src="data:image/svg+xml;base64,');
    expect(await readFile(values.chart.svgPath, "utf8")).toMatch(/^<svg /);
  });

  it("leaves the mail in the outbox without SMTP_URL, as a file that says so", async () => {
    const { values } = await runCalmly({ mailTo: "cfo@example.com" });
    const { delivery } = values;
    if (delivery.kind !== "outbox") return expect.fail(`was ${delivery.kind}`);
    expect(delivery.note).toContain("SMTP_URL is not set");
    const { headers, body } = parseMail(await readFile(delivery.path, "utf8"));
    expect(headers).toMatchObject({
      "x-outbox-note": "Not sent: SMTP_URL is not set",
      "x-unsent": "1",
      to: "cfo@example.com",
      "message-id": delivery.messageId,
    });
    expect(body).toMatch(/^Content-Type: image\/png; name=chart\.png$/m);
  });

  it("works on a CSV file of one's own, with its name for the company", async () => {
    const path = join(folder, "own.csv");
    const header =
      "fiscal_year,fiscal_quarter,period_end,product_sales,service_sales,net_sales,product_cost,service_cost,cost_of_sales,gross_margin";
    const rows = [
      "2022,3,2022-06-30,80,20,100,50,5,55,45",
      "2022,4,2022-09-30,90,20,110,55,5,60,50",
      "2023,1,2022-12-31,95,25,120,60,5,65,55",
      "2023,2,2023-03-31,85,25,110,50,6,56,54",
      "2023,3,2023-06-30,60,20,80,40,6,46,34",
    ];
    await writeFile(path, [header, ...rows].join("\n"));
    const { result, values, failures } = await runCalmly({ fiscalYear: 2023, csv: path });
    expect(result.status).toBe("succeeded");
    expect(failures).toEqual([]);
    expect(values.figures).toMatchObject({ company: "own.csv", current: { netSales: 80 } });
    expect(values.analysis.direction).toBe("shrinking");
    const markdown = await readFile(values.report.markdownPath, "utf8");
    expect(markdown).toContain("# own.csv: fiscal 2023 Q3 report");
    expect(markdown).toContain("| **Net sales** | 80 | 100 | -20.0 % | 110 | -27.3 % |");
    expect(markdown).toContain("Outliers were not looked for");
  });

  it.each([
    ["a quarter it does not hold", { fiscalYear: 1999 }, /There is no 1999 Q3/],
    [
      "a fifth quarter, which is not the first of the next year",
      { fiscalYear: 2023, fiscalQuarter: 5 },
      /fiscalQuarter: 5 is not 1, 2, 3 or 4/,
    ],
    ["a recipient that is no address", { mailTo: "cfo" }, /mailTo: "cfo" is not a mail address/],
  ])("refuses %s at once, after one attempt", async (_what, input, message) => {
    const { result, failures } = await runCalmly(input);
    expect(result.status).toBe("failed");
    expect(result.error?.message).toMatch(message);
    expect(failures).toEqual(["extractFigures 1: invalid_input"]);
  });

  it.each(["mail.example.com:587", "not a url", "smtp:", "http://mail.example.com"])(
    "refuses SMTP_URL=%s before any work, for it would go to this machine",
    async (url) => {
      vi.stubEnv("SMTP_URL", url);
      const { result, failures } = await runCalmly({ mailTo: "cfo@example.com" });
      expect(result.error?.message).toContain(
        "SMTP_URL is not an address like smtp://user:password@mail.example.com:587",
      );
      expect(failures).toEqual(["extractFigures 1: invalid_input"]);
    },
  );
});

describe("the mail", () => {
  const mailTo = "cfo@example.com, board@example.com";
  const mailed = async (refusals: Parameters<typeof startMailServer>[0], threadId?: string) => {
    const server = await startMailServer(refusals);
    vi.stubEnv("SMTP_URL", server.url);
    return { server, ...(await runCalmly({ mailTo }, threadId)) };
  };

  it("is sent with the report, the chart and a Message-ID that a repeat of the step sends again", async () => {
    vi.stubEnv("MAIL_FROM", "");
    const { server, values, result } = await mailed({}, "mailed");
    expect(result.status).toBe("succeeded");
    const { delivery } = values;
    if (delivery.kind !== "sent") return expect.fail(`was ${delivery.kind}`);
    expect(delivery).toMatchObject({ to: ["cfo@example.com", "board@example.com"], refused: [] });
    expect(delivery.messageId).toMatch(/^<[0-9a-f]{40}@quarterly-report\.langgraph-resilience>$/);
    expect(server.received).toHaveLength(1);
    const { to, headers, body = "" } = server.received[0] ?? {};
    expect(to).toEqual(["cfo@example.com", "board@example.com"]);
    expect(headers).toMatchObject({
      "message-id": delivery.messageId,
      subject: "Apple Inc.: fiscal 2024 Q3 report",
      from: "quarterly-report@localhost",
      to: "cfo@example.com, board@example.com",
    });
    // not the whole mail in the message of a failure
    expect(body.match(/^Content-ID: .*$/im)?.[0]).toMatch(/<chart@quarterly-report>$/);
    expect(body.match(/src=3D"cid:[^"]*"/)?.[0]).toBe('src=3D"cid:chart@quarterly-report"');

    const { sendReport } = await import("../../../graphs/quarterly-report/steps/send-report.js");
    const config = (thread_name: string) => ({ configurable: { thread_name } });
    await sendReport(values as never, config("mailed"));
    await sendReport(values as never, config("another thread"));
    const ids = server.received.map((sent) => sent.headers["message-id"]);
    expect(ids.slice(0, 2)).toEqual([delivery.messageId, delivery.messageId]);
    expect(ids[2]).not.toBe(delivery.messageId);
  });

  it("goes to those the server takes, and names those it refuses", async () => {
    const { values, server, failures } = await mailed({
      recipient: (address) => (address.startsWith("board") ? 550 : undefined),
    });
    expect(failures).toEqual([]);
    expect(server.received).toMatchObject([{ to: ["cfo@example.com"] }]);
    expect(values.delivery).toMatchObject({
      kind: "sent",
      to: ["cfo@example.com"],
      refused: ["board@example.com"],
      note: expect.stringContaining("The server refused board@example.com."),
    });
  });

  it("is tried again after a transient reply", async () => {
    const { values, failures, server } = await mailed({ mail: [451] });
    expect(failures).toEqual(["sendReport 1: server_error"]);
    expect(values.delivery.kind).toBe("sent");
    expect(values.degradations ?? []).toEqual([]);
    expect(server.received).toHaveLength(1);
  });

  it.each([
    ["every recipient", { recipient: () => 550 }, "invalid_input"],
    ["the mail itself", { mail: [554] }, "invalid_input"],
    ["the login", { login: true }, "auth"],
  ] as const)(
    "refused for good (%s) keeps the report, writes a notice and says so",
    async (_what, refusals, category) => {
      const { result, values, failures, server } = await mailed(refusals);
      expect(result.status).toBe("succeeded");
      expect(failures).toEqual([`sendReport 1: ${category}`]);
      expect(server.received).toEqual([]);
      const { delivery } = values;
      if (delivery.kind !== "failed") return expect.fail(`was ${delivery.kind}`);
      expect(delivery.reason).toMatch(new RegExp(`^${category}: `));
      expect(delivery.note).toContain("saved, but it was not mailed to cfo@example.com, board@example.com");
      const notice = await readFile(delivery.noticePath, "utf8");
      expect(delivery.noticePath).toMatch(/2024-Q3-MAIL-NOT-SENT\.txt$/);
      for (const part of [delivery.reason, values.report.htmlPath, values.report.markdownPath])
        expect(notice).toContain(part);
      expect(notice).not.toContain("secret");
      expect(existsSync(values.report.markdownPath)).toBe(true);
      expect(values.degradations).toMatchObject([{ node: "sendReport", answeredBy: "keepSavedReport", category }]);
    },
  );

  it("is taken back when the run is told to stop: the connection to a silent server ends at once", async () => {
    const server = await startMailServer({ silent: true });
    const { sendBySmtp } = await import("../../../graphs/quarterly-report/mail.js");
    const abort = new AbortController();
    const sending = sendBySmtp(
      server.url,
      { from: "a@example.com", to: "b@example.com", text: "x" },
      abort.signal,
    ).catch((error: unknown) => error);
    await vi.waitFor(() => expect(server.offered()).toBe(1));
    const reason = new Error("enough");
    abort.abort(reason);
    expect(await sending).toBe(reason);
    await vi.waitFor(() => expect(server.closed()).toBe(1), { timeout: 1000 });
  });
});
