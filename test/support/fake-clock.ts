import type { Clock } from "../../src/core/clock.js";

interface Wait {
  readonly dueAt: number;
  readonly resolve: () => void;
}

/** A clock that stands still until it is told to advance. Waits are inspectable and end at once on abort. */
export class FakeClock implements Clock {
  #now: number;
  readonly #waits = new Set<Wait>();
  readonly #alarms = new Set<Wait>();
  /** Every wait that was ever begun, in milliseconds, in order. */
  readonly begun: number[] = [];

  constructor(startAt = 1_700_000_000_000) {
    this.#now = startAt;
  }

  readonly now = (): number => this.#now;

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    this.begun.push(ms);
    return new Promise<void>((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const end = (settle: () => void) => () => {
        this.#waits.delete(wait);
        signal?.removeEventListener("abort", onAbort);
        settle();
      };
      const onAbort = end(() => reject(signal?.reason));
      const wait: Wait = { dueAt: this.#now + ms, resolve: end(resolve) };
      this.#waits.add(wait);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  };

  readonly after = (ms: number, alarm: () => void): (() => void) => {
    const wait: Wait = {
      dueAt: this.#now + ms,
      resolve: () => {
        this.#alarms.delete(wait);
        alarm();
      },
    };
    this.#alarms.add(wait);
    return () => this.#alarms.delete(wait);
  };

  /** Milliseconds until each alarm that is set, soonest first. */
  get alarms(): readonly number[] {
    return [...this.#alarms].map((alarm) => alarm.dueAt - this.#now).sort((a, b) => a - b);
  }

  /** Milliseconds that each wait under way still has to go, shortest first. */
  get pending(): readonly number[] {
    return [...this.#waits].map((wait) => wait.dueAt - this.#now).sort((a, b) => a - b);
  }

  /** Lets time pass: waits and alarms that fall due end in order, and what they set off runs before the next one ends. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await this.settle();
    for (;;) {
      const next = [...this.#waits, ...this.#alarms]
        .filter((wait) => wait.dueAt <= until)
        .sort((a, b) => a.dueAt - b.dueAt)[0];
      if (next === undefined) break;
      this.#now = Math.max(this.#now, next.dueAt);
      next.resolve();
      await this.settle();
    }
    this.#now = until;
    await this.settle();
  }

  /** Lets everything run that needs no time to pass. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}
