/** What the README promises of the command line, each command in a process of its own. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase, createFolder, describeOnPostgres, type TestDatabase } from "../support/databases.js";
import { runLgr, startLgr, untilPrinted } from "../support/run-lgr.js";

const folder = createFolder();
afterAll(() => folder.remove());
const input = (extra: object = {}) =>
  JSON.stringify({ fiscalYear: 2024, fiscalQuarter: 3, outputDir: join(folder.path, "reports"), ...extra });

/** Names of the nodes that a `--json` run started. */
function started(events: readonly Record<string, unknown>[]): unknown[] {
  return events.filter((event) => event.type === "node.started").map((event) => event.node);
}

function wholeStory(dbOf: () => string): void {
  const lgr = (...parameters: string[]) => runLgr(["--db", dbOf(), ...parameters]);

  it("stops at a person when a step fails for good, and says what failed, what was tried and what may be done", async () => {
    const run = await lgr("run", "quarterly-report", "--thread", "q3", "--input", input(), "--fail", "compileReport");
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

  it("lists the thread as waiting, and refuses to start it a second time", async () => {
    const [thread] = (await lgr("--json", "threads")).objects();
    expect(thread).toMatchObject({ name: "q3", graph: "quarterly-report", status: "waiting_human" });
    const again = await lgr("run", "quarterly-report", "--thread", "q3", "--input", input());
    expect(again.code).toBe(2);
    expect(again.stderr).toContain('Thread "q3" exists already (waiting_human)');
  });

  it("refuses an answer that does not fit and keeps the question open", async () => {
    const refused = await lgr("resume", "q3", "--action", "fallback", "--step", "poem");
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('expected one of "shorterSummary"|"template"');
    expect((await lgr("resume", "q3")).code).toBe(3);
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
    expect((await lgr("resume", "q3")).stdout).toContain("has finished already; nothing was run");
  });

  it("goes on from an older checkpoint as a branch of its own, with that checkpoint's values", async () => {
    const history = (await lgr("--json", "history", "q3")).objects() as {
      id: string;
      parent?: string;
      next: string[];
      head: boolean;
    }[];
    const beforeReport = history.find((row) => row.next.includes("compileReport"));
    const branch = await lgr("--json", "resume", "q3", "--from", beforeReport?.id ?? "", "--fail", "compileReport");
    expect(branch.code).toBe(3);
    const asked = branch.objects().at(-1) as { values: Record<string, unknown> };
    expect(asked.values).toMatchObject({ fiscalQuarter: 3, chart: expect.anything() });
    expect(asked.values).not.toHaveProperty("report");
    const answered = await lgr("--json", "resume", "q3", "--action", "fallback", "--step", "template");
    expect(answered.code).toBe(0);
    const { values } = answered.objects().at(-1) as {
      values: { report: { writtenBy: string }; degradations: unknown[] };
    };
    expect(values.report.writtenBy).toBe("template");
    expect(values.degradations).toHaveLength(1);
    const after = (await lgr("--json", "history", "q3")).objects() as { id: string; parent?: string; head: boolean }[];
    expect(after.filter((row) => row.parent === beforeReport?.id).length).toBeGreaterThanOrEqual(2);
  });

  it("takes a person's own result, changed state, and abort", async () => {
    const stop = (thread: string) =>
      lgr("run", "quarterly-report", "--thread", thread, "--input", input(), "--fail", "drawChart=bug");
    expect((await stop("provided")).code).toBe(3);
    const provided = await lgr(
      "--json",
      "resume",
      "provided",
      "--action",
      "provide",
      "--result",
      '{"chart":{"svgPath":"by-hand.svg","pngPath":"by-hand.png"}}',
    );
    expect(started(provided.objects())).toContain("drawChart");
    expect(provided.objects().at(-1)).toMatchObject({ values: { chart: { svgPath: "by-hand.svg" } } });
    expect((await stop("adjusted")).code).toBe(3);
    const adjusted = await lgr(
      "--json",
      "resume",
      "adjusted",
      "--action",
      "adjust",
      "--state",
      '{"mailTo":"cfo@example.com"}',
    );
    expect(adjusted.objects().at(-1)).toMatchObject({ status: "succeeded", values: { mailTo: "cfo@example.com" } });
    expect((await stop("aborted")).code).toBe(3);
    const aborted = await lgr("resume", "aborted", "--action", "abort", "--reason", "not needed", "--as", "ann");
    expect(aborted.code).toBe(4);
    expect(aborted.stdout).toContain('Run aborted at node "drawChart" by ann: not needed');
    expect((await lgr("resume", "aborted")).code).toBe(5);
  });

  it("goes on after SIGKILL from the last checkpoint", async () => {
    const child = startLgr([
      "--db",
      dbOf(),
      "--json",
      "run",
      "quarterly-report",
      "--thread",
      "killed",
      "--input",
      input(),
    ]);
    await untilPrinted(child, /"node.started".*"cleanFigures"|"cleanFigures".*"node.started"/);
    child.kill("SIGKILL");
    await once(child, "exit");
    const resumed = await lgr("--json", "resume", "killed");
    expect(resumed.code).toBe(0);
    expect(started(resumed.objects())).not.toContain("extractFigures");
    expect(started(resumed.objects())).toContain("sendReport");
  });

  it("stops after the step in flight on Ctrl-C, and goes on afterwards", async () => {
    const child = startLgr([
      "--db",
      dbOf(),
      "--json",
      "run",
      "quarterly-report",
      "--thread",
      "stopped",
      "--input",
      input(),
    ]);
    await untilPrinted(child, /extractFigures/);
    child.kill("SIGINT");
    const [code] = await once(child, "exit");
    expect(code).toBe(130);
    expect((await lgr("resume", "stopped")).code).toBe(0);
  });

  it("refuses bad input at once, naming it", async () => {
    const refused = await lgr(
      "--json",
      "run",
      "quarterly-report",
      "--thread",
      "bad",
      "--input",
      input({ fiscalYear: 1999 }),
    );
    expect(refused.code).toBe(2);
    const events = refused.objects();
    expect(events.filter((event) => event.type === "attempt.failed")).toHaveLength(1);
    expect((events.at(-1) as { error: { message: string } }).error.message).toMatch(/1999/);
  });

  it("says what is missing for a thread that is not stored, and how to start it", async () => {
    const missing = await lgr("resume", "never");
    expect(missing.code).toBe(5);
    expect(missing.stderr).toContain('Nothing is stored for thread "never"');
    expect(missing.stderr).toContain("lgr run");
    expect((await lgr("history", "never")).code).toBe(5);
  });
}

describe("lgr on the embedded Postgres", () => {
  const db = `pglite:${join(folder.path, "data")}`;
  wholeStory(() => db);

  it("tells a second process who owns the folder", async () => {
    const owner = startLgr(["--db", db, "run", "quarterly-report", "--thread", "owner", "--input", input()]);
    const over = once(owner, "exit");
    await untilPrinted(owner, /started quarterly-report/);
    const second = await runLgr(["--db", db, "threads"]);
    expect(second.code).toBe(6);
    expect(second.stderr).toContain(`process ${owner.pid}`);
    expect((await over)[0]).toBe(0);
  });
});

describeOnPostgres("lgr on PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());
  wholeStory(() => database.url);
});

describe("lgr, used wrongly", () => {
  const wrong: [string, string[], number, RegExp][] = [
    ["an unknown command", ["fly"], 2, /unknown command 'fly'/],
    ["an unknown graph", ["--db", "memory:", "run", "nope"], 2, /no graph "nope".*quarterly-report/],
    [
      "input that is not JSON",
      ["--db", "memory:", "run", "quarterly-report", "--input", "{year:1}"],
      2,
      /--input is not JSON/,
    ],
    [
      "an input file that is not there",
      ["--db", "memory:", "run", "quarterly-report", "--input", "@nope.json"],
      2,
      /cannot be read \(ENOENT\)/,
    ],
    ["an unknown category", ["--db", "memory:", "run", "quarterly-report", "--fail", "a=b"], 2, /no category "b"/],
    ["an unknown database", ["--db", "oracle://x", "threads"], 2, /oracle.*postgres/],
    [
      "a flag that belongs to another action",
      ["resume", "q3", "--action", "retry", "--step", "x"],
      2,
      /--step goes with --action fallback/,
    ],
    ["a missing langgraph.json", ["--config", "nope.json", "threads"], 2, /nope.json was not found/],
    ["a database that is not there", ["--db", "postgres://u:secret@127.0.0.1:1/x", "threads"], 1, /127\.0\.0\.1:1/],
  ];

  it.each(wrong)("%s", async (_, parameters, code, message) => {
    const result = await runLgr(parameters);
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toContain("secret");
    expect(result.code).toBe(code);
  });

  it("prints help and exit codes", async () => {
    const help = await runLgr(["--help"]);
    expect(help.code).toBe(0);
    expect(help.stdout).toContain("Exit codes:");
    for (const command of ["run", "resume", "threads", "history", "dev"]) {
      const one = await runLgr([command, "--help"]);
      expect(one.stdout).toContain(`Usage: lgr ${command}`);
      expect(one.code).toBe(0);
    }
  });
});
