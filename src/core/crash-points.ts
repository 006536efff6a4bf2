/**
 * Named places where a process may die: around every durable write and every effect. In production no handler is set
 * and a crash point is one comparison. A crash test arms a handler that ends the process at the nth passage.
 */

export type CrashPoint =
  | "checkpoint.put.before"
  | "checkpoint.put.after"
  | "checkpoint.writes.before"
  | "checkpoint.writes.after"
  | "thread.record.before"
  | "thread.record.after"
  | "node.attempt.before"
  | "node.attempt.after";

let handler: ((point: CrashPoint) => void) | undefined;

export function crashPoint(point: CrashPoint): void {
  if (handler !== undefined) handler(point);
}

/** Sets or, with `undefined`, clears the handler that is called at each passage. For crash tests only. */
export function onCrashPoint(next: ((point: CrashPoint) => void) | undefined): void {
  handler = next;
}
