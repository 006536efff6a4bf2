import { Cancellation, unlessAborted } from "../../core/abort.js";
import { beforeClose, isClosing } from "../../core/before-close.js";
import { systemClock } from "../../core/clock.js";
import type { Persistence } from "../../core/ports.js";
import { ConfigError } from "../../errors/own-errors.js";
import { type SweepOptions, type SweepReport, sweepOf, sweepOnce, tell } from "./sweep.js";
import { emptyReport } from "./sweep-state.js";
import { warn } from "./warn-of.js";

export interface StartSweepOptions extends SweepOptions {
  /** Time between two sweeps; default 5,000 ms. A question that is asked in this process is looked at at once. */
  readonly everyMs?: number;
  /** Called with what was done since it was called last: after a sweep, when a default action ends, when people were told. */
  readonly onSwept?: (report: SweepReport) => void;
}

export interface InboxSweep {
  /** Resolves when nothing of it is under way any more. Runs that it has begun end after the step in hand. */
  stop(): Promise<void>;
}

/**
 * Sweeps the inbox as long as the process lives, or until the persistence is closed. A sweep that fails is warned of, and
 * the next one comes all the same. Channels that take long keep neither sweeps nor default actions waiting. It keeps the
 * process alive.
 *
 * @throws ConfigError where the persistence has no inbox, or is closed
 */
export function startInboxSweep(persistence: Persistence, options: StartSweepOptions = {}): InboxSweep {
  const { everyMs = 5000, onSwept, clock = systemClock, signal } = options;
  if (!(everyMs > 0))
    throw new ConfigError(`startInboxSweep(): option "everyMs" has to be more than 0, not ${String(everyMs)}`);
  if (isClosing(persistence)) throw new ConfigError(`startInboxSweep(): the ${persistence.description} was closed`);
  const stopping = new Cancellation({ outer: signal });
  const reported = (): void => {
    const { report } = sweep;
    if (Object.values(report).every((number) => number === 0)) return;
    sweep.report = emptyReport();
    try {
      onSwept?.(report);
    } catch (error) {
      warn("What a sweep of the inbox did could not be reported", error);
    }
  };
  const sweep = sweepOf(persistence, { ...options, signal: stopping.signal }, "startInboxSweep()", reported);
  const tellers = oneAtATime(async () => {
    await tell(sweep).catch((error: unknown) => warn("People could not be told of questions", error));
    reported();
  });
  let nap = new AbortController();
  const unsubscribe = persistence.events.subscribe(({ type }) => {
    if (type === "human.requested" || type === "inbox.swept") nap.abort();
  });
  const loop = async (): Promise<void> => {
    while (!stopping.aborted) {
      nap = new AbortController();
      await sweepOnce(sweep).catch((error: unknown) => warn("A sweep of the inbox failed", error));
      reported();
      if (stopping.aborted) break;
      tellers.wake();
      await unlessAborted(
        clock.sleep(everyMs, nap.signal).catch(() => {}),
        stopping.signal,
      ).catch(() => {});
      nap.abort();
    }
    await Promise.all([tellers.settled(), sweep.expiries.settled()]);
  };
  const running = loop().finally(() => {
    unsubscribe();
    forget();
    stopping.dispose();
  });
  const stop = async (): Promise<void> => {
    stopping.abort(new Error("the sweep of the inbox was stopped"));
    await running;
  };
  const forget = beforeClose(persistence, stop, { evenUnused: true });
  return { stop };
}

/** Work that never rejects, done again as often as it is woken, and once more when it was woken while it was done. */
function oneAtATime(work: () => Promise<void>): { wake(): void; settled(): Promise<void> } {
  let isWanted = false;
  let running: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    while (isWanted) {
      isWanted = false;
      await work();
    }
    running = undefined;
  };
  return {
    wake() {
      isWanted = true;
      running ??= run();
    },
    settled: async () => running,
  };
}
