import { afterEach, expect, it, vi } from "vitest";
import { systemClock } from "../../../src/core/clock.js";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it("an alarm goes off when the clock says that it is time, though the timer ends before", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const now = vi.spyOn(performance, "now").mockReturnValue(1000);
  const alarm = vi.fn();
  systemClock.after(10, alarm);
  now.mockReturnValue(1009.4);
  vi.advanceTimersByTime(10);
  expect(alarm).not.toHaveBeenCalled();
  now.mockReturnValue(1010);
  vi.advanceTimersByTime(1);
  expect(alarm).toHaveBeenCalledOnce();
});

it("an alarm that was called off while it waited for the rest does not go off", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const now = vi.spyOn(performance, "now").mockReturnValue(1000);
  const alarm = vi.fn();
  const callOff = systemClock.after(10, alarm);
  now.mockReturnValue(1009.4);
  vi.advanceTimersByTime(10);
  expect(vi.getTimerCount()).toBe(1);
  callOff();
  expect(vi.getTimerCount()).toBe(0);
  now.mockReturnValue(1020);
  vi.advanceTimersByTime(10);
  expect(alarm).not.toHaveBeenCalled();
});

it("no wait of a few milliseconds is too short by the clock", async () => {
  const begun = performance.now();
  const waits = Array.from({ length: 200 }, async (_, index) => {
    const ms = 1 + (index % 10);
    await systemClock.sleep(ms);
    return performance.now() - begun - ms;
  });
  expect(Math.min(...(await Promise.all(waits)))).toBeGreaterThanOrEqual(0);
});
