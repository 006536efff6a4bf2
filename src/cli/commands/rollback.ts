import type { Command } from "commander";
import type { RollbackFlags } from "../actions/rollback.js";
import type { GlobalOptions } from "../command-scope.js";

export function addRollbackCommand(program: Command): void {
  program
    .command("rollback")
    .summary("take a thread back, and undo what its steps did to the outside world since")
    .description(
      "Takes a thread back to an earlier checkpoint. What its steps did to the outside world since is undone first, the newest first; then the checkpoint's state becomes the new head, from which `lgr resume` goes on. The history stays. Interrupted, it is finished by the same command without --to.",
    )
    .argument("<thread>", "its name or ID")
    .option("--to <target>", "a checkpoint ID, a number of checkpoints back, or before:<node>")
    .option("--dry-run", "only say what would be undone and what would stay")
    .option("--accept-standing", "go back although something cannot be undone and stays in the world")
    .option("--wait [seconds]", "when another run has the thread, wait for it (default: as long as it takes)")
    .option("--graph <name>", "the graph, where it is not stored with the thread")
    .addHelpText(
      "after",
      `\nExamples:\n  lgr rollback q3 --to before:sendMail --dry-run\n  lgr rollback q3 --to before:sendMail\n  lgr rollback q3 --to 2\n  lgr rollback q3                      # finishes one that was interrupted\n  lgr resume q3                        # goes on from there`,
    )
    .action(async (thread: string, flags: RollbackFlags, command: Command) => {
      const { rollbackThread } = await import("../actions/rollback.js");
      process.exitCode = await rollbackThread(thread, flags, command.optsWithGlobals<GlobalOptions>());
    });
}
