/** The end of commands that go on until they are told to stop. */
import { systemClock } from "../core/clock.js";

export interface StopRequest {
  /** Aborted by Ctrl-C, SIGTERM, or the end of the terminal. The same once more ends the process at once. */
  readonly signal: AbortSignal;
  dispose(): void;
}

export function stopRequest(): StopRequest {
  const stopped = new AbortController();
  const stop = () => stopped.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.once(signal, stop);
  return {
    signal: stopped.signal,
    dispose: () => {
      for (const signal of signals) process.off(signal, stop);
    },
  };
}

/** @returns whether the time is over; false: the signal was aborted first */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  // The only rejection is the end of the wait.
  return await systemClock.sleep(ms, signal).then(
    () => true,
    () => false,
  );
}
