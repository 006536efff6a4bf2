import { userInfo } from "node:os";
import { ConfigError } from "../../errors/own-errors.js";
import { LAST_SOUND } from "../../langgraph/threads/damage.js";
import type { GraphLike } from "../../langgraph/threads/graph.js";
import { inspectThread } from "../../langgraph/threads/inspect-thread.js";
import { resumeThread } from "../../langgraph/threads/resume-thread.js";
import { type GlobalOptions, withScope } from "../command-scope.js";
import { EXIT, exitCodeOfStatus } from "../exit-codes.js";
import { jsonOption } from "../json-option.js";
import { parseFaults, waitMsOf } from "../option-values.js";
import { printResult } from "../output.js";
import { onStopSignals } from "../stop-signals.js";
import { inTurn } from "../thread-in-turn.js";
import { targetOf } from "./rollback.js";

export interface ResumeFlags {
  readonly action?: string;
  readonly answer?: string;
  readonly state?: string;
  readonly parameters?: string;
  readonly step?: string;
  readonly result?: string;
  readonly to?: string;
  readonly scope?: string;
  readonly transaction?: string;
  readonly acceptStanding?: true;
  readonly keepEffects?: true;
  readonly of?: string;
  readonly reason?: string;
  readonly question?: string;
  readonly from?: string;
  readonly fromLastSound?: true;
  readonly graph?: string;
  readonly as?: string;
  readonly fail: readonly string[];
  readonly wait?: true | string;
}

export async function resume(thread: string, flags: ResumeFlags, global: GlobalOptions): Promise<number> {
  const decision = await decisionOf(flags);
  const from = fromOf(flags);
  const injectFaults = parseFaults(flags.fail);
  const waitMs = waitMsOf(flags.wait);
  return await withScope(global, async (scope) => {
    const { name, graph } = await scope.graphOfThread(thread, flags.graph);
    const { output } = scope;
    output.line(`Thread ${thread} on ${scope.persistence.description}`);
    const answerTo = flags.question === undefined ? undefined : await questionId(graph, thread, flags.question);
    const stop = onStopSignals(() => process.exit(EXIT.stopped));
    try {
      const result = await inTurn(output, waitMs, (locking) =>
        resumeThread(graph, thread, decision, {
          graphName: name,
          ...locking,
          control: stop.control,
          signal: stop.signal,
          onEvent: output.onEvent,
          injectFaults,
          ...(from === undefined ? {} : { from }),
          ...(answerTo === undefined ? {} : { answerTo }),
        }),
      );
      printResult(output, result);
      return exitCodeOfStatus(result.status, result.error);
    } finally {
      stop.dispose();
    }
  });
}

function fromOf({ from, fromLastSound }: ResumeFlags): string | undefined {
  if (fromLastSound === undefined) return from;
  if (from !== undefined) throw new ConfigError("--from and --from-last-sound name two places; give one of them");
  return LAST_SOUND;
}

/** Which actions a flag goes with. */
const belonging: Readonly<Record<string, readonly string[]>> = {
  state: ["adjust"],
  parameters: ["adjust"],
  step: ["fallback"],
  result: ["provide"],
  to: ["escalate", "rollback"],
  scope: ["rollback"],
  transaction: ["rollback"],
  acceptStanding: ["rollback"],
  keepEffects: ["abort"],
  of: ["approve", "reject"],
};

/** The decision the flags describe; undefined when they describe none. */
async function decisionOf(flags: ResumeFlags): Promise<unknown> {
  if (flags.answer !== undefined && flags.action !== undefined)
    throw new ConfigError(
      "--answer is for a graph's own interrupts, --action for intervention requests and approvals; give one of them",
    );
  for (const [flag, actions] of Object.entries(belonging)) {
    if (flags[flag as keyof ResumeFlags] !== undefined && !actions.includes(flags.action ?? ""))
      throw new ConfigError(
        `--${flag.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} goes with --action ${actions.join(" or ")}`,
      );
  }
  for (const flag of ["reason", "as"] as const) {
    if (flags[flag] !== undefined && flags.action === undefined) throw new ConfigError(`--${flag} goes with --action`);
  }
  if (flags.question !== undefined && flags.action === undefined && flags.answer === undefined)
    throw new ConfigError("--question goes with --action or --answer");
  if (flags.answer !== undefined) return await jsonOption("--answer", flags.answer);
  if (flags.action === undefined) return undefined;
  return {
    action: flags.action,
    ...(flags.state === undefined ? {} : { state: await jsonOption("--state", flags.state) }),
    ...(flags.parameters === undefined ? {} : { parameters: await jsonOption("--parameters", flags.parameters) }),
    ...(flags.step === undefined ? {} : { step: flags.step }),
    ...(flags.result === undefined ? {} : { result: await jsonOption("--result", flags.result) }),
    ...(flags.to === undefined ? {} : { to: flags.action === "rollback" ? targetOf(flags.to) : flags.to }),
    ...(flags.scope === undefined ? {} : { scope: flags.scope }),
    ...(flags.transaction === undefined ? {} : { transaction: flags.transaction }),
    ...(flags.acceptStanding === undefined ? {} : { acceptStanding: true }),
    ...(flags.keepEffects === undefined ? {} : { compensate: false }),
    ...(flags.of === undefined ? {} : { of: flags.of }),
    ...(flags.reason === undefined ? {} : { reason: flags.reason }),
    by: flags.as ?? userInfo().username,
  };
}

/** A question by the beginning of its ID, as it is printed, or by the failed node's name. */
async function questionId(graph: GraphLike, thread: string, given: string): Promise<string> {
  const { waitingFor } = await inspectThread(graph, thread);
  const matching = waitingFor.filter((one) => one.id.startsWith(given));
  if (matching.length > 1)
    throw new ConfigError(`--question ${given} fits ${matching.length} open questions; give more of the ID`);
  return matching[0]?.id ?? given;
}
