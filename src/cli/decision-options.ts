import type { Command } from "commander";
import { APPROVAL_ACTIONS } from "../recovery/approval-request.js";
import { ACTIONS } from "../recovery/decision.js";
import { ROLLBACK_SCOPES } from "../recovery/rollback-target.js";
import { collect } from "./option-values.js";

/** Declares the flags of an answer, for each command that takes one. */
export function addDecisionOptions(command: Command): Command {
  return command
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
    .option("--of <hash>", "what was shown; refused if it has changed since")
    .option("--reason <text>", "why; kept with the decision")
    .option("--as <name>", "who decides (default: your login)");
}

/** Declares what goes with each run that is gone on with. */
export function addGoOnOptions(command: Command): Command {
  return command
    .option("--wait [seconds]", "when another run has the thread, wait for it (default: as long as it takes)")
    .option("--graph <name>", "the graph, where it is not stored with the thread")
    .option("--fail <node[=category]>", "rehearse a failure; repeatable", collect, []);
}
