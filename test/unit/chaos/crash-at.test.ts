import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { armCrashPoints, crashAtPassage, passCrashPoint, traceCrashPoints } from "../../../src/chaos/crash-at.js";
import { crashPoint, onCrashPoint } from "../../../src/core/crash-points.js";

const trace = join(tmpdir(), `lgr-trace-${process.pid}`);

afterEach(() => {
  onCrashPoint(undefined);
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(trace, { force: true });
});

it("kills this process with SIGKILL at the passage given, whichever points were passed, and only there", () => {
  const kill = vi.spyOn(process, "kill").mockReturnValue(true);
  crashAtPassage(3);
  crashPoint("node.attempt.before");
  crashPoint("checkpoint.put.before");
  expect(kill).not.toHaveBeenCalled();
  crashPoint("checkpoint.put.after");
  expect(kill.mock.calls).toEqual([[process.pid, "SIGKILL"]]);
  crashPoint("node.attempt.after");
  expect(kill).toHaveBeenCalledTimes(1);
});

it("tells of each point that is passed, in order", () => {
  const passed: string[] = [];
  traceCrashPoints((point) => passed.push(point));
  crashPoint("thread.record.before");
  crashPoint("thread.record.after");
  expect(passed).toEqual(["thread.record.before", "thread.record.after"]);
});

it("armed by the environment, writes down each point, a reader's own included, before it dies at the one given", () => {
  const atDeath: string[] = [];
  vi.spyOn(process, "kill").mockImplementation(() => {
    atDeath.push(readFileSync(trace, "utf8"));
    return true;
  });
  vi.stubEnv("LGR_CRASH_TRACE", trace);
  vi.stubEnv("LGR_CRASH_AT", "2");
  armCrashPoints();
  crashPoint("thread.record.before");
  expect(atDeath).toEqual([]);
  passCrashPoint("mail.sent");
  expect(atDeath).toEqual(["thread.record.before\nmail.sent\n"]);
  expect(process.kill).toHaveBeenCalledWith(process.pid, "SIGKILL");
});

it("without these variables does nothing, and refuses a passage there is not", () => {
  const kill = vi.spyOn(process, "kill").mockReturnValue(true);
  armCrashPoints();
  passCrashPoint("mail.sent");
  expect(kill).not.toHaveBeenCalled();
  vi.stubEnv("LGR_CRASH_AT", "0");
  expect(armCrashPoints).toThrow('LGR_CRASH_AT is "0": expected the number of a passage, from 1');
});
