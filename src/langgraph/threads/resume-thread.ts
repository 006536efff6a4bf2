import { Command } from "@langchain/langgraph";
import { DecisionRefusedError, ThreadError } from "../../errors/own-errors.js";
import type { Decision } from "../../recovery/decision.js";
import { checkDecision } from "../../recovery/intervention-request.js";
import { type GraphLike, type RunnableGraph, runnableGraph } from "./graph.js";
import { inspectResolved, type PendingInterrupt, type ThreadInspection } from "./inspect-thread.js";
import { resolveThread, type ThreadRef } from "./resolve-thread.js";
import { type RunOptions, type RunResult, runToEnd } from "./run.js";

export interface ResumeOptions extends RunOptions {
  /** A checkpoint ID: go on from there as a branch of its own; what came after it stays in the history. */
  readonly from?: string;
  /** Which question the decision answers, when several are open: an interrupt ID or the name of the failed node. */
  readonly answerTo?: string;
}

/**
 * Goes on with a thread: after a crash, a drain or a failure without a decision, after an interrupt with one.
 * A thread that waits for a person, resumed without a decision, is returned as it is. Failures of the run are returned,
 * not thrown.
 *
 * @param decision for a request of the human rung a {@link Decision}; for an interrupt of your own whatever it expects
 * @throws ThreadError THREAD_NOT_FOUND when nothing is stored, THREAD_NOT_RESUMABLE when there is nothing to go on with
 * @throws DecisionRefusedError when the decision fits no open question; the question stays open
 */
export async function resumeThread(
  graph: GraphLike,
  nameOrId: string,
  decision?: Decision | unknown,
  options: ResumeOptions = {},
): Promise<RunResult> {
  const runnable = runnableGraph(graph, "resumeThread()");
  const ref = await resolveThread(runnable, nameOrId);
  return await resumeResolved(runnable, ref, await inspectResolved(runnable, ref), decision, options);
}

export async function resumeResolved(
  graph: RunnableGraph,
  ref: ThreadRef,
  stored: ThreadInspection,
  decision: Decision | unknown,
  options: ResumeOptions,
): Promise<RunResult> {
  const label = ref.name ?? ref.threadId;
  const { from, answerTo, ...run } = options;
  if (!stored.stored) {
    throw new ThreadError(
      "THREAD_NOT_FOUND",
      `Nothing is stored for thread "${label}": it was never started, or its process died before the first checkpoint. Start it anew with its input`,
    );
  }
  if (from !== undefined) return await resumeFrom(graph, ref, from, decision, run, label);
  if (decision !== undefined) {
    const question = openQuestion(stored, answerTo, label);
    const answer = question.request === undefined ? decision : checkDecision(question.request, decision);
    return await runToEnd(graph, ref, new Command({ resume: { [question.id]: answer } }), run, true);
  }
  if (stored.status === "aborted")
    throw new ThreadError("THREAD_NOT_RESUMABLE", `Thread "${label}" was aborted: ${stored.error ?? ""}`);
  if (stored.status === "succeeded" || stored.status === "waiting_human") return standing(ref, stored, stored.status);
  return await runToEnd(graph, ref, null, run, true);
}

async function resumeFrom(
  graph: RunnableGraph,
  ref: ThreadRef,
  from: string,
  decision: Decision | unknown,
  run: RunOptions,
  label: string,
): Promise<RunResult> {
  const target = await graph.checkpointer.getTuple({
    configurable: { thread_id: ref.threadId, checkpoint_ns: "", checkpoint_id: from },
  });
  if (target === undefined) {
    throw new ThreadError(
      "THREAD_NOT_FOUND",
      `Thread "${label}" has no checkpoint ${from}; list them with the thread's history`,
    );
  }
  const input = decision === undefined ? null : new Command({ resume: decision });
  return await runToEnd(graph, ref, input, run, true, from);
}

function openQuestion(stored: ThreadInspection, answerTo: string | undefined, label: string): PendingInterrupt {
  const { waitingFor } = stored;
  const names = waitingFor.map((one) => `${one.request?.node ?? one.node} (${one.id})`).join(", ");
  if (waitingFor.length === 0)
    throw new DecisionRefusedError(`Thread "${label}" waits for no answer (${stored.status})`);
  const matching =
    answerTo === undefined
      ? waitingFor
      : waitingFor.filter((one) => one.id === answerTo || one.request?.node === answerTo);
  const [only, ...others] = matching;
  if (only === undefined)
    throw new DecisionRefusedError(`Thread "${label}" has no open question "${answerTo}"; open are: ${names}`);
  if (others.length > 0)
    throw new DecisionRefusedError(
      `Thread "${label}" has ${matching.length} open questions; say which one is answered: ${names}`,
    );
  return only;
}

function standing(ref: ThreadRef, stored: ThreadInspection, status: "succeeded" | "waiting_human"): RunResult {
  return {
    ...ref,
    status,
    values: stored.values,
    waitingFor: stored.waitingFor,
    ...(stored.checkpointId === undefined ? {} : { checkpointId: stored.checkpointId }),
    ran: false,
  };
}
