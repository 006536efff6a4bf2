import { type Command, Option } from "commander";
import type { ConvertFlags } from "../actions/convert.js";
import type { GlobalOptions } from "../command-scope.js";

export function addConvertCommand(program: Command): void {
  program
    .command("convert")
    .summary("rewrite threads for the stock PostgresSaver")
    .description(
      "Rewrites checkpoints into the format of another saver, thread by thread. With --to stock the stock PostgresSaver\n" +
        "can go on with every thread; this package reads them as before, and writes its own format again unless it is\n" +
        "opened as compatible. It may be stopped and called again. A thread that a run has is passed over, and so is one\n" +
        "that is damaged or that the other format has no place for. End all processes that write these threads before.",
    )
    .addOption(new Option("--to <format>", "which format").choices(["stock"]).makeOptionMandatory())
    .option("--thread <thread>", "only this one, by its name or ID")
    .addHelpText("after", "\nExamples:\n  lgr convert --to stock\n  lgr convert --to stock --thread q3")
    .action(async (flags: ConvertFlags, command: Command) => {
      const { convert } = await import("../actions/convert.js");
      process.exitCode = await convert(flags, command.optsWithGlobals<GlobalOptions>());
    });
}
