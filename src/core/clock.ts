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
  /**
   * Calls `alarm` once after `ms` milliseconds; cheaper than a `sleep` that is mostly given up.
   * @param keepsAlive whether the process waits for it before it ends by itself; default true
   * @returns a function that calls it off
   */
  after(ms: number, alarm: () => void, keepsAlive?: boolean): () => void;
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
        cancel();
        reject(signal?.reason);
      };
      const cancel = after(ms, () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      signal?.addEventListener("abort", onAbort, { once: true });
    }),
  after,
};

function after(ms: number, alarm: () => void, keepsAlive = true): () => void {
  // A timer of Node may end a millisecond before the clock says that its time is over.
  const dueAt = performance.now() + ms;
  const wait = (): void => {
    const leftMs = dueAt - performance.now();
    if (leftMs <= 0) alarm();
    else timer = begin(leftMs);
  };
  const begin = (leftMs: number) => {
    const begun = setTimeout(wait, Math.min(Math.ceil(leftMs), MAX_TIMER_MS));
    return keepsAlive ? begun : begun.unref();
  };
  let timer = begin(ms);
  return () => clearTimeout(timer);
}
