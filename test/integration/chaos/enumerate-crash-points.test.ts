/** The crash points of small processes: a sound one survives all of them, and a planted bug is found where it is. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError } from "langgraph-resilience";
import { type CrashPointResult, type CrashScenario, enumerateCrashPoints } from "langgraph-resilience/chaos";
import { expect, it } from "vitest";
import { createFolder } from "../../support/databases.js";
import { full } from "../../support/depth.js";
import { toRun } from "../../support/start-script.js";

const command = [process.execPath, ...toRun(new URL("send-mails.child.ts", import.meta.url))];
type Mails = Record<"ada" | "bob", string>;

function sendMails(fault = "none") {
  const worlds = { prepared: 0, closed: 0 };
  const scenario: CrashScenario<Mails> = {
    command,
    env: { FAULT: fault },
    prepare() {
      worlds.prepared += 1;
      const folder = createFolder();
      const mail = (to: string) => readFileSync(join(folder.path, `${to}.mail`), "utf8");
      return {
        env: { WORLD: folder.path },
        observe: () => ({ ada: mail("ada"), bob: mail("bob") }),
        close() {
          folder.remove();
          worlds.closed += 1;
        },
      };
    },
  };
  return { scenario, worlds };
}

/** A process that does one thing and passes no crash point. */
const runsCode = (code: string): CrashScenario<string> => ({
  command: [process.execPath, "-e", code],
  prepare: () => ({ observe: () => "" }),
});

const passages = Array.from({ length: 2 }, () => ["mail.send.before", "mail.send.after", "mail.noted"]).flat();
const broken = (points: readonly CrashPointResult[]) => points.filter(({ violations }) => violations.length > 0);

it("finds nothing where each crash leads to the same end, and crashes at every passage in a world of its own", async () => {
  const { scenario, worlds } = sendMails();
  const told: string[] = [];
  const report = await enumerateCrashPoints(scenario, {
    onPoint: ({ n, point }, { done, total }) => told.push(`${done}/${total}: ${n} ${point}`),
  });
  expect(report).toMatchObject({ passages, violations: [], undisturbed: { ada: "hello\n", bob: "hello\n" } });
  expect(report.points).toEqual(
    passages.map((point, index) => ({ n: index + 1, point, reached: true, violations: [] })),
  );
  expect(told).toEqual(passages.map((point, index) => `${index + 1}/6: ${index + 1} ${point}`));
  expect(worlds).toEqual({ prepared: 7, closed: 7 });
});

it("finds a mail that is sent again, at the passages between sending and noting it", async () => {
  const report = await enumerateCrashPoints(sendMails("sends again").scenario, {
    only: [1, 2, 4, 5],
    parallel: 2,
  });
  expect(report.violations).toEqual([
    String.raw`2 (mail.send.after): It led to { ada: 'hello\nhello\n', bob: 'hello\n' } instead of { ada: 'hello\n', bob: 'hello\n' }`,
    String.raw`5 (mail.send.after): It led to { ada: 'hello\n', bob: 'hello\nhello\n' } instead of { ada: 'hello\n', bob: 'hello\n' }`,
  ]);
  expect(report.points.map(({ n }) => n)).toEqual([1, 2, 4, 5]);
});

it("finds with a second crash what one crash does not show", async () => {
  const report = await enumerateCrashPoints(sendMails("takes over once").scenario, { only: [3], twice: 1_000 });
  const [single, ...twice] = report.points;
  expect(single).toEqual({ n: 3, point: "mail.noted", reached: true, violations: [] });
  expect(twice.map(({ n, second }) => [n, second?.n, second?.point])).toEqual([
    [3, 1, "repair.after"],
    [3, 2, "mail.send.before"],
    [3, 3, "mail.send.after"],
    [3, 4, "mail.noted"],
  ]);
  expect(broken(twice)).toHaveLength(4);
  expect(report.violations[0]).toMatch(/^3 \(mail\.noted\), then 1 \(repair\.after\): It led to .*repaired twice/);
});

it("asks the scenario's own invariants, and takes a failed assertion for an answer", async () => {
  const scenario: CrashScenario<Mails> = {
    ...sendMails("sends again").scenario,
    invariants(mails, undisturbed) {
      expect(mails.bob).toBe(undisturbed.bob);
      return mails.ada === undisturbed.ada ? [] : ["ada got another mail"];
    },
  };
  const { points } = await enumerateCrashPoints(scenario, { only: [2, 5] });
  expect(points[0]?.violations).toEqual(["ada got another mail"]);
  expect(points[1]?.violations[0]).toContain("to be 'hello\\n'");
});

it("says of work that does not come to its end what the last process said", async () => {
  const { scenario, worlds } = sendMails("cannot take over");
  const { points } = await enumerateCrashPoints(scenario, { only: [4], restarts: 2 });
  expect(points[0]?.violations).toEqual([
    expect.stringMatching(
      /^The work did not come to its end with 2 processes that took over: the last one ended with exit code 1; its last output: [\s\S]*what was begun cannot be gone on with/,
    ),
  ]);
  expect(worlds).toEqual({ prepared: 2, closed: 2 });
});

// The limit has to be long enough for the processes before it, however busy the machine is.
it.runIf(full)("kills a process that hangs when it takes over, and tries no further", async () => {
  const { points } = await enumerateCrashPoints(sendMails("hangs when it takes over").scenario, {
    only: [1],
    timeoutMs: 10_000,
  });
  expect(points[0]?.violations).toEqual([
    "The work did not come to its end with the process that took over: the last one was still at work after 10000 ms",
  ]);
});

it("says that a passage was not reached, and looks at what came of it all the same", async () => {
  const { points } = await enumerateCrashPoints(sendMails().scenario, { only: [7] });
  expect(points).toEqual([{ n: 7, point: "not reached", reached: false, violations: [] }]);
});

it.each([
  ["fails", "console.error('no database'); process.exit(3)", /ended with exit code 3; its last output: no database$/],
  ["hangs", "setInterval(() => {}, 1000)", /was still at work after 500 ms$/],
  ["passes no crash point", "0", /passed no crash point: it has to call armCrashPoints\(\) first/],
])("refuses a scenario whose undisturbed run %s", async (_, code, message) => {
  const enumerated = enumerateCrashPoints(runsCode(code), { timeoutMs: code.startsWith("setInterval") ? 500 : 20_000 });
  await expect(enumerated).rejects.toMatchObject({ code: "CRASH_SCENARIO", message: expect.stringMatching(message) });
});

it("refuses a program that cannot be started, and options that are none", async () => {
  const missing = { ...runsCode(""), command: [join(import.meta.dirname, "no-such-program")] };
  await expect(enumerateCrashPoints(missing)).rejects.toThrow(/no-such-program" cannot be started: .*ENOENT/);
  await expect(enumerateCrashPoints(runsCode("0"), { sample: 0 })).rejects.toThrow(ConfigError);
  await expect(enumerateCrashPoints({ ...runsCode("0"), command: [] })).rejects.toThrow(
    'enumerateCrashPoints: the scenario: option "command" is []: expected a program and its arguments',
  );
});

it("ends its processes and takes its worlds down when it is told to stop", async () => {
  const { scenario, worlds } = sendMails();
  const abort = new AbortController();
  const enumerated = enumerateCrashPoints(scenario, {
    parallel: 2,
    signal: abort.signal,
    onPoint: () => abort.abort(new Error("enough")),
  });
  await expect(enumerated).rejects.toThrow("enough");
  expect(worlds.closed).toBe(worlds.prepared);
  expect(worlds.prepared).toBeLessThan(7);
});
