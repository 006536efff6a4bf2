import { Command } from "@langchain/langgraph";
import type { WentBack } from "../../core/events.js";
import { persistenceOf } from "../../core/persistence-of.js";
import { RUN_HOLD, type RunHold } from "../../core/run-hold.js";
import { DecisionRefusedError, ThreadError } from "../../errors/own-errors.js";
import { type ApprovalAnswer, checkApproval } from "../../recovery/approval-request.js";
import type { Decision } from "../../recovery/decision.js";
import { checkDecision, type InterventionRequest } from "../../recovery/intervention-request.js";
import { TAKEOVER_KEY } from "../attempt-history.js";
import { hasInterrupt } from "../checkpoint-internals.js";
import { settleInbox } from "../inbox/settle-inbox.js";
import { decidedRollback, type Onward, undoneBeforeAbort } from "./automatic-rollback.js";
import { type DamagePlan, damagePlan, ifDamage, isDamage, LAST_SOUND, wayBack } from "./damage.js";
import { goneOn, runToEnd } from "./gone-on.js";
import { type GraphLike, type RunnableGraph, runnableGraph } from "./graph.js";
import { inspectResolved, type PendingInterrupt, type ThreadInspection } from "./inspect-thread.js";
import { checkAnswerable, openQuestion } from "./open-question.js";
import { resolveThread, type ThreadRef } from "./resolve-thread.js";
import { type RunOptions, type RunResult, type ThreadRun, withRun } from "./run.js";
import { putStandIn } from "./stand-in.js";

export interface ResumeOptions extends RunOptions {
  /**
   * A checkpoint ID: go on from there as a branch of its own; what came after it stays in the history. "lastSound": where
   * the newest checkpoint is damaged, go on from the last one that is not.
   */
  readonly from?: string;
  /** Which question the decision answers, when several are open: an interrupt ID, the ID of the question in the inbox, or the name of the failed or asking node. */
  readonly answerTo?: string;
}

/**
 * Goes on with a thread: after a crash, a drain or a failure without a decision, after an interrupt with one.
 * A thread that waits for a person, resumed without a decision, is returned as it is. Failures of the run are returned,
 * not thrown.
 *
 * @param decision for a request of the human rung a {@link Decision}; for an effect that waits for approval an
 * {@link ApprovalAnswer}; for an interrupt of your own whatever it expects
 * @throws ThreadError THREAD_NOT_FOUND when nothing is stored, THREAD_NOT_RESUMABLE when there is nothing to go on with
 * @throws DecisionRefusedError when the decision fits no open question; the question stays open
 * @throws CheckpointCorruptError when its newest checkpoint is damaged, and neither `from` nor `onCorrupt` lets it go back
 * @throws ThreadBusyError when another run has the thread; nothing was changed
 * @throws CancelledError when it is told to stop while it waits for the thread
 */
export async function resumeThread(
  graph: GraphLike,
  nameOrId: string,
  decision?: Decision | ApprovalAnswer,
  options?: ResumeOptions,
): Promise<RunResult>;
export async function resumeThread(
  graph: GraphLike,
  nameOrId: string,
  answer: unknown,
  options?: ResumeOptions,
): Promise<RunResult>;
export async function resumeThread(
  graph: GraphLike,
  nameOrId: string,
  decision?: unknown,
  options: ResumeOptions = {},
): Promise<RunResult> {
  const runnable = runnableGraph(graph, "resumeThread()");
  return resumeKnown(runnable, await resolveThread(runnable, nameOrId), decision, options);
}

/** The same for a thread that is known already. @param isAutomatic whether nobody answers, but the question's time is over */
export async function resumeKnown(
  runnable: RunnableGraph,
  ref: ThreadRef,
  decision: unknown,
  options: ResumeOptions,
  isAutomatic = false,
): Promise<RunResult> {
  const { from, answerTo, ...run } = options;
  const plan = damagePlan("resumeThread()", options, from);
  return await withRun("resumeThread()", runnable, ref, run, async (locked) =>
    resumeResolved(locked, await inspectResolved(runnable, ref, plan), decision, { from, answerTo, plan, isAutomatic }),
  );
}

/** What of {@link ResumeOptions} is not of the run itself. */
interface Where {
  readonly from?: string | undefined;
  readonly answerTo?: string | undefined;
  /** What to do about a damage; default: refuse. */
  readonly plan?: DamagePlan;
  readonly isAutomatic?: boolean;
}

export async function resumeResolved(
  run: ThreadRun,
  stored: ThreadInspection,
  decision: unknown,
  { from, answerTo, plan, isAutomatic = false }: Where = {},
): Promise<RunResult> {
  const { graph, ref } = run;
  const label = labelOf(ref);
  if (!stored.stored) {
    throw new ThreadError(
      "THREAD_NOT_FOUND",
      `Nothing is stored for thread "${label}": it was never started, or its process died before the first checkpoint. Start it anew with its input, e.g. lgr run <graph> --thread ${label} --input '{…}'`,
    );
  }
  if (from !== undefined && from !== LAST_SOUND) return await resumeFrom(run, from, decision, answerTo);
  if (stored.damage !== undefined) {
    if (plan?.goesBack !== true) throw stored.damage;
    const wentBack = await wayBack(graph, ref, stored.damage, plan);
    return await resumeFrom(run, wentBack.checkpointId, decision, answerTo, wentBack);
  }
  if (stored.status === "aborted") {
    await settleInbox(graph.checkpointer, { ...stored, waitingFor: [] });
    throw new ThreadError(
      "THREAD_NOT_RESUMABLE",
      `Thread "${label}" cannot go on: ${stored.error ?? "it was aborted; resume it from an earlier checkpoint to go on all the same"}`,
    );
  }
  if (decision !== undefined) {
    const question = await settledQuestion(run, stored, answerTo);
    const answer = checkedAnswer(question, decision);
    if (isOurs(question))
      await checkAnswerable(question, answer, persistenceOf(graph.checkpointer)?.inbox, isAutomatic);
    if (question.request !== undefined) await checkUpdate(graph, ref, question.request, answer as Decision);
    const onward = isRequest(question) ? await beforeAnswer(run, question, answer as Decision) : undefined;
    if (onward !== undefined) return await runToEnd(run, onward);
    return await runToEnd(run, { input: new Command({ resume: { [question.id]: answer } }), resumed: true });
  }
  const standsStill =
    stored.status === "waiting_human" && stored.waitingFor.every((one) => one.perhapsAnswered !== true);
  if (stored.status === "succeeded" || standsStill) {
    await settleInbox(graph.checkpointer, stored);
    return goneOn(run, standing(ref, stored, stored.status as "waiting_human"));
  }
  return await runToEnd(await asTakeover(run, stored), { input: null, resumed: true });
}

/** @throws DecisionRefusedError for an answer to a question of ours that does not fit it */
function checkedAnswer({ request, approval }: PendingInterrupt, given: unknown): unknown {
  if (request !== undefined) return checkDecision(request, given);
  return approval === undefined ? given : checkApproval(approval, given);
}

function isOurs({ request, approval }: PendingInterrupt): boolean {
  return request !== undefined || approval !== undefined;
}

/** What has to be done of a decision while nothing runs; with what the run goes on, where the answer is not it. */
async function beforeAnswer(
  run: ThreadRun,
  question: PendingInterrupt & { readonly request: InterventionRequest },
  decision: Decision,
): Promise<Onward | undefined> {
  const { signal } = run.options;
  if (decision.action === "rollback") return decidedRollback(run, question, decision, signal);
  if (decision.action === "abort") await undoneBeforeAbort(run, decision, signal);
  return undefined;
}

function isRequest(
  question: PendingInterrupt,
): question is PendingInterrupt & { readonly request: InterventionRequest } {
  return question.request !== undefined;
}

function labelOf({ name, threadId }: ThreadRef): string {
  return name ?? threadId;
}

/**
 * Whoever ran it last did not write down how that ended: its process died, and what it had begun counts as one attempt.
 * Of a thread last run by other means nothing is known; nor can a step that waits for its answer be told from one that
 * died beside it.
 */
async function asTakeover(run: ThreadRun, { waitingFor }: ThreadInspection): Promise<ThreadRun> {
  const record = await persistenceOf(run.graph.checkpointer)?.threads.get(run.ref.threadId);
  const died = record?.status === "running" && waitingFor.every((one) => one.perhapsAnswered === true);
  if (!died) return run;
  return { ...run, options: { ...run.options, configurable: { ...run.options.configurable, [TAKEOVER_KEY]: true } } };
}

/** The question to answer, after the node was run again where it may have had its answer already. */
async function settledQuestion(
  run: ThreadRun,
  stored: ThreadInspection,
  answerTo: string | undefined,
): Promise<PendingInterrupt> {
  const label = labelOf(run.ref);
  const { inbox } = persistenceOf(run.graph.checkpointer) ?? {};
  const question = await openQuestion(stored, answerTo, label, inbox);
  if (question.perhapsAnswered !== true) return question;
  const settled = await runToEnd(await asTakeover(run, stored), { input: null, resumed: true });
  if (run.lock.loss.aborted) throw run.lock.loss.reason;
  const still = settled.waitingFor.find((one) => one.id === question.id);
  if (still !== undefined) return still;
  throw new DecisionRefusedError(
    `Thread "${label}": the question of "${question.node}" had been answered before; the run went on with that answer and stands at ${settled.status}`,
  );
}

/**
 * Goes on from an old checkpoint in a branch of its own. LangGraph's replay finds the states that subgraphs had there;
 * but at the head it would resume instead, with the answers and errors that hang on it, so the head is forked first.
 */
async function resumeFrom(
  run: ThreadRun,
  from: string,
  decision: unknown,
  answerTo: string | undefined,
  wentBack?: WentBack,
): Promise<RunResult> {
  const { graph, ref, lock } = run;
  const label = labelOf(ref);
  const target = { configurable: { thread_id: ref.threadId, checkpoint_ns: "", checkpoint_id: from } };
  const stored = await graph.checkpointer.getTuple(target);
  if (stored === undefined) {
    throw new ThreadError(
      "THREAD_NOT_FOUND",
      `Thread "${label}" has no checkpoint ${from}; list them with the thread's history`,
    );
  }
  const asked = hasInterrupt(stored.pendingWrites ?? []);
  if (decision !== undefined && !asked) {
    throw new DecisionRefusedError(
      `Thread "${label}" asked nothing at checkpoint ${from}, so there is nothing to decide there; resume from it first, and answer what is asked then`,
    );
  }
  const newest = { configurable: { thread_id: ref.threadId, checkpoint_ns: "" } };
  const head = await graph.checkpointer.getTuple(newest).catch(ifDamage);
  const isHead = head !== undefined && !isDamage(head) && head.checkpoint.id === from;
  const hold: RunHold = { ...(lock.lease === undefined ? {} : { lease: lock.lease }), abort: () => {} };
  if (isDamage(head)) await putStandIn(graph, stored, head, hold);
  if (isHead) {
    await graph.updateState({ configurable: { ...target.configurable, [RUN_HOLD]: hold } }, null);
  }
  const result = await runToEnd(run, { input: null, resumed: true, from: isHead ? undefined : from, wentBack });
  if (decision === undefined || lock.loss.aborted) return result;
  const answered = await resumeResolved(run, await inspectResolved(graph, ref), decision, { answerTo });
  return wentBack === undefined ? answered : { ...answered, wentBack };
}

/**
 * @throws DecisionRefusedError for state that the graph would drop without a word, or that contradicts what another
 * answer of the same superstep has set
 */
async function checkUpdate(
  graph: RunnableGraph,
  ref: ThreadRef,
  request: InterventionRequest,
  answer: Decision,
): Promise<void> {
  const update = answer.action === "adjust" ? answer.state : answer.action === "provide" ? answer.result : undefined;
  // The state of a subgraph is its own, though the root may have a node of the same name.
  if (typeof update !== "object" || update === null || request.within !== undefined) return;
  const keys = Object.keys(update);
  const unknown = keys.filter((key) => !Object.hasOwn(graph.channels, key));
  if (unknown.length > 0) {
    const known = Object.keys(graph.channels).filter((name) => !/^(__|branch:|join:)/.test(name));
    throw new DecisionRefusedError(`The graph's state has no "${unknown.join('", "')}"; it has: ${known.join(", ")}`);
  }
  if (answer.action !== "adjust") return;
  const head = await graph.checkpointer.getTuple({ configurable: { thread_id: ref.threadId, checkpoint_ns: "" } });
  const single = (key: string) => graph.channels[key]?.lc_graph_name === "LastValue";
  const taken = head?.pendingWrites?.find(([, channel]) => keys.includes(channel) && single(channel))?.[1];
  if (taken === undefined) return;
  throw new DecisionRefusedError(
    `"${taken}" has been changed by another answer already, and it can be changed once a step; answer without it, or answer the others first`,
  );
}

function standing(ref: ThreadRef, stored: ThreadInspection, status: "succeeded" | "waiting_human"): RunResult {
  return {
    ...ref,
    status,
    values: stored.values,
    waitingFor: stored.waitingFor,
    next: stored.next,
    ...(stored.checkpointId === undefined ? {} : { checkpointId: stored.checkpointId }),
    ran: false,
  };
}
