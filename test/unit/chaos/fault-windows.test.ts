import { expect, it } from "vitest";
import { faultInWindow } from "../../../src/chaos/fault-windows.js";

const down = { kind: "status", status: 503 } as const;
const reset = { kind: "reset" } as const;

it("a window is open from its beginning to before its end", () => {
  const windows = [{ fromMs: 100, toMs: 200, fault: down }];
  const open = [99, 100, 199, 200, 1100].map((ms) => faultInWindow(windows, ms, "m") !== undefined);
  expect(open).toEqual([false, true, true, false, false]);
});

it("a window that repeats opens again at each interval from its beginning on", () => {
  const windows = [{ fromMs: 100, toMs: 130, everyMs: 1000, fault: down }];
  const open = [0, 100, 129, 130, 1099, 1100, 1129, 1130, 50_100].map(
    (ms) => faultInWindow(windows, ms, "m") !== undefined,
  );
  expect(open).toEqual([false, true, true, false, false, true, true, false, true]);
});

it("of several that are open for the model the first counts", () => {
  const windows = [
    { fromMs: 0, toMs: 10, fault: reset, model: "a" },
    { fromMs: 0, toMs: 20, fault: down },
  ];
  expect(faultInWindow(windows, 5, "a")).toBe(reset);
  expect(faultInWindow(windows, 5, "b")).toBe(down);
  expect(faultInWindow(windows, 15, "a")).toBe(down);
});
