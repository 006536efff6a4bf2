import type { Clock } from "../core/clock.js";

/**
 * Measures the time in which at least one of several overlapping intervals is open, and splits it among them: while n
 * are open, each gets the n-th part of what passes. The parts add up to the whole, to the millisecond, whenever none is
 * open.
 */
export interface ActiveTime {
  /** @returns a function, to be called once, that ends the interval and says which part of the time fell to it, in ms */
  begin(): () => number;
  /** Milliseconds so far that have not fallen to an interval that has ended. */
  pendingMs(): number;
  readonly openIntervals: number;
}

export function createActiveTime(clock: Clock): ActiveTime {
  let open = 0;
  let lookedAtMs = 0;
  let pendingMs = 0;
  // What an interval would have got that has been open since none was: the part of an interval is how much this grew.
  let shareMs = 0;
  // Parts are handed out in whole milliseconds; what is left of them waits here for the next one.
  let remainderMs = 0;

  function look(): void {
    const nowMs = clock.now();
    // A clock that was set back has not made time go back.
    const passedMs = open === 0 ? 0 : Math.max(0, nowMs - lookedAtMs);
    pendingMs += passedMs;
    if (open > 0) shareMs += passedMs / open;
    lookedAtMs = nowMs;
  }

  function partOf(beganAtShareMs: number): number {
    if (open === 0) {
      const rest = pendingMs;
      shareMs = 0;
      remainderMs = 0;
      return rest;
    }
    const exact = shareMs - beganAtShareMs + remainderMs;
    const whole = Math.min(Math.floor(exact), pendingMs);
    remainderMs = exact - whole;
    return whole;
  }

  return {
    begin() {
      look();
      open += 1;
      const beganAtShareMs = shareMs;
      return () => {
        look();
        open -= 1;
        const part = partOf(beganAtShareMs);
        pendingMs -= part;
        return part;
      };
    },
    pendingMs() {
      look();
      return pendingMs;
    },
    get openIntervals() {
      return open;
    },
  };
}
