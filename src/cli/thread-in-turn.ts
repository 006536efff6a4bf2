/** A thread that another run has: refused, or waited for where that was asked for. */
import { ThreadBusyError } from "../errors/persistence-errors.js";
import type { RunOptions } from "../langgraph/threads/run.js";
import type { Output } from "./output.js";

/** @param run is called again with the wait once the first call was refused, so that whoever waits is told for what */
export async function inTurn<T>(
  output: Output,
  waitMs: number,
  run: (options: Pick<RunOptions, "lock">) => Promise<T>,
): Promise<T> {
  try {
    return await run({});
  } catch (error) {
    if (!(error instanceof ThreadBusyError) || waitMs === 0) throw error;
    const howLong = waitMs === Number.POSITIVE_INFINITY ? "until it is free" : `up to ${waitMs / 1000} s`;
    output.line(`It is in use by ${String(error.details.holder)}; waiting ${howLong}`);
    return await run({ lock: { waitMs } });
  }
}
