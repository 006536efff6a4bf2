/**
 * Time as a dependency: the only file that reads the system clock or sets a timer.
 * Every wait takes a signal and ends at once when it aborts.
 */

export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /**
   * Resolves after `ms` milliseconds.
   * @throws the signal's reason, at once, when it aborts
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A timer of Node counts milliseconds in 31 bits (24.8 days); one set to more ends at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise<void>((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const wait = (left: number): NodeJS.Timeout =>
        setTimeout(
          () => {
            if (left > MAX_TIMER_MS) {
              timer = wait(left - MAX_TIMER_MS);
              return;
            }
            signal?.removeEventListener("abort", onAbort);
            resolve();
          },
          Math.min(left, MAX_TIMER_MS),
        );
      let timer = wait(ms);
      signal?.addEventListener("abort", onAbort, { once: true });
    }),
};
