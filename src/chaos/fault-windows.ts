import { z } from "zod";
import { type Fault, FaultSchema } from "./faults.js";

/** A time during which every request meets the fault. Times are milliseconds since the provider started. */
export interface FaultWindow {
  /** Included. */
  readonly fromMs: number;
  /** Not included: from then on it is over. */
  readonly toMs: number;
  /** Repeats the window at this interval, counted from `fromMs`: a provider that flaps. Default: it comes once. */
  readonly everyMs?: number;
  readonly fault: Fault;
  /** Default: all models. */
  readonly model?: string;
}

const ms = z.number().min(0);

export const Windows = z.array(
  z
    .strictObject({
      fromMs: ms,
      toMs: ms,
      everyMs: ms.optional(),
      fault: FaultSchema,
      model: z.string().optional(),
    })
    .refine(({ fromMs, toMs }) => fromMs < toMs, { path: ["toMs"], error: "a window ends after it begins" })
    .refine(({ fromMs, toMs, everyMs }) => everyMs === undefined || everyMs > toMs - fromMs, {
      path: ["everyMs"],
      error: "a window that repeats is shorter than its interval",
    }),
);

export type CompiledWindow = z.output<typeof Windows>[number];

/** The fault of the first window that is open for this model. */
export function faultInWindow(windows: readonly CompiledWindow[], sinceStartMs: number, model: string) {
  return windows.find((window) => (window.model ?? model) === model && isOpen(window, sinceStartMs))?.fault;
}

function isOpen({ fromMs, toMs, everyMs }: CompiledWindow, sinceStartMs: number): boolean {
  const sinceFirst = sinceStartMs - fromMs;
  if (sinceFirst < 0) return false;
  return (everyMs === undefined ? sinceFirst : sinceFirst % everyMs) < toMs - fromMs;
}
