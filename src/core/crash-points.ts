/**
 * Named places where a process may die: around every durable write and every effect. In production no handler is set
 * and a crash point is one comparison. A crash test arms a handler that ends the process at the nth passage.
 */
import type { LaterStores } from "./store-ports.js";

/** What is written, one name a store; "node" is the attempt itself, "effect" the call to the outside world. */
type Written =
  | "checkpoint.put"
  | "checkpoint.writes"
  | "thread.record"
  | "node.attempt"
  | "retention.prune"
  | `effect.${"call" | "probe" | "undo"}`
  | `${keyof LaterStores}.${string}`;

/** `<store>.<operation>.before` and `.after`. */
export type CrashPoint = `${Written}.${"before" | "after"}`;

let handler: ((point: CrashPoint) => void) | undefined;

export function crashPoint(point: CrashPoint): void {
  if (handler !== undefined) handler(point);
}

/** Sets or, with `undefined`, clears the handler that is called at each passage. For crash tests only. */
export function onCrashPoint(next: ((point: CrashPoint) => void) | undefined): void {
  handler = next;
}
