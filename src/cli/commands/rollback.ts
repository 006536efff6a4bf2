import { type Command, Option } from "commander";
import { ROLLBACK_SCOPES } from "../../recovery/rollback-target.js";
import type { RollbackFlags } from "../actions/rollback.js";
import type { GlobalOptions } from "../command-scope.js";

export function addRollbackCommand(program: Command): void {
  program
    .command("rollback")
    .summary("take a thread back, and undo what its steps did to the outside world since")
    .description(
      "Takes a thread back to an earlier checkpoint. What its steps did to the outside world since is undone first, the newest first; then the checkpoint's state becomes the new head, from which `lgr resume` goes on. The history stays. Interrupted, it is finished by the same command without --to and --scope.\n\nWithout a thread, and with --touched and --since: every thread of the graph that a faulty part has touched since then.",
    )
    .argument("[thread]", "its name or ID")
    .option("--to <target>", "a checkpoint ID, a number of checkpoints back, before:<node>, barrier or barrier:<name>")
    .addOption(
      new Option(
        "--scope <scope>",
        "step: what the failed step did; process: this run; transaction: the nodes of one; session: to the last sound checkpoint, or the last barrier",
      ).choices([...ROLLBACK_SCOPES]),
    )
    .option("--transaction <name>", "with --scope transaction, where the graph has several")
    .option("--step <node>", "with --scope step, where several have failed")
    .option("--touched <part>", "all threads that it has touched: effect:<name> or node:<name>")
    .option("--since <time>", "with --touched: since when, in ISO 8601 or how long ago (2h, 7d)")
    .option("--in-flight <n>", "with --touched: how many threads at once (default: 5)")
    .option("--dry-run", "only say what would be undone and what would stay")
    .option("--accept-standing", "go back although something cannot be undone and stays in the world")
    .option("--as <name>", "who asks for it, for the audit log (default: your login)")
    .option("--reason <text>", "why; for the audit log")
    .option("--wait [seconds]", "when another run has the thread, wait for it (default: as long as it takes)")
    .option("--graph <name>", "the graph, where it is not stored with the thread")
    .addHelpText(
      "after",
      `\nExamples:\n  lgr rollback q3 --to before:sendMail --dry-run\n  lgr rollback q3 --to before:sendMail\n  lgr rollback q3 --to 2\n  lgr rollback q3 --scope step\n  lgr rollback q3                      # finishes one that was interrupted\n  lgr resume q3                        # goes on from there\n  lgr rollback --graph order-saga --touched effect:charge --since 2h --dry-run`,
    )
    .action(async (thread: string | undefined, flags: RollbackFlags, command: Command) => {
      const { rollbackThread } = await import("../actions/rollback.js");
      const { rollbackTouched } = await import("../actions/rollback-touched.js");
      const global = command.optsWithGlobals<GlobalOptions>();
      process.exitCode =
        thread === undefined ? await rollbackTouched(flags, global) : await rollbackThread(thread, flags, global);
    });
}
