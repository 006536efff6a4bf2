import { RunControl } from "@langchain/langgraph";

export interface StopSignals {
  readonly control: RunControl;
  readonly signal: AbortSignal;
  dispose(): void;
}

/**
 * Ctrl-C or SIGTERM once: finish the step in flight, keep everything, end. Twice: abort the step. Three times: leave.
 * In each case the thread can be resumed.
 */
export function onStopSignals(leave: () => void): StopSignals {
  const control = new RunControl();
  const controller = new AbortController();
  let asked = 0;
  // Beside the output and not in it: with --json that is for machines.
  const say = (text: string): void => {
    process.stderr.write(`lgr: ${text}\n`);
  };
  const handle = (signal: NodeJS.Signals): void => {
    asked += 1;
    if (asked === 1) {
      say(`${signal}: stopping after the step in flight; once more stops at once`);
      control.requestDrain(signal);
    } else if (asked === 2) {
      say(`${signal}: stopping at once`);
      controller.abort(new Error(signal));
    } else {
      leave();
    }
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  return {
    control,
    signal: controller.signal,
    dispose: () => {
      process.off("SIGINT", handle);
      process.off("SIGTERM", handle);
    },
  };
}
