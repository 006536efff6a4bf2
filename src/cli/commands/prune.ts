import type { Command } from "commander";
import type { PruneFlags } from "../actions/prune.js";
import type { GlobalOptions } from "../command-scope.js";

export function addPruneCommand(program: Command): void {
  program
    .command("prune")
    .summary("delete old checkpoints and old threads")
    .description(
      "Deletes all but the newest checkpoints of each thread, and threads without activity for a time. What stays reads\n" +
        "back as before: pinned checkpoints, those that wait for an answer, and all that a kept one needs. A thread that\n" +
        "waits for a person or is pinned does not go, and one that a run has is passed over.",
    )
    .option("--keep-last <n>", 'checkpoints that each thread keeps, or "off": all', "100")
    .option(
      "--ttl <time>",
      'delete threads this long after their last activity: 7d, 12h, 30m, 90s, or "off": never',
      "7d",
    )
    .option("--thread <thread>", "only this one, by its name or ID")
    .option("--dry-run", "delete nothing and say what would go")
    .action(async (flags: PruneFlags, command: Command) => {
      const { prune } = await import("../actions/prune.js");
      await prune(flags, command.optsWithGlobals<GlobalOptions>());
    });
}
