import { afterEach, expect, it, vi } from "vitest";
import { crashAtPassage, traceCrashPoints } from "../../../src/chaos/crash-at.js";
import { crashPoint, onCrashPoint } from "../../../src/core/crash-points.js";

afterEach(() => {
  onCrashPoint(undefined);
  vi.restoreAllMocks();
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
