/**
 * How long the other side asks us to wait. Read from `retryAfterMs` on the error (LangChain core sets it), from the
 * headers `retry-after-ms` (OpenAI) and `Retry-After` (RFC 9110 section 10.2.3: seconds or an HTTP date), and last
 * from the words "try again in 2.5s" that OpenAI puts into the message.
 */

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
    const milliseconds = usable(Number(header(headers, "retry-after-ms") ?? Number.NaN));
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

function field(of: unknown, key: string): unknown {
  try {
    return (of as Record<string, unknown> | null | undefined)?.[key];
  } catch {
    // A getter that throws asks for nothing.
    return undefined;
  }
}

function fromMessage(message: unknown): number | undefined {
  const found = typeof message === "string" ? /try again in (\d+(?:\.\d+)?)\s*(ms|s|m)\b/i.exec(message) : null;
  if (found === null) return undefined;
  const unit = { ms: 1, s: 1000, m: 60_000 }[found[2]?.toLowerCase() as "ms" | "s" | "m"];
  return usable(Math.ceil(Number(found[1]) * unit));
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
