/** Runs that go on after the rollbacks that failed nodes have declared. */
import { persistenceOf } from "../../core/persistence-of.js";
import { redactText } from "../../core/redact.js";
import { asError } from "../../errors/own-errors.js";
import { automaticQuestion, rolledBackOrAsked } from "./automatic-rollback.js";
import { errorText } from "./inspect-thread.js";
import { type Beginning, type RunResult, runOnce, type ThreadRun } from "./run.js";

/** Goes on after each rollback that a failed node has declared, until it ends or a person has to be asked. */
export async function runToEnd(run: ThreadRun, beginning: Beginning): Promise<RunResult> {
  return goneOn(run, await runOnce(run, beginning));
}

/** What a run that ended, or a thread as it stands, comes to once nothing is left to be done by itself. */
export async function goneOn(run: ThreadRun, ended: RunResult): Promise<RunResult> {
  let result = ended;
  for (;;) {
    const question = result.status === "waiting_human" ? automaticQuestion(result.waitingFor) : undefined;
    if (question === undefined || run.lock.loss.aborted) return result;
    try {
      const { signal } = run.options;
      result = await runOnce(run, await rolledBackOrAsked(run, question, signal));
    } catch (thrown) {
      return notGoneOn(run, result, asError(thrown));
    }
  }
}

/** It was told to stop, or could not go on, in the middle of a rollback; the next run finishes that. */
async function notGoneOn({ graph, ref, lock, options }: ThreadRun, ended: RunResult, error: Error): Promise<RunResult> {
  const isStopped = options.signal?.aborted === true;
  const status = isStopped ? "drained" : "failed";
  const message = isStopped ? null : redactText(errorText(error));
  if (!lock.loss.aborted)
    await persistenceOf(graph.checkpointer)
      ?.threads.record({ threadId: ref.threadId, status, error: message })
      .catch(() => {});
  return { ...ended, status, ...(isStopped ? {} : { error }), ran: true };
}
