import { type Command, Option } from "commander";
import type { BreakersFlags } from "../actions/breakers.js";
import type { GlobalOptions } from "../command-scope.js";

export function addBreakersCommand(program: Command): void {
  program
    .command("breakers")
    .summary("list shared circuit breakers, open or close one by hand")
    .description(
      "Lists the circuit breakers that all processes on this database share, or changes one:\n" +
        "  --open     as if it had tripped: calls are refused until its recovery time is over\n" +
        "  --close    as if it had recovered\n" +
        "  --isolate  calls are refused until it is closed by hand\n" +
        "A running process looks for it with a call, at most once a second; that call may still go through.",
    )
    .argument("[service]", "only that of this service; needed to change it")
    .addOption(new Option("--open", "open it").conflicts(["close", "isolate"]))
    .addOption(new Option("--close", "close it").conflicts(["open", "isolate"]))
    .addOption(new Option("--isolate", "hold it open").conflicts(["open", "close"]))
    .action(async (service: string | undefined, flags: BreakersFlags, command: Command) => {
      const { breakers } = await import("../actions/breakers.js");
      await breakers(service, flags, command.optsWithGlobals<GlobalOptions>());
    });
}
