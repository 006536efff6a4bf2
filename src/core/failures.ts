/**
 * Facts about error objects that must not be written into them: users get their own errors back unchanged.
 */
import type { FailureRecord } from "./records.js";

/** By error and by where it was thrown: steps that wait for one thing fail with one and the same error object. */
const failures = new WeakMap<object, Map<string, FailureRecord>>();
const exhausted = new WeakMap<object, number>();
let marks = 0;

/** An error object that lives as long as the process keeps no more records than this. */
const MAX_RECORDS = 1000;

/** @param scope what tells apart the steps that may throw the same object: the task's checkpoint namespace */
export function recordFailure(error: object, failure: FailureRecord, scope: string): void {
  const records = failures.get(error) ?? new Map<string, FailureRecord>();
  records.delete(scope);
  records.set(scope, failure);
  const [oldest] = records.keys();
  if (records.size > MAX_RECORDS && oldest !== undefined) records.delete(oldest);
  failures.set(error, records);
}

/** The record made in this scope, once: whoever acts on it takes it. */
export function takeFailure(error: object, scope: string): FailureRecord | undefined {
  const records = failures.get(error);
  const found = records?.get(scope);
  records?.delete(scope);
  return found;
}

/** The record of the step that ended in this error, if a decorator made one. Instances only: it dies with the process. */
export function failureOf(error: unknown): FailureRecord | undefined {
  return typeof error === "object" && error !== null ? [...(failures.get(error)?.values() ?? [])].at(-1) : undefined;
}

/** How many marks were made so far: what tells those of one call from those of the calls before it. */
export function exhaustedMarks(): number {
  return marks;
}

/** Marks an error that a policy has given up on, so that no outer policy tries the same call again. */
export function markExhausted(error: object): void {
  marks += 1;
  exhausted.set(error, marks);
}

/**
 * Whether a policy has given up on this error, or on one beneath it. Several may wait for one and the same failure.
 *
 * @param since marks that were there before count for nothing: an error object may be thrown by many calls
 */
export function isExhausted(error: unknown, since = 0): boolean {
  const links = [error];
  for (let at = 0; at < links.length && at < 16; at += 1) {
    const link = links[at];
    if (typeof link !== "object" || link === null) continue;
    if ((exhausted.get(link) ?? 0) > since) return true;
    const { cause, errors } = link as { cause?: unknown; errors?: unknown };
    links.push(cause, ...(Array.isArray(errors) ? errors : []));
  }
  return false;
}
