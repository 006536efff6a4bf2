/** What the human node undoes itself: what the failed node has declared of its step, and what a person decides. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { AUTOMATIC } from "../core/audit-ports.js";
import { systemClock } from "../core/clock.js";
import type { FailureRecord } from "../core/records.js";
import type { Decision } from "../recovery/decision.js";
import { interruptCounter, wasAnswered } from "./attempt-internals.js";
import { notUndone, type UndoneStep, undoRun, undoStep } from "./rollback/undo-step.js";
import type { RunContext } from "./run-context.js";

interface Signed {
  readonly acceptStanding?: boolean | undefined;
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
}

const refusal = (why: string): UndoneStep => ({ kind: "refused", why, undone: 0, failed: 0 });

/** The rollback of the step that was declared, if it is still to be made. */
export async function ownRollback(
  failure: FailureRecord,
  context: RunContext,
  config: LangGraphRunnableConfig,
): Promise<UndoneStep | undefined> {
  const { rollback, rolledBack = 0 } = failure;
  if (rollback?.scope !== "step") return undefined;
  // Somebody was asked already: what they answer counts.
  if (wasAnswered(config)) return refusal("it was not possible");
  if (rolledBack >= rollback.max)
    return refusal(`it has been ${rolledBack === 1 ? "once" : `${rolledBack} times`} already`);
  return stepUndone(failure, rollback, context, config);
}

/** What is undone before a decision is acted on. */
export async function undoneFirst(
  failure: FailureRecord,
  decision: Decision,
  context: RunContext,
  config: LangGraphRunnableConfig,
): Promise<UndoneStep | undefined> {
  if (decision.action === "rollback") return stepUndone(failure, { by: "unnamed", ...decision }, context, config);
  const { persistence, threadId } = context;
  if (decision.action !== "abort" || decision.compensate === false) return undefined;
  if (persistence?.ledger === undefined || threadId === undefined) return undefined;
  const { by = "unnamed", reason } = decision;
  const failed = await undoRun({ ledger: persistence.ledger, threadId, by, reason }, config);
  return failed.length === 0 ? undefined : refusal(notUndone(failed));
}

async function stepUndone(
  { scope, node, rolledBack = 0 }: FailureRecord,
  { acceptStanding = false, by = AUTOMATIC, reason }: Signed,
  { persistence, threadId, emit }: RunContext,
  config: LangGraphRunnableConfig,
): Promise<UndoneStep> {
  const ledger = persistence?.ledger;
  if (ledger === undefined || threadId === undefined || scope === undefined)
    return refusal("the graph's checkpointer is not from openPersistence(): nothing is recorded that could be undone");
  // Once for each, however often the node is run again with it.
  const id = `${config.executionInfo?.taskId}/${interruptCounter(config)}/${rolledBack}`;
  const note = async (what: string, details: object) => {
    const signed = { by, ...(reason === undefined ? {} : { reason }) };
    const entry = { v: 1 as const, id: `${id}/${what}`, at: systemClock.now(), ...signed, what, threadId };
    await persistence?.audit?.append({ ...entry, details: { scope: "step", node, ...details } });
  };
  const begun = async (effects: number) => {
    emit("rollback.started", { scope: "step", target: node, effects, automatic: by === AUTOMATIC });
    await note("rollback.begun", { effects });
  };
  const came = await undoStep({ ledger, threadId, scope, acceptStanding, by, reason, begun }, config);
  if (came.kind === "undone") {
    emit("rollback.finished", { scope: "step", outcome: "done", undone: came.effects.length, failed: 0 });
    await note("rollback.done", { undone: came.effects.length });
    return came;
  }
  const { why, undone, failed } = came;
  if (failed > 0) emit("rollback.finished", { scope: "step", outcome: "incomplete", undone, failed });
  await note(failed > 0 ? "rollback.incomplete" : "rollback.refused", { why });
  return came;
}
