import { CancelledError, ConfigError } from "../../errors/own-errors.js";
import { planRollback, rollback } from "../../langgraph/rollback/rollback.js";
import type { PlannedEffect, RollbackPlan, RollbackReport } from "../../recovery/rollback-plan.js";
import type { RollbackRange, RollbackScope, RollbackTarget } from "../../recovery/rollback-target.js";
import { commandName } from "../command-name.js";
import { type GlobalOptions, withScope } from "../command-scope.js";
import { EXIT } from "../exit-codes.js";
import { waitMsOf } from "../option-values.js";
import type { Output } from "../output.js";
import { personOf } from "../person.js";
import { inTurn } from "../thread-in-turn.js";

export interface RollbackFlags {
  readonly to?: string;
  readonly scope?: RollbackScope;
  readonly transaction?: string;
  readonly step?: string;
  readonly touched?: string;
  readonly since?: string;
  readonly inFlight?: string;
  readonly dryRun?: boolean;
  readonly acceptStanding?: boolean;
  readonly as?: string;
  readonly reason?: string;
  readonly wait?: true | string;
  readonly graph?: string;
}

export async function rollbackThread(thread: string, flags: RollbackFlags, global: GlobalOptions): Promise<number> {
  for (const flag of ["touched", "since", "inFlight"] as const)
    if (flags[flag] !== undefined)
      throw new ConfigError(
        `--${flag === "inFlight" ? "in-flight" : flag} goes without a thread: it is for all of them`,
      );
  const range = rangeOf(flags);
  const waitMs = waitMsOf(flags.wait);
  return await withScope(global, async ({ graphOfThread, output, persistence }) => {
    const { graph } = await graphOfThread(thread, flags.graph);
    output.line(`Thread ${thread} on ${persistence.description}`);
    if (flags.dryRun === true) {
      if (range === undefined) throw new ConfigError("--dry-run needs --to or --scope");
      printPlan(output, await planRollback(graph, thread, range));
      return EXIT.ok;
    }
    return await untilStopped(`${commandName()} rollback ${thread}`, async (signal) => {
      const report = await inTurn(output, waitMs, (locking) =>
        rollback(graph, thread, {
          ...locking,
          ...range,
          ...signedBy(flags),
          acceptStanding: flags.acceptStanding === true,
          signal,
          onProgress: (effect, { done, of }) => {
            output.object({ type: "undone", done, of, ...effect });
            output.line(`  ${done}/${of}  ${lineOf(effect)}`);
          },
        }),
      );
      printReport(output, report, thread);
      return report.outcome === "done" ? EXIT.ok : EXIT.failed;
    });
  });
}

/** Ctrl-C ends it between two effects. */
export async function untilStopped<T>(finishBy: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onSignal = () => stop.abort(new CancelledError(`Stopped between two effects; finish it with: ${finishBy}`));
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    return await work(stop.signal);
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

export function signedBy({ as, reason }: Pick<RollbackFlags, "as" | "reason">) {
  return { by: personOf(as), ...(reason === undefined ? {} : { reason }) };
}

/** Undefined where the flags name nothing: one that was interrupted is to be finished. */
function rangeOf({ to, scope, transaction, step }: RollbackFlags): RollbackRange | undefined {
  const range = {
    ...(to === undefined ? {} : { to: targetOf(to) }),
    ...(scope === undefined ? {} : { scope }),
    ...(transaction === undefined ? {} : { transaction }),
    ...(step === undefined ? {} : { step }),
  };
  return Object.keys(range).length === 0 ? undefined : range;
}

export function targetOf(given: string): RollbackTarget {
  const [kind, ...rest] = given.split(":");
  const name = rest.join(":");
  if (kind === "before") return { before: name };
  if (kind === "barrier") return { barrier: name === "" ? true : name };
  return /^\d{1,6}$/.test(given) ? { steps: Number(given) } : { checkpoint: given };
}

function printPlan(output: Output, plan: RollbackPlan): void {
  const { target, leaves, undo, doubtful, stays } = plan;
  output.object({ type: "plan", ...plan });
  if (plan.scope === "step") output.line(`Would stay at step ${target.step}; next: ${target.next.join(", ") || "end"}`);
  else
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
  if (outcome === "done" && report.scope === "step") {
    output.line(`Undid what the step did: ${undone.length} undone. Do it anew with: ${commandName()} resume ${thread}`);
    return;
  }
  if (outcome === "done") {
    output.line(
      `Went back to step ${target.step}: ${undone.length} undone. Go on with: ${commandName()} resume ${thread}`,
    );
    return;
  }
  section(output, "Could not be undone", failed);
  output.line(`Not finished: the thread stays where it was. Try again with: ${commandName()} rollback ${thread}`);
}
