/**
 * What a node has declared to be taken back when it fails, and what a person decides of that kind: the run has ended by
 * then, so that the thread can be taken back beneath it, and goes on from there under the same lock.
 */
import { Command } from "@langchain/langgraph";
import { systemClock } from "../../core/clock.js";
import { persistenceOf } from "../../core/persistence-of.js";
import type { DeclaredRollback } from "../../core/records.js";
import { RollbackIncompleteError } from "../../errors/effect-errors.js";
import { asError } from "../../errors/own-errors.js";
import type { Decision } from "../../recovery/decision.js";
import type { InterventionRequest } from "../../recovery/intervention-request.js";
import type { RollbackReport } from "../../recovery/rollback-plan.js";
import { targetSchema } from "../../recovery/rollback-target.js";
import { ASK_INSTEAD } from "../human-intervention.js";
import { isRollback, openRollback, wayOf } from "../rollback/open-rollback.js";
import { type HeldThread, ledgerOf, performRollback } from "../rollback/perform-rollback.js";
import { wayBackFromHead } from "../rollback/way.js";
import type { PendingInterrupt } from "./inspect-thread.js";

/** What a run goes on with. */
export interface Onward {
  readonly input: unknown;
  readonly resumed: true;
}

const onward: Onward = { input: null, resumed: true };

/** A question that is not for a person as long as the rollback it names can be made. */
export function automaticQuestion(waitingFor: readonly PendingInterrupt[]): PendingInterrupt | undefined {
  return waitingFor.find(({ request, perhapsAnswered }) => request?.automatic !== undefined && !perhapsAnswered);
}

/**
 * Takes the thread back as the failed node has declared; where that cannot be done a person is asked instead.
 *
 * @throws what keeps it from being done now: the database above all; LeaseLostError
 */
export async function rolledBackOrAsked(
  thread: HeldThread,
  { id, request }: PendingInterrupt,
  signal: AbortSignal | undefined,
): Promise<Onward> {
  const { automatic, node = "" } = request ?? {};
  const why = automatic === undefined ? "it is none" : await notRolledBack(thread, node, automatic, signal);
  if (why === undefined) return onward;
  return { input: new Command({ resume: { [id]: { action: ASK_INSTEAD, why } } }), resumed: true };
}

async function notRolledBack(
  thread: HeldThread,
  node: string,
  { scope, max, acceptStanding, transaction }: DeclaredRollback,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const times = await timesInRun(thread, node);
  if (times >= max) return `it has been ${times === 1 ? "once" : `${times} times`} in this run already`;
  try {
    const range = { scope, transaction, withinRun: true };
    const report = await performRollback(thread, { range, acceptStanding, signal, because: node, resumes: true });
    return report.outcome === "done" ? undefined : incomplete(thread, report).message;
  } catch (thrown) {
    const error = asError(thrown) as Error & { readonly code?: unknown };
    // What it was refused for, a person can do something about; anything else may pass.
    if (error.code === "ROLLBACK_REFUSED" || error.code === "INVALID_INPUT" || error.code === "CHECKPOINT_CORRUPT")
      return error.message;
    throw error;
  }
}

/** How often this node's failure has taken the thread back since the input of the run. */
async function timesInRun({ graph, ref }: HeldThread, node: string): Promise<number> {
  const entries = await ledgerOf(graph, "runThread()").list(ref.threadId);
  const ways = entries.filter(isRollback).map(wayOf);
  const own = ways.filter(({ because }) => because === node);
  if (own.length === 0) return 0;
  const run = new Set<string>();
  for await (const place of wayBackFromHead(graph, ref.threadId)) {
    run.add(place.id);
    if ("source" in place && place.source === "input") break;
  }
  return own.filter(({ target }) => run.has(target)).length;
}

/**
 * Does what a person has decided of a failed step, as far as a run cannot do it itself.
 *
 * @returns with what the run goes on
 * @throws RollbackRefusedError and InvalidInputError, with nothing done and the question open; RollbackIncompleteError
 */
export async function decidedRollback(
  thread: HeldThread,
  question: PendingInterrupt & { readonly request: InterventionRequest },
  decision: Extract<Decision, { action: "rollback" }>,
  signal: AbortSignal | undefined,
): Promise<Onward> {
  const { to: given, transaction, acceptStanding = false, by, reason } = decision;
  const to = given === undefined ? undefined : targetSchema.parse(given);
  const scope = decision.scope ?? (to === undefined ? "step" : "session");
  const steps = question.request.scope === undefined ? [] : [question.request.scope];
  const range = scope === "step" ? { scope, steps } : { scope, to, transaction };
  const report = await performRollback(thread, {
    range,
    acceptStanding,
    signal,
    by: by ?? "unnamed",
    reason,
    resumes: true,
  });
  // Of a step it is the run that notes it.
  if (scope !== "step") await noteDecision(thread, question, decision);
  if (report.outcome === "incomplete") throw incomplete(thread, report);
  if (scope !== "step") return onward;
  const { action } = decision;
  const answer = { action, scope, acceptStanding, by, reason };
  return { input: new Command({ resume: { [question.id]: answer } }), resumed: true };
}

async function noteDecision(
  { graph, ref: { threadId } }: HeldThread,
  { id, request }: PendingInterrupt,
  decision: Extract<Decision, { action: "rollback" }>,
): Promise<void> {
  const { by = "unnamed", reason } = decision;
  await persistenceOf(graph.checkpointer)?.audit?.append({
    v: 1,
    id: `${threadId}/${id}`,
    at: systemClock.now(),
    by,
    what: "human.decided",
    threadId,
    ...(reason === undefined ? {} : { reason }),
    details: { node: request?.node, decision },
  });
}

/** One that was begun by a run which died is finished by whoever takes over. */
export async function finishedByRun(thread: HeldThread, signal: AbortSignal | undefined): Promise<void> {
  const open = await openRollback(ledgerOf(thread.graph, "runThread()"), thread.ref.threadId);
  if (open?.resumes === true) await performRollback(thread, { range: undefined, acceptStanding: false, signal });
}

function incomplete({ ref }: HeldThread, { failed }: RollbackReport): RollbackIncompleteError {
  return new RollbackIncompleteError(ref.name ?? ref.threadId, failed);
}
