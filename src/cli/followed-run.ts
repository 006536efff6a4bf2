import type { Category } from "../errors/categories.js";
import type { RunOptions, RunResult } from "../langgraph/threads/run.js";
import { EXIT, exitCodeOfStatus } from "./exit-codes.js";
import { type Output, printResult } from "./output.js";
import { onStopSignals } from "./stop-signals.js";
import { inTurn } from "./thread-in-turn.js";

export interface FollowedRun {
  readonly graphName: string;
  readonly injectFaults: Readonly<Record<string, Category>>;
  /** How long to wait for a thread that another run has; 0: not at all. */
  readonly waitMs: number;
}

/**
 * A run as the commands make it: its events are shown as they come, Ctrl-C ends it after the step in hand, and what it came
 * to is printed.
 *
 * @returns the exit code
 */
export async function followedRun(
  output: Output,
  { graphName, injectFaults, waitMs }: FollowedRun,
  start: (options: RunOptions) => Promise<RunResult>,
): Promise<number> {
  const stop = onStopSignals(() => process.exit(EXIT.stopped));
  const { control, signal } = stop;
  const { onEvent } = output;
  try {
    const result = await inTurn(output, waitMs, (locking) =>
      start({ graphName, ...locking, control, signal, onEvent, injectFaults }),
    );
    printResult(output, result);
    return exitCodeOfStatus(result.status, result.error);
  } finally {
    stop.dispose();
  }
}
