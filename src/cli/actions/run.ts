import { systemClock } from "../../core/clock.js";
import { runThread } from "../../langgraph/threads/run-thread.js";
import { type GlobalOptions, withScope } from "../command-scope.js";
import { followedRun } from "../followed-run.js";
import { jsonOption } from "../json-option.js";
import { parseFaults, positiveInteger, waitMsOf } from "../option-values.js";

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
    const limit = flags.recursionLimit;
    const recursionLimit = limit === undefined ? {} : { recursionLimit: positiveInteger("--recursion-limit", limit) };
    return followedRun(output, { graphName, injectFaults, waitMs }, (options) =>
      runThread(loaded, input, { threadId, ifExists: flags.ifExists, ...options, ...recursionLimit }),
    );
  });
}
