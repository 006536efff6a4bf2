import { systemClock } from "../../core/clock.js";
import { runThread } from "../../langgraph/threads/run-thread.js";
import { type GlobalOptions, withScope } from "../command-scope.js";
import { EXIT, exitCodeOfStatus } from "../exit-codes.js";
import { jsonOption } from "../json-option.js";
import { parseFaults, positiveInteger, waitMsOf } from "../option-values.js";
import { printResult } from "../output.js";
import { onStopSignals } from "../stop-signals.js";
import { inTurn } from "../thread-in-turn.js";

export interface RunFlags {
  readonly thread?: string;
  readonly input?: string;
  readonly fail: readonly string[];
  readonly wait?: true | string;
  readonly ifExists: "resume" | "refuse" | "newTurn";
  readonly recursionLimit?: string;
}

export async function run(graphName: string, flags: RunFlags, global: GlobalOptions): Promise<number> {
  const input = await jsonOption("--input", flags.input ?? "{}");
  const injectFaults = parseFaults(flags.fail);
  const waitMs = waitMsOf(flags.wait);
  return await withScope(global, async ({ graph, output, persistence }) => {
    const threadId = flags.thread ?? `${graphName}-${new Date(systemClock.now()).toISOString().replace(/[:.]/g, "-")}`;
    const loaded = await graph(graphName);
    output.line(`Thread ${threadId} on ${persistence.description}`);
    const stop = onStopSignals(() => process.exit(EXIT.stopped));
    try {
      const result = await inTurn(output, waitMs, (locking) =>
        runThread(loaded, input, {
          threadId,
          ifExists: flags.ifExists,
          graphName,
          ...locking,
          control: stop.control,
          signal: stop.signal,
          onEvent: output.onEvent,
          injectFaults,
          ...(flags.recursionLimit === undefined
            ? {}
            : { recursionLimit: positiveInteger("--recursion-limit", flags.recursionLimit) }),
        }),
      );
      printResult(output, result);
      return exitCodeOfStatus(result.status, result.error);
    } finally {
      stop.dispose();
    }
  });
}
