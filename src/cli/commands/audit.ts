import type { Command } from "commander";
import type { AuditFlags } from "../actions/audit.js";
import type { GlobalOptions } from "../command-scope.js";

export function addAuditCommand(program: Command): void {
  program
    .command("audit")
    .summary("show who did what, when and why")
    .description(
      "Shows the newest entries of the audit log, the newest last: what was undone,\nrolled back and decided, by whom and why. " +
        "Entries stay when their thread is\ndeleted. The graph is not needed.",
    )
    .argument("[thread]", "only of this one, by its name or ID")
    .option("--by <name>", "only what this person did")
    .option("--what <name>", "only this, by its name or the beginning before a dot: effect, effect.settled, rollback")
    .option("--since <time>", "only from then on: a time such as 2026-01-31T09:00:00Z, or 7d, 12h, 30m, 90s ago")
    .option("-n, --limit <n>", "at most so many, the newest", "50")
    .addHelpText(
      "after",
      "\nExamples:\n  lgr audit\n  lgr audit order-17\n  lgr audit --by ada --since 2h\n  lgr audit --what rollback --since 2026-01-31 --json",
    )
    .action(async (thread: string | undefined, flags: AuditFlags, command: Command) => {
      const { audit } = await import("../actions/audit.js");
      await audit(thread, flags, command.optsWithGlobals<GlobalOptions>());
    });
}
