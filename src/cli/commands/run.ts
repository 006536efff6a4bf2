import { type Command, Option } from "commander";
import type { RunFlags } from "../actions/run.js";
import type { GlobalOptions } from "../command-scope.js";
import { collect } from "../option-values.js";

export function addRunCommand(program: Command): void {
  program
    .command("run")
    .summary("start a graph on a thread")
    .description(
      "Starts a graph on a new thread and shows live what happens. The thread can be resumed by its name from any process.",
    )
    .argument("<graph>", "its name in langgraph.json")
    .option("-t, --thread <name>", "name of the thread (default: the graph's name and the time)")
    .option("-i, --input <json>", "the graph's input as JSON, @file, or - for standard input", "{}")
    .option(
      "--fail <node[=category]>",
      "rehearse: every attempt of this node fails (default category server_error); repeatable",
      collect,
      [],
    )
    .addOption(
      new Option(
        "--if-exists <what>",
        "when the thread is stored: refuse it, resume it, or give it the input as its next turn",
      )
        .choices(["refuse", "resume", "newTurn"])
        .default("refuse"),
    )
    .option("--wait [seconds]", "when another run has the thread, wait for it (default: as long as it takes)")
    .option("--recursion-limit <n>", "supersteps at most")
    .addHelpText(
      "after",
      `\nExample:\n  lgr run quarterly-report --thread q3 --input '{"fiscalYear":2024,"fiscalQuarter":3}'`,
    )
    .action(async (graph: string, flags: RunFlags, command: Command) => {
      const { run } = await import("../actions/run.js");
      process.exitCode = await run(graph, flags, command.optsWithGlobals<GlobalOptions>());
    });
}
