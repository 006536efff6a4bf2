import type { PrunedThread, PruneSummary } from "../../core/retention-ports.js";
import { CancelledError, ConfigError } from "../../errors/own-errors.js";
import { type GlobalOptions, withScope } from "../command-scope.js";
import { EXIT } from "../exit-codes.js";
import { durationMs, positiveInteger } from "../option-values.js";
import { storedThread } from "../stored-thread.js";

export interface PruneFlags {
  readonly keepLast: string;
  readonly ttl: string;
  readonly thread?: string;
  readonly dryRun?: boolean;
}

export async function prune(flags: PruneFlags, global: GlobalOptions): Promise<void> {
  const keepLast = flags.keepLast === "off" ? (false as const) : positiveInteger("--keep-last", flags.keepLast);
  const ttlMs = flags.ttl === "off" ? (false as const) : durationMs("--ttl", flags.ttl);
  const dryRun = flags.dryRun === true;
  await withScope(global, async (scope) => {
    const { output, persistence } = scope;
    if (persistence.retention === undefined)
      throw new ConfigError(`Nothing can be pruned in ${persistence.description}: its plugin has no retention`);
    const stop = new AbortController();
    const onSignal = () =>
      stop.abort(new CancelledError("Stopped; what was deleted so far stays deleted, the rest is as it was"));
    process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
    try {
      const summary = await persistence.retention.prune({
        keepLast,
        ttlMs,
        dryRun,
        signal: stop.signal,
        ...(flags.thread === undefined ? {} : { threadId: await storedThread(persistence, flags.thread) }),
        onThread: (thread) => {
          output.object({ type: "thread", dryRun, ...thread });
          output.line(threadLine(thread, dryRun));
        },
      });
      const { checkpoints, rows, bytes } = summary;
      output.object({ type: "summary", dryRun, threads: summary.threads.length, checkpoints, rows, bytes });
      output.line(summaryLine(summary));
      if (flags.thread !== undefined && summary.threads.some(({ why }) => why === "in use"))
        process.exitCode = EXIT.threadBusy;
    } finally {
      process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    }
  });
}

function threadLine(thread: PrunedThread, dryRun: boolean): string {
  const label = thread.name ?? thread.threadId;
  const would = dryRun ? "would go" : "went";
  const what = `${count(thread.checkpoints, "checkpoint")}, ${count(thread.rows, "row")}, ${size(thread.bytes)}`;
  const pinned = thread.pinned > 0 ? ` (${thread.pinned} pinned)` : "";
  switch (thread.outcome) {
    case "skipped":
      return `${label}: skipped, ${thread.why}`;
    case "kept":
      return `${label}: nothing to delete; ${count(thread.left, "checkpoint")} left${pinned}`;
    case "deleted":
      return `${label}: all of it ${would}: ${what}`;
    case "pruned":
      return `${label}: ${what} ${would}; ${count(thread.left, "checkpoint")} left${pinned}`;
  }
}

function summaryLine({ dryRun, threads, checkpoints, rows, bytes }: PruneSummary): string {
  const changed = threads.filter((thread) => thread.rows > 0).length;
  if (changed === 0) return "Nothing to delete.";
  const verb = dryRun ? "Would delete" : "Deleted";
  return `${verb} ${count(checkpoints, "checkpoint")} of ${count(changed, "thread")}: ${count(rows, "row")}, ${size(bytes)}.`;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

function size(bytes: number): string {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
