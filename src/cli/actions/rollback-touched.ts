import { systemClock } from "../../core/clock.js";
import { ConfigError } from "../../errors/own-errors.js";
import { planRollback, rollback } from "../../langgraph/rollback/rollback.js";
import type { Touch } from "../../langgraph/rollback/touched.js";
import type { PlannedThread, RolledBackThread } from "../../recovery/system-rollback.js";
import { commandName } from "../command-name.js";
import { type GlobalOptions, withScope } from "../command-scope.js";
import { EXIT } from "../exit-codes.js";
import { positiveInteger, timeMs } from "../option-values.js";
import { type RollbackFlags, signedBy, untilStopped } from "./rollback.js";

/** All threads of a graph that a faulty part has touched. */
export async function rollbackTouched(flags: RollbackFlags, global: GlobalOptions): Promise<number> {
  const { graph: name, touched, since: given, inFlight } = flags;
  if (touched === undefined || given === undefined || name === undefined)
    throw new ConfigError(
      "Name a thread; or, for all threads that a faulty part has touched, give --graph, --touched and --since",
    );
  for (const flag of ["to", "scope", "transaction", "step", "wait"] as const)
    if (flags[flag] !== undefined) throw new ConfigError(`--${flag} goes with a thread`);
  const range = {
    scope: "system" as const,
    touched: touchOf(touched),
    since: timeMs("--since", given, systemClock.now()),
    graphName: name,
    ...(inFlight === undefined ? {} : { concurrency: positiveInteger("--in-flight", inFlight) }),
  };
  return await withScope(global, async ({ graph: load, output, persistence }) => {
    const graph = await load(name);
    output.line(`Threads of ${name} on ${persistence.description} that ${touched} has touched since ${given}`);
    if (flags.dryRun === true) {
      const { looked, threads } = await planRollback(graph, range);
      for (const thread of threads) {
        output.object({ type: "plan", ...thread });
        output.line(`  ${planLine(thread)}`);
      }
      output.line(`Would take back ${threads.length} of ${looked} threads.`);
      return EXIT.ok;
    }
    const again = `${commandName()} rollback --graph ${name} --touched ${touched} --since ${given}`;
    return await untilStopped(again, async (signal) => {
      const { threads, counts, looked, left } = await rollback(graph, {
        ...range,
        ...signedBy(flags),
        acceptStanding: flags.acceptStanding === true,
        signal,
        onThread: (thread, { done, of }) => {
          if (thread === undefined) return;
          output.object({ type: "rollback", done, of, ...thread });
          output.line(`  ${done}/${of}  ${lineOf(thread)}`);
        },
      });
      const said = Object.entries(counts).filter(([, count]) => count > 0);
      output.object({ type: "summary", looked, left, touched: threads.length, ...counts });
      output.line(
        `${threads.length} of ${looked} threads were touched: ${said.map(([outcome, count]) => `${count} ${outcome}`).join(", ") || "nothing to do"}${left > 0 ? `; ${left} not looked at any more` : ""}.`,
      );
      if (counts.done === threads.length && left === 0) return EXIT.ok;
      output.line(`Done again it does what is left: ${again}`);
      return signal.aborted ? EXIT.stopped : EXIT.failed;
    });
  });
}

function touchOf(given: string): Touch {
  const [kind, ...rest] = given.split(":");
  const name = rest.join(":");
  if (name !== "" && kind === "effect") return { effect: name };
  if (name !== "" && kind === "node") return { node: name };
  throw new ConfigError(`--touched ${given}: expected effect:<name> or node:<name>`);
}

function planLine(thread: PlannedThread): string {
  const label = thread.name ?? thread.threadId;
  if ("why" in thread) return `${label}: cannot be said (${thread.why})`;
  const { undo, doubtful, stays, target } = thread.plan;
  const rest = [
    ...(doubtful.length > 0 ? [`${doubtful.length} to look up first`] : []),
    ...(stays.length > 0 ? [`${stays.length} would stay`] : []),
  ];
  return `${label}: to step ${target.step}, ${[`${undo.length} to undo`, ...rest].join(", ")}`;
}

function lineOf(thread: RolledBackThread): string {
  const label = thread.name ?? thread.threadId;
  if ("why" in thread) return `${label}: ${thread.outcome} (${thread.why})`;
  const { undone, failed } = thread.report;
  return `${label}: ${thread.outcome}, ${undone.length} undone${failed.length > 0 ? `, ${failed.length} not` : ""}`;
}
