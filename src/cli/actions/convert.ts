import { redactText } from "../../core/redact.js";
import { ConfigError } from "../../errors/own-errors.js";
import { databaseOfPersistence } from "../../persistence/database-of.js";
import type { RewriteProgress, RewriteResult } from "../../persistence/rewrite-for-stock.js";
import { type GlobalOptions, withScope } from "../command-scope.js";
import { EXIT, exitCodeOf } from "../exit-codes.js";
import type { Output } from "../output.js";
import { storedThread } from "../stored-thread.js";

export interface ConvertFlags {
  readonly to: "stock";
  readonly thread?: string;
}

/** @returns the exit code: that of the first thread that stays as it was, where there is one */
export async function convert(flags: ConvertFlags, global: GlobalOptions): Promise<number> {
  return await withScope(global, async ({ output, persistence }) => {
    const database = databaseOfPersistence(persistence);
    if (database === undefined)
      throw new ConfigError(
        `There is nothing to convert in ${persistence.description}: the stock saver cannot read it`,
      );
    const threadId = flags.thread === undefined ? undefined : await storedThread(persistence, flags.thread);
    const { rewriteForStock } = await import("../../persistence/rewrite-for-stock.js");
    const stop = new AbortController();
    const onSignal = () => stop.abort();
    process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
    try {
      const result = await rewriteForStock(await database.pool(), {
        schema: database.schema,
        signal: stop.signal,
        onProgress: (progress) => report(output, progress),
        ...(threadId === undefined ? {} : { threadId }),
      });
      conclude(output, result, stop.signal.aborted);
      const [first] = result.kept;
      return stop.signal.aborted ? EXIT.stopped : first === undefined ? EXIT.ok : exitCodeOf(first.error);
    } finally {
      process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    }
  });
}

function report(output: Output, { threadId, done, total, checkpoints, error }: RewriteProgress): void {
  const why = error && { code: (error as { code?: unknown }).code, message: redactText(error.message) };
  output.object({ type: "thread", threadId, done, total, checkpoints, ...(why === undefined ? {} : { kept: why }) });
  const what = why === undefined ? plural(checkpoints, "checkpoint") : `stays as it is: ${why.message}`;
  output.line(`[${done}/${total}] ${threadId}: ${what}`);
}

function conclude(output: Output, { threads, checkpoints, kept }: RewriteResult, stopped: boolean): void {
  output.object({ type: "summary", threads, checkpoints, kept: kept.length, stopped });
  const head = `Rewrote ${plural(checkpoints, "checkpoint")} of ${plural(threads, "thread")} for the stock saver`;
  const rest = kept.length === 0 ? "" : `; ${plural(kept.length, "thread")} stayed as before`;
  if (stopped) output.line(`${head}${rest}. Stopped; call it again to go on.`);
  else if (threads + kept.length === 0) output.line("Nothing to rewrite: the stock saver can read every thread.");
  else output.line(`${head}${rest}.`);
}

function plural(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}
