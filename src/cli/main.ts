/** `lgr`: the command line. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { redactText } from "../core/redact.js";
import { addAuditCommand } from "./commands/audit.js";
import { addBreakersCommand } from "./commands/breakers.js";
import { addChaosCommand } from "./commands/chaos.js";
import { addConvertCommand } from "./commands/convert.js";
import { addDevCommand } from "./commands/dev.js";
import { addEffectsCommand } from "./commands/effects.js";
import { addHistoryCommand } from "./commands/history.js";
import { addInboxCommand } from "./commands/inbox.js";
import { addPruneCommand } from "./commands/prune.js";
import { addResumeCommand } from "./commands/resume.js";
import { addRollbackCommand } from "./commands/rollback.js";
import { addRunCommand } from "./commands/run.js";
import { addThreadsCommand } from "./commands/threads.js";
import { EXIT, EXIT_TEXTS, exitCodeOf } from "./exit-codes.js";

const program = new Command("lgr")
  .description(
    "Runs LangGraph.js graphs that survive failures: start, resume by thread name, look back, serve to Studio.",
  )
  .version(packageVersion(), "-V, --version")
  .option("-c, --config <file>", "the project's langgraph.json (default: langgraph.json)")
  .option("--db <url>", "postgres://…, pglite:<folder> or memory: (default: DATABASE_URL, else pglite:.lgr/pglite)")
  .option("--json", "one JSON object a line, for machines")
  .showHelpAfterError("(lgr <command> --help shows the options)")
  .exitOverride()
  .addHelpText(
    "after",
    `\nExit codes:\n${EXIT_TEXTS.map(([code, text]) => `  ${String(code).padStart(3)}  ${text}`).join("\n")}`,
  );

// A reader that has seen enough (`lgr run … | head`) ends its reading and not the run.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

program.commandsGroup("Threads:");
addRunCommand(program);
addResumeCommand(program);
addThreadsCommand(program);
addHistoryCommand(program);
program.commandsGroup("People:");
addInboxCommand(program);
addAuditCommand(program);
program.commandsGroup("What was done outside:");
addEffectsCommand(program);
addRollbackCommand(program);
program.commandsGroup("Operation:");
addBreakersCommand(program);
addPruneCommand(program);
addConvertCommand(program);
program.commandsGroup("Development:");
addDevCommand(program);
addChaosCommand(program);
program.commandsGroup("Help:").helpCommand("help [command]", "show the help of a command");
for (const command of program.commands) command.exitOverride().showHelpAfterError("(--help shows the options)");

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** What went wrong, in one sentence for people or one object for machines. A stack only for what nobody planned. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const { message, code, stack } = error as { message?: string; code?: unknown; stack?: string };
  const text = redactText(message ?? String(error));
  if (program.opts<{ json?: boolean }>().json === true) {
    process.stdout.write(
      `${JSON.stringify({ type: "error", ...(typeof code === "string" ? { code } : {}), message: text })}\n`,
    );
  }
  const planned = typeof code === "string" && exitCodeOf(error) !== EXIT.failed;
  process.stderr.write(
    planned || process.env.LGR_DEBUG === undefined ? `lgr: ${text}\n` : `lgr: ${redactText(stack ?? text)}\n`,
  );
  return exitCodeOf(error);
}

function packageVersion(): string {
  for (const path of ["../../package.json", "../../../package.json"]) {
    try {
      const manifest = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as {
        name?: string;
        version?: string;
      };
      if (manifest.name === "langgraph-resilience" && manifest.version !== undefined) return manifest.version;
    } catch (error) {
      // From src/ the manifest is two levels up, from dist/src/ three.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return "unknown";
}
