/**
 * How long the other side asks us to wait. Read from `retryAfterMs` on the error (LangChain core sets it), from the
 * headers `retry-after-ms` (OpenAI) and `Retry-After` (RFC 9110 section 10.2.3: seconds or an HTTP date), and last
 * from the words of the message: "try again in 6m0s" (OpenAI), "retry after 6 seconds" (Azure), "retry in 2.5s" (Google).
 */
import { field } from "./reading.js";

/** @returns milliseconds from `nowMs`, never negative; undefined when nothing usable is said */
export function parseRetryAfter(value: string, nowMs: number): number | undefined {
  const trimmed = value.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return usable(Math.ceil(Number(trimmed) * 1000));
  const date = Date.parse(trimmed);
  return Number.isNaN(date) || !/[a-z]/i.test(trimmed) ? undefined : Math.max(0, date - nowMs);
}

export function retryAfterMsOf(error: object, nowMs: number = wallClock()): number | undefined {
  const stated = usable(field(error, "retryAfterMs"));
  if (stated !== undefined) return stated;
  for (const headers of [
    field(error, "headers"),
    field(error, "responseHeaders"),
    field(field(error, "response"), "headers"),
  ]) {
    const milliseconds = usable(Number(header(headers, "retry-after-ms")?.trim() || Number.NaN));
    if (milliseconds !== undefined) return milliseconds;
    const after = header(headers, "retry-after");
    const parsed = after === undefined ? undefined : parseRetryAfter(after, nowMs);
    if (parsed !== undefined) return parsed;
  }
  return fromMessage(field(error, "message"));
}

function usable(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const AMOUNT = String.raw`\d{1,9}(?:\.\d{1,9})?\s?(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)(?![a-z])`;
const WAIT = new RegExp(String.raw`(?:try again|retry) (?:in|after) ((?:${AMOUNT}\s?){1,4})`, "i");
const PART = /(\d{1,9}(?:\.\d{1,9})?)\s?(ms|milli|[smh])/gi;

function fromMessage(message: unknown): number | undefined {
  const found = typeof message === "string" ? WAIT.exec(message)?.[1] : undefined;
  if (found === undefined) return undefined;
  let waitMs = 0;
  for (const [, amount, unit] of found.matchAll(PART)) {
    const short = unit?.toLowerCase() === "milli" ? "ms" : unit?.toLowerCase();
    waitMs += Number(amount) * UNIT_MS[short as keyof typeof UNIT_MS];
  }
  return usable(Math.ceil(waitMs));
}

function header(headers: unknown, name: string): string | undefined {
  if (typeof headers !== "object" || headers === null) return undefined;
  try {
    const get = (headers as { get?: unknown }).get;
    const value = typeof get === "function" ? get.call(headers, name) : plainHeader(headers, name);
    return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
  } catch {
    // What only looks like headers may throw.
    return undefined;
  }
}

function plainHeader(headers: object, name: string): unknown {
  const key = Object.keys(headers).find((candidate) => candidate.toLowerCase() === name);
  return key === undefined ? undefined : (headers as Record<string, unknown>)[key];
}

/** An HTTP date is absolute, so it is held against the wall clock even where policies run on a fake one. */
function wallClock(): number {
  return Date.now();
}
