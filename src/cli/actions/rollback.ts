import { CancelledError, ConfigError } from "../../errors/own-errors.js";
import { planRollback, rollback } from "../../langgraph/rollback/rollback.js";
import type { RollbackTarget } from "../../langgraph/rollback/target.js";
import type { PlannedEffect, RollbackPlan, RollbackReport } from "../../recovery/rollback-plan.js";
import { commandName } from "../command-name.js";
import { type GlobalOptions, withScope } from "../command-scope.js";
import { EXIT } from "../exit-codes.js";
import { waitMsOf } from "../option-values.js";
import type { Output } from "../output.js";
import { inTurn } from "../thread-in-turn.js";

export interface RollbackFlags {
  readonly to?: string;
  readonly dryRun?: boolean;
  readonly acceptStanding?: boolean;
  readonly wait?: true | string;
  readonly graph?: string;
}

export async function rollbackThread(thread: string, flags: RollbackFlags, global: GlobalOptions): Promise<number> {
  const to = flags.to === undefined ? undefined : targetOf(flags.to);
  const waitMs = waitMsOf(flags.wait);
  return await withScope(global, async ({ graphOfThread, output, persistence }) => {
    const { graph } = await graphOfThread(thread, flags.graph);
    output.line(`Thread ${thread} on ${persistence.description}`);
    if (flags.dryRun === true) {
      if (to === undefined) throw new ConfigError("--dry-run needs --to");
      printPlan(output, await planRollback(graph, thread, { to }));
      return EXIT.ok;
    }
    const stop = new AbortController();
    const onSignal = () =>
      stop.abort(
        new CancelledError(`Stopped between two effects; finish it with: ${commandName()} rollback ${thread}`),
      );
    process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
    try {
      const report = await inTurn(output, waitMs, (locking) =>
        rollback(graph, thread, {
          ...locking,
          ...(to === undefined ? {} : { to }),
          acceptStanding: flags.acceptStanding === true,
          signal: stop.signal,
          onProgress: (effect, { done, of }) => {
            output.object({ type: "undone", done, of, ...effect });
            output.line(`  ${done}/${of}  ${lineOf(effect)}`);
          },
        }),
      );
      printReport(output, report, thread);
      return report.outcome === "done" ? EXIT.ok : EXIT.failed;
    } finally {
      process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    }
  });
}

function targetOf(given: string): RollbackTarget {
  if (given.startsWith("before:")) return { before: given.slice("before:".length) };
  return /^\d{1,6}$/.test(given) ? { steps: Number(given) } : { checkpoint: given };
}

function printPlan(output: Output, plan: RollbackPlan): void {
  const { target, leaves, undo, doubtful, stays } = plan;
  output.object({ type: "plan", ...plan });
  output.line(
    `Would go back ${leaves} ${leaves === 1 ? "checkpoint" : "checkpoints"}, to ${target.checkpointId} (step ${target.step}); next: ${target.next.join(", ") || "end"}`,
  );
  section(output, "Would undo, in this order", undo);
  section(output, "Would look up first", doubtful);
  section(output, "Would stay in the world", stays);
  if (undo.length + doubtful.length + stays.length === 0) output.line("Nothing was done to the outside world since.");
}

function section(output: Output, title: string, effects: readonly PlannedEffect[]): void {
  if (effects.length === 0) return;
  output.line(`${title}:`);
  for (const effect of effects) output.line(`  ${lineOf(effect)}`);
}

function lineOf({ effect, node, state, key, why }: PlannedEffect): string {
  return `${effect} of ${node} (${key.slice(0, 12)}): ${state}${why === undefined ? "" : `; ${why}`}`;
}

function printReport(output: Output, report: RollbackReport, thread: string): void {
  output.object({ type: "rollback", ...report });
  const { outcome, undone, failed, stays, target } = report;
  section(output, "Stays in the world", stays);
  if (outcome === "done") {
    output.line(
      `Went back to step ${target.step}: ${undone.length} undone. Go on with: ${commandName()} resume ${thread}`,
    );
    return;
  }
  section(output, "Could not be undone", failed);
  output.line(`Not finished: the thread stays where it was. Try again with: ${commandName()} rollback ${thread}`);
}
