/**
 * LangGraph steers by throwing: interrupts, commands to a parent graph and drains are exceptions that carry
 * `is_bubble_up`. They are never failures, so every catch in this package starts with {@link rethrowControlFlow}.
 * Guarded by the flag and not by class, because two copies of LangGraph may be loaded at once.
 */
import { field } from "./reading.js";

export function isControlFlow(error: unknown): boolean {
  return typeof error === "object" && field(error, "is_bubble_up") === true;
}

/** @throws the error itself when it is LangGraph's control flow */
export function rethrowControlFlow(error: unknown): void {
  if (isControlFlow(error)) throw error;
}
