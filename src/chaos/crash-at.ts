import { appendFileSync } from "node:fs";
import { type CrashPoint, crashPoint, onCrashPoint } from "../core/crash-points.js";
import { ConfigError } from "../errors/own-errors.js";

/** Passage at which {@link armCrashPoints} kills the process. */
export const CRASH_AT = "LGR_CRASH_AT";
/** File to which {@link armCrashPoints} appends the name of each point as it is passed, one a line. */
export const CRASH_TRACE = "LGR_CRASH_TRACE";

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

/**
 * The first thing that a scenario of `enumerateCrashPoints` calls: from then on its process dies, or notes down what it
 * passes, as two variables of its environment say. `LGR_CRASH_AT=<n>` is SIGKILL at the n-th passage (1 = the first)
 * through any crash point, `LGR_CRASH_TRACE=<file>` appends the name of each. Without them it does nothing.
 *
 * @throws ConfigError where LGR_CRASH_AT is not a whole number from 1
 */
export function armCrashPoints(): void {
  const { [CRASH_AT]: at, [CRASH_TRACE]: trace } = process.env;
  if (at !== undefined && !/^[1-9]\d*$/.test(at))
    throw new ConfigError(`${CRASH_AT} is "${at}": expected the number of a passage, from 1`);
  if (at === undefined && trace === undefined) return;
  let passed = 0;
  onCrashPoint((point) => {
    passed += 1;
    // Before the end, and at once: the trace says where it was.
    if (trace !== undefined) appendFileSync(trace, `${point}\n`);
    if (passed === Number(at)) process.kill(process.pid, "SIGKILL");
  });
}

/**
 * A crash point of your own, for what a crash between two lines of your code would tear apart. Costs one comparison
 * where nothing is armed.
 *
 * @param name one line, such as "mail.send.after"
 */
export function passCrashPoint(name: string): void {
  // The type lists the points of this package.
  crashPoint(name as CrashPoint);
}
