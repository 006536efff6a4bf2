import type { Command } from "commander";
import type { HistoryFlags } from "../actions/history.js";
import type { GlobalOptions } from "../command-scope.js";

export function addHistoryCommand(program: Command): void {
  program
    .command("history")
    .summary("show a thread's checkpoints, newest first")
    .description(
      "Shows a thread's checkpoints, newest first. A parent that is not the line below is where a branch began.",
    )
    .argument("<thread>", "its name or ID")
    .option("-n, --limit <n>", "at most so many", "50")
    .option("--graph <name>", "the graph, where it is not stored with the thread")
    .action(async (thread: string, flags: HistoryFlags, command: Command) => {
      const { history } = await import("../actions/history.js");
      await history(thread, flags, command.optsWithGlobals<GlobalOptions>());
    });
}
