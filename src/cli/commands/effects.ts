import { type Command, Option } from "commander";
import type { EffectsFlags } from "../actions/effects.js";
import type { GlobalOptions } from "../command-scope.js";

export function addEffectsCommand(program: Command): void {
  program
    .command("effects")
    .summary("show what a thread did to the outside world, or settle what is not known")
    .description(
      "Shows what the steps of a thread did to the outside world, in the order of\nintent. The graph is not needed.\n" +
        "With --settle, says what came of one of which it is not known:\n" +
        "  --happened        a retry of the step gets the receipt and calls nothing\n" +
        "  --did-not-happen  a retry of the step does it\n" +
        "  --undone          it was undone by hand, where undoing it had failed",
    )
    .argument("<thread>", "its name or ID")
    .option("--settle <key>", "the effect, by its key or the beginning of it")
    .addOption(
      new Option(
        "--happened [receipt]",
        "with --settle: its receipt as JSON, @file or - for standard input; none for an effect that gives nothing back",
      ).conflicts("didNotHappen"),
    )
    .option("--did-not-happen", "with --settle")
    .option("--undone", "with --settle")
    .option("--as <name>", "who says so (default: your login)")
    .option("--reason <text>", "how it was found out; kept with the effect")
    .addHelpText(
      "after",
      `\nExamples:\n  lgr effects order-17\n  lgr effects order-17 --settle 9f86d081884c --happened '{"id":"ch_1"}' --reason "in the bank's books"\n  lgr effects order-17 --settle 9f86d081884c --did-not-happen`,
    )
    .action(async (thread: string, flags: EffectsFlags, command: Command) => {
      const { effects } = await import("../actions/effects.js");
      await effects(thread, flags, command.optsWithGlobals<GlobalOptions>());
    });
}
