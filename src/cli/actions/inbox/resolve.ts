import { ConfigError } from "../../../errors/own-errors.js";
import { resolveInboxItem } from "../../../langgraph/inbox/resolve-item.js";
import type { ApprovalAnswer } from "../../../recovery/approval-request.js";
import type { Decision } from "../../../recovery/decision.js";
import { inboxOf } from "../../../recovery/inbox-change.js";
import { commandName } from "../../command-name.js";
import { type GlobalOptions, withScope } from "../../command-scope.js";
import { type DecisionFlags, decisionOf } from "../../decision-flags.js";
import { followedRun } from "../../followed-run.js";
import { parseFaults, waitMsOf } from "../../option-values.js";
import { questionOf } from "./find.js";
import { nameOf } from "./words.js";

export interface ResolveFlags extends DecisionFlags {
  readonly graph?: string;
  readonly fail: readonly string[];
  readonly wait?: true | string;
}

export async function resolveQuestion(given: string, flags: ResolveFlags, global: GlobalOptions): Promise<number> {
  const decision = await decisionOf(flags);
  if (decision === undefined)
    throw new ConfigError(`Say what you answer, with --action; what can be:  ${commandName()} inbox show ${given}`);
  const injectFaults = parseFaults(flags.fail);
  const waitMs = waitMsOf(flags.wait);
  return await withScope(global, async (scope) => {
    const { output, persistence } = scope;
    const item = await questionOf(inboxOf(persistence, "lgr inbox resolve"), given);
    const { name, graph } = await scope.graphOfThread(item.threadId, flags.graph ?? item.graph);
    output.line(`Question ${nameOf(item)} on ${persistence.description}`);
    return followedRun(output, { graphName: name, injectFaults, waitMs }, (options) =>
      // What it may be is checked against the question.
      resolveInboxItem(graph, item.id, decision as Decision | ApprovalAnswer, options),
    );
  });
}
