import { Cancellation, unlessAborted } from "../../core/abort.js";
import { beforeClose } from "../../core/before-close.js";
import { systemClock } from "../../core/clock.js";
import type { Persistence } from "../../core/ports.js";
import { asError, ConfigError } from "../../errors/own-errors.js";
import { type SweepOptions, type SweepReport, sweepOf, sweepOnce } from "./sweep.js";

export interface StartSweepOptions extends SweepOptions {
  /** Time between two sweeps; default 5,000 ms. A question that is asked in this process is looked at at once. */
  readonly everyMs?: number;
  /** Called after each sweep that did something. */
  readonly onSwept?: (report: SweepReport) => void;
}

export interface InboxSweep {
  /** Resolves when nothing of it is under way any more. Runs that it has begun end after the step in hand. */
  stop(): Promise<void>;
}

/**
 * Sweeps the inbox as long as the process lives, or until the persistence is closed. A sweep that fails is warned of, and
 * the next one comes all the same. It keeps the process alive.
 *
 * @throws ConfigError where the persistence has no inbox
 */
export function startInboxSweep(persistence: Persistence, options: StartSweepOptions = {}): InboxSweep {
  const { everyMs = 5000, onSwept, clock = systemClock, signal } = options;
  if (!(everyMs > 0))
    throw new ConfigError(`startInboxSweep(): option "everyMs" has to be more than 0, not ${String(everyMs)}`);
  const stopping = new Cancellation({ outer: signal });
  const sweep = sweepOf(persistence, { ...options, signal: stopping.signal }, "startInboxSweep()");
  let nap = new AbortController();
  const unsubscribe = persistence.events.subscribe(({ type }) => {
    if (type === "human.requested" || type === "inbox.swept") nap.abort();
  });
  const loop = async (): Promise<void> => {
    while (!stopping.aborted) {
      nap = new AbortController();
      try {
        const report = await sweepOnce(sweep);
        if (Object.values(report).some((number) => number > 0)) onSwept?.(report);
      } catch (thrown) {
        process.emitWarning(`A sweep of the inbox failed: ${asError(thrown).message}`, "InboxWarning");
      }
      await unlessAborted(
        clock.sleep(everyMs, nap.signal).catch(() => {}),
        stopping.signal,
      ).catch(() => {});
      nap.abort();
    }
    await Promise.all(sweep.expiring);
  };
  const running = loop().finally(unsubscribe);
  const stop = async (): Promise<void> => {
    stopping.abort(new Error("the sweep of the inbox was stopped"));
    await running;
    stopping.dispose();
  };
  beforeClose(persistence, stop);
  return { stop };
}
