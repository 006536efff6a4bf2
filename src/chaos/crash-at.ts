import { type CrashPoint, onCrashPoint } from "../core/crash-points.js";

/**
 * Ends this process with SIGKILL at passage number `passage` (1 = the first) through any crash point: around every
 * durable write and every attempt. Nothing is flushed and no handler runs, as when a machine dies.
 */
export function crashAtPassage(passage: number): void {
  let passed = 0;
  onCrashPoint(() => {
    passed += 1;
    if (passed === passage) process.kill(process.pid, "SIGKILL");
  });
}

/** Calls `listener` with each crash point that is passed: how many there are to crash at, and which. */
export function traceCrashPoints(listener: (point: CrashPoint) => void): void {
  onCrashPoint(listener);
}
