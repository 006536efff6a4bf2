/** The command line on a project of three quick steps, each command in a process of its own. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createDatabase,
  createFolder,
  describeOnPostgres,
  embeddedAt,
  hasPostgres,
  type TestDatabase,
} from "../support/databases.js";
import { full, thorough } from "../support/depth.js";
import { runLgr, started, startLgr, TINY, untilPrinted } from "../support/run-lgr.js";

const folder = createFolder();
afterAll(() => folder.remove());

function commands(dbOf: () => string) {
  const base = () => ["--config", TINY, "--db", dbOf()];
  const lgr = (...parameters: string[]) => runLgr([...base(), ...parameters]);
  const run = (thread: string, input: object, ...more: string[]) =>
    lgr("--json", "run", "tiny", "--thread", thread, "--input", JSON.stringify({ text: "ab", ...input }), ...more);
  /** A run whose step "sign" waits until `go` is called. */
  const waiting = async (thread: string) => {
    const waitFor = join(folder.path, `${thread}-${encodeURIComponent(dbOf()).slice(0, 12)}`);
    const input = JSON.stringify({ text: "ab", waitFor });
    const child = startLgr([...base(), "--json", "run", "tiny", "--thread", thread, "--input", input]);
    const exit = once(child, "exit");
    await untilPrinted(child, /"type":"node.started"[^\n]*"sign"/);
    return { child, exit, go: () => writeFileSync(waitFor, "") };
  };
  return { base, lgr, run, waiting };
}

function story(dbOf: () => string): void {
  const { lgr, run, waiting } = commands(dbOf);

  it("lists a waiting thread, and refuses to start it a second time", async () => {
    expect((await run("one", {}, "--fail", "sign")).code).toBe(3);
    expect((await lgr("--json", "threads")).objects()).toMatchObject([
      { name: "one", graph: "tiny", status: "waiting_human" },
    ]);
    const again = await lgr("run", "tiny", "--thread", "one", "--input", '{"text":"x"}');
    expect(again.code).toBe(2);
    expect(again.stderr).toContain('Thread "one" exists already (waiting_human)');
  });

  it("refuses an answer that does not fit and keeps the question open", async () => {
    const refused = await lgr("resume", "one", "--action", "fallback", "--step", "poem");
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('expected "unsigned"');
    expect((await lgr("resume", "one")).code).toBe(3);
  });

  it("takes a fallback, and says afterwards that the thread has finished", async () => {
    const answered = await lgr("--json", "resume", "one", "--action", "fallback");
    expect(answered.objects().at(-1)).toMatchObject({
      status: "succeeded",
      values: { filed: "unsigned, filed", degradations: [{ node: "sign", answeredBy: "unsigned" }] },
    });
    expect((await lgr("resume", "one")).stdout).toContain("has finished already; nothing was run");
  });

  it("goes on after SIGKILL from the last checkpoint, without the steps that had succeeded", async () => {
    const { child, exit, go } = await waiting("killed");
    child.kill("SIGKILL");
    await exit;
    go();
    const resumed = await lgr("--json", "resume", "killed");
    expect(resumed.code).toBe(0);
    expect(started(resumed.objects())).toEqual(["sign", "file"]);
  });
}

/** What does not depend on the database: told on the quicker one that there is. */
function wholeStory(dbOf: () => string): void {
  const { base, lgr, run, waiting } = commands(dbOf);

  it.runIf(thorough)("takes a person's own result", async () => {
    await run("provided", {}, "--fail", "sign=bug");
    const provided = await lgr(
      "--json",
      "resume",
      "provided",
      "--action",
      "provide",
      "--result",
      '{"signed":"by hand"}',
    );
    expect(provided.objects().at(-1)).toMatchObject({ values: { filed: "by hand, filed" } });
  });

  it.runIf(thorough)("takes a changed state", async () => {
    await run("adjusted", {}, "--fail", "sign");
    const adjusted = await lgr(
      "--json",
      "resume",
      "adjusted",
      "--action",
      "adjust",
      "--state",
      '{"doubled":"changed"}',
    );
    expect(adjusted.objects().at(-1)).toMatchObject({
      values: { doubled: "changed", filed: "changed by nobody, filed" },
    });
  });

  it("takes an abort, and resumes the thread no more", async () => {
    await run("aborted", {}, "--fail", "sign");
    const aborted = await lgr("resume", "aborted", "--action", "abort", "--reason", "not needed", "--as", "ann");
    expect(aborted.code).toBe(4);
    expect(aborted.stdout).toContain('Run aborted at node "sign" by ann: not needed');
    expect((await lgr("resume", "aborted")).code).toBe(5);
  });

  it("answers an interrupt of the graph's own", async () => {
    expect((await run("asked", { ask: true })).code).toBe(3);
    const answered = await lgr("--json", "resume", "asked", "--answer", '"Ann"');
    expect(answered.objects().at(-1)).toMatchObject({ values: { filed: "abab by Ann, filed" } });
  });

  it("stops after the step in flight on the first Ctrl-C", async () => {
    const { child, exit, go } = await waiting("stopped");
    child.kill("SIGINT");
    await untilPrinted(child, /stopping after the step in flight/);
    go();
    expect((await exit)[0]).toBe(130);
    expect(started((await lgr("--json", "resume", "stopped")).objects())).toEqual(["file"]);
  });

  it("stops at once on the second Ctrl-C, and repeats the step it cut short", async () => {
    const { child, exit, go } = await waiting("cut-short");
    child.kill("SIGINT");
    await untilPrinted(child, /stopping after the step in flight/);
    child.kill("SIGINT");
    expect((await exit)[0]).toBe(130);
    go();
    expect(started((await lgr("--json", "resume", "cut-short")).objects())).toEqual(["sign", "file"]);
  });

  it("refuses a thread that another run has, or waits for it where it is told to", async () => {
    const { child, exit, go } = await waiting("busy");
    const refused = await lgr("--json", "resume", "busy");
    expect(refused.code).toBe(7);
    expect(refused.objects()).toMatchObject([{ type: "error", code: "THREAD_BUSY" }]);
    expect(refused.stderr).toContain(`in use by process ${child.pid} on host`);
    const patient = startLgr([...base(), "resume", "busy", "--wait", "60"]);
    const done = once(patient, "exit");
    await untilPrinted(patient, /in use by process \d+ on host .*; waiting up to 60 s/);
    go();
    expect([(await exit)[0], (await done)[0]]).toEqual([0, 0]);
  });

  it("goes on to the end of the run when its reader goes away", async () => {
    const { child, exit, go } = await waiting("unread");
    child.stdout?.destroy();
    go();
    expect((await exit)[0]).toBe(0);
    expect((await lgr("resume", "unread")).stdout).toContain("has finished already");
  });

  it("refuses bad input at once and retries nothing", async () => {
    const refused = await run("bad", { text: "" });
    expect(refused.code).toBe(2);
    expect(refused.objects().filter((event) => event.type === "attempt.failed")).toHaveLength(1);
    expect(refused.objects().at(-1)).toMatchObject({ error: { message: expect.stringContaining("text is empty") } });
  });

  it.runIf(thorough)("isolates a shared circuit by hand, lists it, and closes it", async () => {
    const breakers = (...parameters: string[]) => lgr("breakers", ...parameters);
    expect((await breakers()).stdout).toMatch(/No circuit breaker is stored/);
    expect((await breakers("openai", "--isolate")).stdout).toContain('Circuit "openai": not used yet → isolated');
    expect((await breakers()).stdout).toMatch(/openai\s+isolated\s+\d{4}-.*by hand/);
    const closed = await breakers("openai", "--close", "--json");
    expect(closed.objects()).toMatchObject([{ service: "openai", from: { kind: "isolated" }, to: { kind: "closed" } }]);
  });

  it("says what is missing for a thread that is not stored, and how to start it", async () => {
    for (const command of ["resume", "history"]) {
      const missing = await lgr(command, "never");
      expect(missing.code).toBe(5);
      expect(missing.stderr).toMatch(/Nothing is stored for thread "never".*lgr run/);
    }
  });
}

describe("lgr on the embedded Postgres", () => {
  const db = embeddedAt(join(folder.path, "data"));
  // What differs between the two databases is the folder's owner; the rest is told on the quicker one.
  if (full || !hasPostgres) story(() => db);
  if (!hasPostgres) wholeStory(() => db);

  it("tells a second process who owns the folder", async () => {
    const waitFor = join(folder.path, "owner");
    const parameters = ["--config", TINY, "--db", db];
    const input = JSON.stringify({ text: "ab", waitFor });
    const owner = startLgr([...parameters, "run", "tiny", "--thread", "owner", "--input", input]);
    const exit = once(owner, "exit");
    await untilPrinted(owner, /● sign/);
    const second = await runLgr([...parameters, "threads"]);
    expect(second.code).toBe(6);
    expect(second.stderr).toContain(`process ${owner.pid}`);
    writeFileSync(waitFor, "");
    expect((await exit)[0]).toBe(0);
  });
});

describeOnPostgres("lgr on PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());
  story(() => database.url);
  wholeStory(() => database.url);
});

describe("lgr, used wrongly", () => {
  const wrong: [string, string[], number, RegExp][] = [
    ["an unknown command", ["fly"], 2, /unknown command 'fly'/],
    ["an unknown graph", ["run", "nope"], 2, /no graph "nope".*tiny/],
    ["input that is not JSON", ["run", "tiny", "--input", "{year:1}"], 2, /--input is not JSON/],
    ["an input file that is not there", ["run", "tiny", "--input", "@nope.json"], 2, /cannot be read \(ENOENT\)/],
    ["an unknown category", ["run", "tiny", "--fail", "sign=b"], 2, /no category "b"/],
    [
      "a fault for an unknown node",
      ["run", "tiny", "--fail", "b"],
      2,
      /node "b"; nodes wrapped in resilient\(\) are: double, sign, file$/m,
    ],
    ["a breaker to open without its service", ["breakers", "--open"], 2, /say of which service/],
    ["two overrides at once", ["breakers", "x", "--open", "--close"], 2, /cannot be used with/],
    ["an unknown database", ["--db", "oracle://x", "threads"], 2, /oracle.*postgres/],
    [
      "a flag of another action",
      ["resume", "q3", "--action", "retry", "--step", "x"],
      2,
      /--step goes with --action fallback/,
    ],
    ["a database that is not there", ["--db", "postgres://u:secret@127.0.0.1:1/x", "threads"], 2, /127\.0\.0\.1:1/],
  ];

  it.each(full ? wrong : wrong.filter((_, index) => index % 2 === 0))("%s", async (_, parameters, code, message) => {
    const result = await runLgr(["--config", TINY, "--db", "memory:", ...parameters]);
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toContain("secret");
    expect(result.code).toBe(code);
  });

  it("a langgraph.json that is not there", async () => {
    const result = await runLgr(["--config", "nope.json", "threads"]);
    expect(result.stderr).toMatch(/nope.json was not found/);
    expect(result.code).toBe(2);
  });

  it("prints help and exit codes", async () => {
    const help = await runLgr(["--help"]);
    expect(help.code).toBe(0);
    expect(help.stdout).toContain("Exit codes:");
    const one = await runLgr(["resume", "--help"]);
    expect(one.code).toBe(0);
    expect(one.stdout).toMatch(/Usage: lgr resume[\s\S]*--action[\s\S]*Examples:/);
  });
});
