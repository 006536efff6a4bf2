/** The main job as the README promises it, each command in a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createDatabase,
  createFolder,
  describeThoroughlyOnPostgres,
  embeddedAt,
  hasPostgres,
  type TestDatabase,
} from "../support/databases.js";
import { thorough } from "../support/depth.js";
import { CLONE, cleanEnvironment, runLgr, started } from "../support/run-lgr.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = createFolder();
afterAll(() => folder.remove());
const input = JSON.stringify({ fiscalYear: 2024, fiscalQuarter: 3, outputDir: join(folder.path, "reports") });
/** Of `npm start` and of `lgr`, as in a clone. */
const embedded = embeddedAt(join(folder.path, "data"));

describe("npm start", () => {
  const start = async (...flags: string[]) => {
    const child = spawn("npm", ["start", "--silent", "--", ...flags], {
      cwd: root,
      env: cleanEnvironment({ DATABASE_URL: embedded }),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
    return { stdout, code };
  };

  it("gets through a 429, an answer that fits no schema, two 503 and a cut stream, and shows it", async () => {
    const { stdout, code } = await start();
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /analyzeTrend attempt 1 failed: rate_limit \(429, asked to wait 1.0 s\).*trying again in 1.0 s/,
    );
    expect(stdout).toMatch(/analyzeTrend attempt 2 failed: malformed_output/);
    expect(stdout).toMatch(/compileReport attempt 1 failed: server_error \(503\)/);
    expect(stdout).toMatch(/compileReport attempt 2 failed: malformed_output: .*cut/);
    expect(stdout).toContain("compileReport was answered by shorterSummary");
    expect(stdout).toMatch(/■ checkpoint [0-9a-f-]{36}/);
    const files = [...stdout.matchAll(/(\/\S+\.(?:md|html|svg|png|eml))/g)].map(([, path]) => path ?? "");
    expect(files).toHaveLength(5);
    for (const file of files) expect(existsSync(file), file).toBe(true);
    const of = (ending: string) => readFileSync(files.find((file) => file.endsWith(ending)) ?? "");
    expect(of(".md").toString()).toMatch(/shorter summary[\s\S]*85,777/);
    expect(of(".html").toString()).toContain("<table>");
    expect(of(".svg").toString()).toContain("Net sales, US$ billions");
    expect(of(".png").subarray(1, 4).toString()).toBe("PNG");
    expect(of(".eml").toString()).toMatch(/Not sent: SMTP_URL is not set/);
  });

  it.runIf(thorough)("runs without trouble with --calm", async () => {
    const { stdout, code } = await start("--calm");
    expect(code).toBe(0);
    expect(stdout).not.toContain("failed");
    expect(stdout).toContain("written by model");
  });

  it("refuses a flag it does not know", async () => {
    expect((await start("--fast")).code).toBe(2);
  });
});

function story(lgr: (...parameters: string[]) => ReturnType<typeof runLgr>): void {
  it("stops at a person when a step fails for good, and says what failed, what was tried and what may be done", async () => {
    const run = await lgr("run", "quarterly-report", "--thread", "q3", "--input", input, "--fail", "compileReport");
    expect(run.stderr).toBe("");
    expect(run.code).toBe(3);
    expect(run.stdout).toMatch(/compileReport attempt 1 failed: server_error: .*; trying again in \d+ ms/);
    expect(run.stdout).toContain("compileReport falls back to shorterSummary because of server_error");
    expect(run.stdout).toContain(
      'Node "compileReport" failed after 3 attempts and the fallbacks shorterSummary, template',
    );
    for (const action of ["retry", "adjust", "fallback", "provide", "abort"]) {
      expect(run.stdout).toContain(`lgr resume q3 --action ${action}`);
    }
  });

  it("finishes in a new process on retry, without repeating the steps that had succeeded", async () => {
    const resumed = await lgr("--json", "resume", "q3", "--action", "retry", "--as", "ann");
    expect(resumed.code).toBe(0);
    const events = resumed.objects();
    expect(started(events)).toEqual(["compileReport", "sendReport"]);
    expect(events.find((event) => event.type === "human.decided")).toMatchObject({ action: "retry", by: "ann" });
    const result = events.at(-1) as { values: { report: { markdownPath: string; writtenBy: string } } };
    expect(result.values.report.writtenBy).toBe("model");
    expect(readFileSync(result.values.report.markdownPath, "utf8")).toContain("85,777");
  });
}

/** Told on the quicker database that there is. */
function branches(lgr: (...parameters: string[]) => ReturnType<typeof runLgr>): void {
  it("goes on from an older checkpoint as a branch of its own, with that checkpoint's values", async () => {
    type Row = { id: string; parent?: string; next: string[] };
    const rows = (await lgr("--json", "history", "q3")).objects() as unknown as Row[];
    const from = rows.find((row) => row.next.includes("compileReport"))?.id ?? "";
    const branch = await lgr("--json", "resume", "q3", "--from", from, "--fail", "compileReport");
    expect(branch.code).toBe(3);
    const asked = branch.objects().at(-1) as { values: Record<string, unknown> };
    expect(asked.values).toMatchObject({ fiscalQuarter: 3, chart: expect.anything() });
    expect(asked.values).not.toHaveProperty("report");
    const answered = await lgr("--json", "resume", "q3", "--action", "retry");
    expect(answered.code).toBe(0);
    expect(answered.objects().at(-1)).toMatchObject({ values: { report: { writtenBy: "model" } } });
    const after = (await lgr("--json", "history", "q3")).objects() as unknown as Row[];
    expect(after.filter((row) => row.parent === from)).toHaveLength(2);
  });
}

describe("lgr run quarterly-report on the embedded Postgres", () => {
  // In a clone, as the README says it.
  const lgr = (...parameters: string[]) => runLgr(["--db", embedded, ...parameters], CLONE);
  story(lgr);

  if (!hasPostgres) branches(lgr);

  it("refuses bad input at once, naming it", async () => {
    const refused = await runLgr([
      "--db",
      embedded,
      "--json",
      "run",
      "quarterly-report",
      "--input",
      input.replace("2024", "1999"),
    ]);
    expect(refused.code).toBe(2);
    const events = refused.objects();
    expect(events.filter((event) => event.type === "attempt.failed")).toHaveLength(1);
    expect((events.at(-1) as { error: { message: string } }).error.message).toMatch(/no fiscal 1999 Q3|1999 Q3/);
  });
});

describeThoroughlyOnPostgres("lgr run quarterly-report on PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());
  const lgr = (...parameters: string[]) => runLgr(["--db", database.url, ...parameters]);
  story(lgr);
  branches(lgr);
});
