import type { Command } from "commander";
import { APPROVAL_ACTIONS } from "../../recovery/approval-request.js";
import { ACTIONS } from "../../recovery/decision.js";
import { ROLLBACK_SCOPES } from "../../recovery/rollback-target.js";
import type { ResumeFlags } from "../actions/resume.js";
import type { GlobalOptions } from "../command-scope.js";
import { collect } from "../option-values.js";

export function addResumeCommand(program: Command): void {
  program
    .command("resume")
    .summary("go on with a thread")
    .description(
      "Goes on with a thread from its last checkpoint: after a crash or a stop as it is, after an interrupt with an answer. Steps that had succeeded are not repeated.",
    )
    .argument("<thread>", "its name or ID")
    .option(
      "-a, --action <action>",
      `answer a request: ${ACTIONS.join(", ")}; or an effect's: ${APPROVAL_ACTIONS.join(", ")}`,
    )
    .option("--state <json>", "with adjust: merged over the step's input and the state")
    .option("--parameters <json>", "with adjust: maxAttempts, initialDelayMs, timeoutMs of the next try")
    .option("--step <name>", "with fallback: which declared step")
    .option("--result <json>", "with provide: the step's result, i.e. its state update")
    .option("--to <whom|target>", "with escalate: to whom; with rollback: where to, as for lgr rollback")
    .option("--scope <scope>", `with rollback: ${ROLLBACK_SCOPES.join(", ")} (default: step, or session with --to)`)
    .option("--transaction <name>", "with rollback --scope transaction")
    .option("--keep-effects", "with abort: leave what the run did outside as it is")
    .option("--accept-standing", "with rollback: although something stays in the world that cannot be undone")
    .option("--of <hash>", "with approve and reject: what was shown; refused if it has changed since")
    .option("--reason <text>", "why; kept with the decision")
    .option("--as <name>", "who decides (default: your login)")
    .option("--answer <json>", "answer an interrupt of the graph's own")
    .option("-q, --question <id|node>", "which question, when several are open")
    .option("--from <checkpoint>", "go on from an earlier checkpoint, as a branch of its own")
    .option(
      "--from-last-sound",
      "where the newest checkpoint is damaged, go on from the last one that is not; the steps after that run again",
    )
    .option("--wait [seconds]", "when another run has the thread, wait for it (default: as long as it takes)")
    .option("--graph <name>", "the graph, where it is not stored with the thread")
    .option("--fail <node[=category]>", "rehearse a failure; repeatable", collect, [])
    .addHelpText(
      "after",
      `\nExamples:\n  lgr resume q3\n  lgr resume q3 --action retry\n  lgr resume q3 --action provide --result '{"report":"…"}'\n  lgr resume q3 --action rollback --to before:charge\n  lgr resume q3 --from <checkpoint>   # see lgr history q3\n  lgr resume q3 --from-last-sound     # after CheckpointCorruptError`,
    )
    .action(async (thread: string, flags: ResumeFlags, command: Command) => {
      const { resume } = await import("../actions/resume.js");
      process.exitCode = await resume(thread, flags, command.optsWithGlobals<GlobalOptions>());
    });
}
