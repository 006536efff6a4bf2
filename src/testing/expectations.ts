/** What the cases expect, in words of node:assert, so that they run under any test runner. */
import assert from "node:assert/strict";
import { systemClock } from "../core/clock.js";

const pollEveryMs = 5;
const patienceMs = 10_000;

/** Deeply the same. A property that is undefined is as good as one that is not there. */
export function equals(actual: unknown, expected: unknown, what?: string): void {
  try {
    assert.deepStrictEqual(withoutUndefined(actual), withoutUndefined(expected));
  } catch (error) {
    if (what === undefined) throw error;
    const message = `${what}: ${(error as Error).message}`;
    throw new assert.AssertionError({ message, actual, expected, operator: "deepStrictEqual" });
  }
}

/** Has these fields; others do not matter. */
export function contains(actual: object | undefined, expected: object, what?: string): void {
  const fields = Object.keys(expected).map((key) => [key, (actual as Record<string, unknown> | undefined)?.[key]]);
  equals(actual === undefined ? undefined : Object.fromEntries(fields), expected, what);
}

export function isTrue(condition: boolean, what: string): void {
  assert.ok(condition, what);
}

/** @param expected the `code` of the error, and perhaps what its message names */
export async function rejects(
  promise: Promise<unknown>,
  expected: { readonly code: string; readonly naming?: string },
): Promise<void> {
  await assert.rejects(promise, (error: { code?: unknown; message?: unknown }) => {
    equals(error.code, expected.code, `the code of the error that says: ${String(error.message)}`);
    const { naming = "" } = expected;
    isTrue(String(error.message).includes(naming), `The message "${String(error.message)}" does not name ${naming}`);
    return true;
  });
}

/** Waits until it holds, for as long as a slow database may need. */
export async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  const untilMs = systemClock.now() + patienceMs;
  while (!(await holds())) {
    isTrue(systemClock.now() < untilMs, `After ${patienceMs} ms it still does not hold: ${what}`);
    await systemClock.sleep(pollEveryMs);
  }
}

/** Of objects as JSON makes them; what else there is stays as it is. */
function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const kept = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(kept.map(([key, field]) => [key, withoutUndefined(field)]));
}
