import { ConfigError } from "../../errors/own-errors.js";
import { LAST_SOUND } from "../../langgraph/threads/damage.js";
import type { GraphLike } from "../../langgraph/threads/graph.js";
import { inspectThread } from "../../langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../langgraph/threads/resume-thread.js";
import { type GlobalOptions, withScope } from "../command-scope.js";
import { type DecisionFlags, decisionOf } from "../decision-flags.js";
import { followedRun } from "../followed-run.js";
import { jsonOption } from "../json-option.js";
import { parseFaults, waitMsOf } from "../option-values.js";

export interface ResumeFlags extends DecisionFlags {
  readonly answer?: string;
  readonly question?: string;
  readonly from?: string;
  readonly fromLastSound?: true;
  readonly graph?: string;
  readonly fail: readonly string[];
  readonly wait?: true | string;
}

export async function resume(thread: string, flags: ResumeFlags, global: GlobalOptions): Promise<number> {
  const decision = await answerOf(flags);
  const from = fromOf(flags);
  const injectFaults = parseFaults(flags.fail);
  const waitMs = waitMsOf(flags.wait);
  return await withScope(global, async (scope) => {
    const { name, graph } = await scope.graphOfThread(thread, flags.graph);
    const { output } = scope;
    output.line(`Thread ${thread} on ${scope.persistence.description}`);
    const answerTo = flags.question === undefined ? undefined : await questionId(graph, thread, flags.question);
    const where = {
      ...(from === undefined ? {} : { from }),
      ...(answerTo === undefined ? {} : { answerTo }),
    };
    return followedRun(output, { graphName: name, injectFaults, waitMs }, (options) =>
      resumeThread(graph, thread, decision, { ...options, ...where }),
    );
  });
}

function fromOf({ from, fromLastSound }: ResumeFlags): string | undefined {
  if (fromLastSound === undefined) return from;
  if (from !== undefined) throw new ConfigError("--from and --from-last-sound name two places; give one of them");
  return LAST_SOUND;
}

/** The decision the flags describe, or the answer to an interrupt of the graph's own; undefined when they describe none. */
async function answerOf(flags: ResumeFlags): Promise<unknown> {
  if (flags.answer !== undefined && flags.action !== undefined)
    throw new ConfigError(
      "--answer is for a graph's own interrupts, --action for intervention requests and approvals; give one of them",
    );
  if (flags.question !== undefined && flags.action === undefined && flags.answer === undefined)
    throw new ConfigError("--question goes with --action or --answer");
  const decision = await decisionOf(flags);
  return flags.answer === undefined ? decision : await jsonOption("--answer", flags.answer);
}

/** A question by the beginning of its ID, as it is printed, or by the failed node's name. */
async function questionId(graph: GraphLike, thread: string, given: string): Promise<string> {
  const { waitingFor } = await inspectThread(graph, thread);
  const matching = waitingFor.filter((one) => one.id.startsWith(given));
  if (matching.length > 1)
    throw new ConfigError(`--question ${given} fits ${matching.length} open questions; give more of the ID`);
  return matching[0]?.id ?? given;
}
