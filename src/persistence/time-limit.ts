/** One time limit for any number of waits at once, at the price of one timer for all of them. */
import type { Clock } from "../core/clock.js";

interface BoundedWait {
  readonly begunAtTick: number;
  readonly onExpiry: () => void;
}

/** How exact a limit is, and for how long after the last wait its timer may hold up the end of the process. */
const longestTickMs = 250;

/**
 * Time is counted in ticks that the event loop has lived through, not read from a clock: a process that was paused, or
 * that computed for a minute, finds its timers due before it has read the answers that came meanwhile.
 */
export class TimeLimit {
  readonly limitMs: number;
  readonly #clock: Clock;
  readonly #tickMs: number;
  /** All have the same limit, so the one that began first is the first to expire. */
  readonly #waits = new Set<BoundedWait>();
  #tick = 0;
  #ticking = false;

  constructor(limitMs: number, clock: Clock) {
    this.limitMs = limitMs;
    this.#clock = clock;
    this.#tickMs = Math.min(longestTickMs, Math.ceil(limitMs / 10));
  }

  /** @param onExpiry called once when the limit has passed (and up to a tenth of it, at most 250 ms, more) */
  begin(onExpiry: () => void): BoundedWait {
    const wait = { begunAtTick: this.#tick, onExpiry };
    this.#waits.add(wait);
    if (!this.#ticking) this.#tickLater();
    return wait;
  }

  end(wait: BoundedWait): void {
    this.#waits.delete(wait);
  }

  #tickLater(): void {
    this.#ticking = true;
    this.#clock.after(this.#tickMs, () => {
      this.#ticking = false;
      this.#tick += 1;
      this.#expire();
      if (this.#waits.size > 0) this.#tickLater();
    });
  }

  #expire(): void {
    for (const wait of this.#waits) {
      // A wait may have begun just before a tick, so the first one does not count.
      if ((this.#tick - wait.begunAtTick - 1) * this.#tickMs < this.limitMs) return;
      this.#waits.delete(wait);
      wait.onExpiry();
    }
  }
}
