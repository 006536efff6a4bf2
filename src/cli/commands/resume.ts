import type { Command } from "commander";
import type { ResumeFlags } from "../actions/resume.js";
import type { GlobalOptions } from "../command-scope.js";
import { addDecisionOptions, addGoOnOptions } from "../decision-options.js";

export function addResumeCommand(program: Command): void {
  const resume = program
    .command("resume")
    .summary("go on with a thread")
    .description(
      "Goes on with a thread from its last checkpoint: after a crash or a stop as it is, after an interrupt with an answer. Steps that had succeeded are not repeated.",
    )
    .argument("<thread>", "its name or ID");
  addDecisionOptions(resume)
    .option("--answer <json>", "answer an interrupt of the graph's own")
    .option("-q, --question <id|node>", "which question, when several are open")
    .option("--from <checkpoint>", "go on from an earlier checkpoint, as a branch of its own")
    .option(
      "--from-last-sound",
      "where the newest checkpoint is damaged, go on from the last one that is not; the steps after that run again",
    );
  addGoOnOptions(resume)
    .addHelpText(
      "after",
      `\nExamples:\n  lgr resume q3\n  lgr resume q3 --action retry\n  lgr resume q3 --action provide --result '{"report":"…"}'\n  lgr resume q3 --action rollback --to before:charge\n  lgr resume q3 --from <checkpoint>   # see lgr history q3\n  lgr resume q3 --from-last-sound     # after CheckpointCorruptError`,
    )
    .action(async (thread: string, flags: ResumeFlags, command: Command) => {
      const { resume: goOn } = await import("../actions/resume.js");
      process.exitCode = await goOn(thread, flags, command.optsWithGlobals<GlobalOptions>());
    });
}
