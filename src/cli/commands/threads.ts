import { type Command, Option } from "commander";
import type { ThreadsFlags } from "../actions/threads.js";
import type { GlobalOptions } from "../command-scope.js";

export function addThreadsCommand(program: Command): void {
  program
    .command("threads")
    .summary("list threads, newest activity first")
    .description(
      "Lists the threads of the database, newest activity first, with where each stands; those begun in Studio included.",
    )
    .option("--graph <name>", "only those of this graph")
    .addOption(
      new Option("--status <status>", "only those whose last recorded status is this").choices([
        "running",
        "waiting_human",
        "succeeded",
        "failed",
        "aborted",
        "drained",
      ]),
    )
    .option("-n, --limit <n>", "at most so many", "20")
    .action(async (flags: ThreadsFlags, command: Command) => {
      const { threads } = await import("../actions/threads.js");
      await threads(flags, command.optsWithGlobals<GlobalOptions>());
    });
}
