import type { Clock } from "../../core/clock.js";

/** The time by this clock, save that it stands still while the clock is set back: no wait gets longer by that. */
export function steadyTime(clock: Clock): () => number {
  let steadyMs = clock.now();
  let lastMs = steadyMs;
  return () => {
    const nowMs = clock.now();
    if (nowMs > lastMs) steadyMs += nowMs - lastMs;
    lastMs = nowMs;
    return steadyMs;
  };
}
