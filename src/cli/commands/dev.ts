import type { Command } from "commander";
import type { DevFlags } from "../actions/dev.js";
import type { GlobalOptions } from "../command-scope.js";

export function addDevCommand(program: Command): void {
  program
    .command("dev")
    .summary("serve the graphs to LangGraph Studio")
    .description(
      "Starts the LangGraph development server on loopback with the graphs of langgraph.json, on the same database as the other commands. Ctrl-C stops it and everything it started.",
    )
    .option("-p, --port <n>", "port on 127.0.0.1", "2024")
    .option("--browser", "open Studio in the browser", false)
    .action(async (flags: DevFlags, command: Command) => {
      const { dev } = await import("../actions/dev.js");
      process.exitCode = await dev(flags, command.optsWithGlobals<GlobalOptions>());
    });
}
