/**
 * What a node has declared to be taken back when it fails, and what a person decides of that kind: the run has ended by
 * then, so that the thread can be taken back beneath it, and goes on from there under the same lock.
 */
import { Command } from "@langchain/langgraph";
import { z } from "zod";
import { systemClock } from "../../core/clock.js";
import { persistenceOf } from "../../core/persistence-of.js";
import type { DeclaredRollback } from "../../core/records.js";
import { RollbackIncompleteError } from "../../errors/effect-errors.js";
import { asError, DecisionRefusedError } from "../../errors/own-errors.js";
import type { Decision } from "../../recovery/decision.js";
import { changeItem } from "../../recovery/inbox-change.js";
import { settled } from "../../recovery/inbox-life.js";
import type { InterventionRequest } from "../../recovery/intervention-request.js";
import type { RollbackReport } from "../../recovery/rollback-plan.js";
import { checkRange, type ParsedRange, rangeShape } from "../../recovery/rollback-target.js";
import { ASK_INSTEAD } from "../human-intervention.js";
import { amidRollback, isRollback, openRollback, wayOf } from "../rollback/open-rollback.js";
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
  const why =
    request?.automatic === undefined ? "it is none" : await notRolledBack(thread, request, request.automatic, signal);
  if (why === undefined) return onward;
  return { input: new Command({ resume: { [id]: { action: ASK_INSTEAD, why } } }), resumed: true };
}

async function notRolledBack(
  thread: HeldThread,
  { node, within = [], scope: step }: InterventionRequest,
  { scope, max, acceptStanding, transaction }: DeclaredRollback,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const because = [...within, node].join("/");
  try {
    const run = await runOf(thread);
    const times = await timesInRun(thread, because, run);
    if (times >= max) return `it has been ${times === 1 ? "once" : `${times} times`} in this run already`;
    const failedAt = step?.[0]?.checkpointId;
    const range = {
      scope,
      transaction: scope === "transaction" ? transaction : undefined,
      withinRun: true,
      ...(failedAt === undefined ? {} : { notAfter: [failedAt] }),
    };
    const asked = { range, acceptStanding, signal, because, resumes: true };
    const report = await performRollback(thread, run === undefined ? asked : { ...asked, run });
    return report.outcome === "done" ? undefined : incomplete(thread, report).message;
  } catch (thrown) {
    const error = asError(thrown) as Error & { readonly code?: unknown };
    // What it was refused for, a person can do something about; anything else may pass.
    if (REFUSALS.includes(String(error.code))) return error.message;
    throw error;
  }
}

const REFUSALS: readonly string[] = ["ROLLBACK_REFUSED", "INVALID_INPUT", "CHECKPOINT_CORRUPT", "CONFIG"];

/** How often this node's failure has taken the thread back in the run that began with this input. */
async function timesInRun({ graph, ref }: HeldThread, node: string, run: string | undefined): Promise<number> {
  const entries = await ledgerOf(graph, "runThread()").list(ref.threadId);
  return entries
    .filter(isRollback)
    .map(wayOf)
    .filter((way) => way.because === node && way.run === run).length;
}

/** The ID of the checkpoint with the input of the run; undefined where it was pruned. */
async function runOf({ graph, ref }: HeldThread): Promise<string | undefined> {
  for await (const place of wayBackFromHead(graph, ref.threadId))
    if ("source" in place && place.source === "input") return place.id;
  return undefined;
}

const decidedSchema = z.object(rangeShape).superRefine(checkRange);

/** @throws DecisionRefusedError for parts that do not go together */
function decidedRange(
  { request }: PendingInterrupt & { readonly request: InterventionRequest },
  { scope, to, transaction }: Extract<Decision, { action: "rollback" }>,
): ParsedRange {
  const meant = scope ?? (transaction !== undefined ? "transaction" : to !== undefined ? "session" : "step");
  // Of several transactions, that of the node.
  const own = meant === "transaction" ? (transaction ?? request.automatic?.transaction) : transaction;
  const parsed = decidedSchema.safeParse({ scope: meant, to, transaction: own });
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
  throw new DecisionRefusedError(`Node "${request.node}": "rollback" does not fit: ${faults}`);
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
  const { acceptStanding = false, by, reason } = decision;
  const { scope, ...rest } = decidedRange(question, decision);
  const steps = question.request.scope === undefined ? [] : [question.request.scope];
  const range = scope === "step" ? { scope, steps } : { scope, ...rest };
  const report = await performRollback(thread, {
    range,
    acceptStanding,
    signal,
    by: by ?? "unnamed",
    reason,
    resumes: true,
  });
  // Of a step it is the run that notes it.
  if (report.outcome === "incomplete") throw incomplete(thread, report);
  if (scope !== "step") await noteDecision(thread, question, decision);
  if (scope !== "step") return onward;
  const { action } = decision;
  const answer = { action, scope, acceptStanding, by, reason };
  return { input: new Command({ resume: { [question.id]: answer } }), resumed: true };
}

/**
 * Undoes what the run did before it is ended; what cannot be undone stays.
 *
 * @throws RollbackIncompleteError, with the question open, when an undoing fails for good
 */
export async function undoneBeforeAbort(
  thread: HeldThread,
  { compensate = true, by, reason }: Extract<Decision, { action: "abort" }>,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!compensate || persistenceOf(thread.graph.checkpointer)?.ledger === undefined) return;
  const range = { scope: "process", stays: true } as const;
  const asked = { by: by ?? "unnamed", reason, resumes: true, acceptStanding: true };
  const report = await performRollback(thread, { range, signal, ...asked });
  if (report.outcome === "incomplete") throw incomplete(thread, report);
}

async function noteDecision(
  { graph, ref: { threadId } }: HeldThread,
  { id, request }: PendingInterrupt & { readonly request: InterventionRequest },
  decision: Extract<Decision, { action: "rollback" }>,
): Promise<void> {
  const { action, by = "unnamed", reason } = decision;
  const { audit, inbox } = persistenceOf(graph.checkpointer) ?? {};
  const resolution = { action, by, at: systemClock.now(), ...(reason === undefined ? {} : { reason }) };
  if (inbox !== undefined) await changeItem(inbox, request.id, (item) => settled(item, resolution));
  await audit?.append({
    v: 1,
    id: `${threadId}/${id}`,
    at: systemClock.now(),
    by,
    what: "human.decided",
    threadId,
    ...(reason === undefined ? {} : { reason }),
    details: { node: request.node, decision },
  });
}

/**
 * One that was begun by a run which died is finished by whoever takes over.
 *
 * @throws ThreadError THREAD_NOT_RESUMABLE while one that somebody has asked for is not finished, or this one cannot be
 */
export async function finishRollback(thread: HeldThread, signal: AbortSignal | undefined): Promise<void> {
  const { threadId, name: label = threadId } = thread.ref;
  const ledger = persistenceOf(thread.graph.checkpointer)?.ledger;
  const open = ledger === undefined ? undefined : await openRollback(ledger, threadId);
  if (open === undefined) return;
  if (open.resumes !== true) throw amidRollback(open, threadId, label);
  const { outcome } = await performRollback(thread, { range: undefined, acceptStanding: false, signal });
  if (outcome === "incomplete") throw amidRollback(open, threadId, label);
}

function incomplete({ ref }: HeldThread, { failed }: RollbackReport): RollbackIncompleteError {
  return new RollbackIncompleteError(ref.name ?? ref.threadId, failed);
}
