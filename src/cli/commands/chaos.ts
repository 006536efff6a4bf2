import type { Command } from "commander";
import type { ChaosProviderFlags } from "../actions/chaos-provider.js";
import type { GlobalOptions } from "../command-scope.js";

const EXAMPLES = `
Examples:
  lgr chaos provider --port 4010 --fault-rate 0.12 --seed 7
  lgr chaos provider --script faults.json --latency 400 --record seen.ndjson

A script file:
  { "script":  [{ "kind": "status", "status": 429, "headers": { "Retry-After": "1" }, "times": 2 },
                { "kind": "cut_stream", "when": { "contains": "report", "stream": true } }],
    "windows": [{ "fromMs": 10000, "toMs": 70000, "fault": { "kind": "status", "status": 503 }, "model": "primary" }],
    "byModel": { "small": { "latency": { "firstTokenMs": { "kind": "uniform", "minMs": 100, "maxMs": 300 } } } } }
All faults: docs/chaos.md`;

export function addChaosCommand(program: Command): void {
  const chaos = program
    .command("chaos")
    .summary("things that go wrong on purpose")
    .description("Things that go wrong on purpose, to see the way out before you need it.")
    .addHelpText("after", EXAMPLES);
  chaos
    .command("provider")
    .summary("a model provider that misbehaves")
    .description(
      "Starts an OpenAI-compatible server on loopback that misbehaves as it is told and otherwise answers that it is offline. Ctrl-C ends it.",
    )
    .option("-p, --port <n>", "port on 127.0.0.1 (default: any free one)")
    .option("-s, --script <file>", "JSON: a script of faults, or an object with script, windows, byModel, …")
    .option("--seed <n>", "what everything random is drawn from: the same requests meet the same (default: 1)")
    .option("--fault-rate <share>", "share of the requests that meet a fault at random, 0 to 1 (default: none)")
    .option("--latency <ms>", "time before the first token (default: none)")
    .option("--record <file>", "write what each request was and how it ended there, one JSON object a line")
    .showHelpAfterError("(--help shows the options)")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: ChaosProviderFlags, command: Command) => {
      const { chaosProvider } = await import("../actions/chaos-provider.js");
      process.exitCode = await chaosProvider(flags, command.optsWithGlobals<GlobalOptions>());
    });
}
