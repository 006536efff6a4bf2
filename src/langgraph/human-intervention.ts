import { Command, interrupt, type LangGraphRunnableConfig, Send } from "@langchain/langgraph";
import { z } from "zod";
import { systemClock } from "../core/clock.js";
import type { StoredEffect } from "../core/effect-ports.js";
import type { InboxPlan, StoredInboxItem } from "../core/inbox-ports.js";
import { parseOptions } from "../core/options.js";
import type { DecisionRecord, Directive, FailureRecord, RetryParameters } from "../core/records.js";
import { redact } from "../core/redact.js";
import { isControlFlow } from "../errors/control-flow.js";
import { asError, RunAbortedError } from "../errors/own-errors.js";
import { aboutRequest, withForeign } from "../recovery/answer-formats.js";
import { ACTIONS, type Decision, decisionSchema } from "../recovery/decision.js";
import { foreignFields } from "../recovery/foreign-fields.js";
import { checkPlan, inboxPlan, interventionPlanShape } from "../recovery/inbox-plan.js";
import { boundTo, type InterventionRequest, interventionRequest } from "../recovery/intervention-request.js";
import { interruptCounter } from "./attempt-internals.js";
import { sealReentry } from "./envelope.js";
import { ownRollback, undoneFirst } from "./human-undo.js";
import { askedAgain, deadlineOf, keptQuestion, noteAnswer, settleQuestion } from "./inbox/kept-question.js";
import { nodesAround } from "./internals.js";
import { isRollback } from "./rollback/open-rollback.js";
import { type RunContext, runContextOf, THREAD_NAME_KEY } from "./run-context.js";

export const humanInterventionSchema = z
  .strictObject({
    /** What a person may do; default all. `fallback` is offered only where the node declares one. */
    actions: z
      .array(z.enum(ACTIONS))
      .min(1)
      .default([...ACTIONS]),
    ...interventionPlanShape,
  })
  .superRefine(checkPlan);

export type HumanInterventionOptions = z.input<typeof humanInterventionSchema>;

/** What the node is sent: one failure. */
export interface HumanTask {
  readonly failure: FailureRecord;
  /** Of a question that somebody has handed on: how often, to whom, and which it was. */
  readonly escalated?: { readonly level: number; readonly to?: string; readonly from?: string };
}

/** What whoever runs the thread answers instead of a person, where the rollback that was declared cannot be made. */
export const ASK_INSTEAD = "ask";

interface AskInstead {
  readonly action: typeof ASK_INSTEAD;
  readonly why: string;
}

/**
 * The node that brings in a person. It is sent one failure at a time, asks with `interrupt()`, and re-enters the failed
 * node with what was decided. An answer that does not fit is refused and the question stays open. A rollback of the step
 * that its node has declared is made first.
 *
 * Use it through {@link installRecovery}, or build on it: it is a plain node, so another node may call it and do
 * something before or after.
 *
 * @throws RunAbortedError when the person ends the run
 */
export function humanIntervention(
  options: HumanInterventionOptions = {},
): (task: HumanTask, config: LangGraphRunnableConfig) => Promise<Command> {
  const { actions, ...asking } = parseOptions("humanIntervention()", humanInterventionSchema, options);
  const plan = inboxPlan(asking);
  return async function humanIntervention(task, config) {
    const { failure, escalated } = task;
    const context = runContextOf(config, "humanIntervention");
    await settleQuestion(context, escalated?.from, failure.decisions.at(-1));
    const own = await ownRollback(failure, context, config);
    if (own?.kind === "undone") return takenBack(failure);
    let refused = own?.why;
    let automatic = own === undefined ? failure.rollback : undefined;
    for (;;) {
      const question = interruptCounter(config) + 1;
      const shown = { effects: await effectsOf(context), refused, automatic, question };
      const asked = interventionRequest(failure, actions, { ...requestContext(config), ...shown });
      const item = await kept(asked, plan, escalated, context, config);
      const timed = { ...asked, ...deadlineOf(item) };
      const decision = await ask({ ...timed, ...foreignFields(timed) }, item, context, config);
      if (decision.action === ASK_INSTEAD) {
        refused = decision.why;
        automatic = undefined;
        continue;
      }
      await noteDecision(decision, failure, question, context, config);
      const { action, by = "unnamed", reason } = decision;
      await noteAnswer(context, asked.id, { action, by, reason });
      const undone = await undoneFirst(failure, decision, context, config);
      if (undone?.kind !== "refused") {
        const decided = { ...failure, decisions: [...failure.decisions, recordOf(decision)] };
        return act(decided, decision, { node: context.node, item: asked.id, level: item?.level ?? 0 });
      }
      refused = undone.why;
    }
  };
}

/** The step is run again as if for the first time, but for what is remembered of its failures. */
function takenBack(failure: FailureRecord): Command {
  return act({ ...failure, rolledBack: (failure.rolledBack ?? 0) + 1 }, { action: "retry" }, { node: "", level: 0 });
}

/** A rollback that is made by whoever runs the thread has begun by then. */
const automaticMs = 60_000;

/** The question in the inbox, under which people of all threads find it. */
function kept(
  request: InterventionRequest,
  plan: InboxPlan | undefined,
  escalated: HumanTask["escalated"],
  context: RunContext,
  config: LangGraphRunnableConfig,
) {
  const { id, hash, kind, summary } = request;
  const node = [...(request.within ?? []), request.node].join("/");
  const handedOn = { level: escalated?.level, assignee: escalated?.to };
  // What whoever runs the thread sees to is no question to people yet.
  const tellAfterMs = request.automatic === undefined ? 0 : automaticMs;
  const given = { id, hash, kind, summary, node, request, plan, ...handedOn };
  return keptQuestion(context, config, given, { tellAfterMs });
}

/** A question without them is better than none. */
async function effectsOf({ persistence, threadId }: RunContext): Promise<readonly StoredEffect[] | undefined> {
  if (persistence?.ledger === undefined || threadId === undefined) return undefined;
  try {
    return (await persistence.ledger.list(threadId)).filter((entry) => !isRollback(entry));
  } catch (error) {
    process.emitWarning(
      `The effects of thread ${threadId} could not be read for a person to see: ${asError(error).message}`,
      "ResilienceWarning",
    );
    return undefined;
  }
}

async function ask(
  request: InterventionRequest,
  item: StoredInboxItem | undefined,
  context: RunContext,
  config: LangGraphRunnableConfig,
): Promise<Decision | AskInstead> {
  const offered = request.actions.map((offer) => offer.action);
  const own = boundTo(request.hash, decisionSchema(offered, request.fallbacks, true));
  const decision = withForeign(own, aboutRequest(request));
  try {
    return interrupt<InterventionRequest, Decision | AskInstead>(request, {
      responseSchema: (request.automatic === undefined ? decision : z.union([decision, askInstead])) as never,
    });
  } catch (error) {
    if (isControlFlow(error)) await askedAgain(context, item);
    if (isControlFlow(error) && request.automatic === undefined) {
      context.emit("human.requested", { interventionId: taskId(config), failedNode: request.node });
    }
    throw error;
  }
}

const askInstead = z.strictObject({ action: z.literal(ASK_INSTEAD), why: z.string() });

/** Once for each answer, however often the node is run again with it. */
async function noteDecision(
  decision: Decision,
  { node }: FailureRecord,
  question: number,
  { emit, persistence, threadId }: RunContext,
  config: LangGraphRunnableConfig,
): Promise<void> {
  const { action, by = "unnamed", reason } = decision;
  const interventionId = taskId(config);
  emit("human.decided", { interventionId, failedNode: node, action, by });
  await persistence?.audit?.append({
    v: 1,
    id: `${interventionId}/${question}`,
    at: systemClock.now(),
    by,
    what: "human.decided",
    ...(threadId === undefined ? {} : { threadId }),
    ...(reason === undefined ? {} : { reason }),
    details: { node, decision: redact(decision) },
  });
}

interface Asked {
  readonly node: string;
  /** ID of the question. */
  readonly item?: string;
  readonly level: number;
}

function act(failure: FailureRecord, decision: Decision, asked: Asked): Command {
  const reenter = (directive: Directive, input: unknown = failure.input, state: Record<string, unknown> = {}) => {
    const { attempts, decisions, scope, rolledBack } = failure;
    const stepped = {
      ...(scope === undefined ? {} : { scope }),
      ...(rolledBack === undefined ? {} : { rolledBack }),
      ...(asked.item === undefined ? {} : { question: asked.item }),
    };
    const { sent, update } = sealReentry({ v: 1, input, directive, attempts, decisions, ...stepped });
    return new Command({ update: { ...state, ...update }, goto: [new Send(failure.node, sent)] });
  };
  switch (decision.action) {
    case "rollback":
    case "retry":
      return reenter({ kind: "retry" });
    case "adjust": {
      const parameters = definedParameters(decision.parameters);
      const state = decision.state ?? {};
      return reenter(
        { kind: "retry", ...(parameters === undefined ? {} : { parameters }) },
        merged(failure.input, state),
        state,
      );
    }
    case "fallback":
      return reenter({ kind: "fallback", step: decision.step ?? failure.fallbacks[0] ?? "" });
    case "provide":
      return reenter({ kind: "provide", result: decision.result });
    case "escalate":
      return new Command({ goto: [new Send(asked.node, handedOn(failure, decision.to, asked))] });
    case "abort":
      throw new RunAbortedError(failure.node, decision.by ?? "an unnamed person", decision.reason ?? "");
  }
}

function handedOn(failure: FailureRecord, to: string | undefined, { item, level }: Asked): HumanTask {
  const handed = { ...(to === undefined ? {} : { to }), ...(item === undefined ? {} : { from: item }) };
  return { failure, escalated: { level: level + 1, ...handed } };
}

function recordOf(decision: Decision): DecisionRecord {
  const { action, by, reason } = decision;
  const to = decision.action === "escalate" ? decision.to : undefined;
  return {
    action,
    by: by ?? "unnamed",
    at: new Date(systemClock.now()).toISOString(),
    ...(reason === undefined ? {} : { reason }),
    ...(to === undefined ? {} : { to }),
  };
}

function merged(input: unknown, state: Record<string, unknown>): unknown {
  return typeof input === "object" && input !== null && !Array.isArray(input) ? { ...input, ...state } : input;
}

function definedParameters(given: Extract<Decision, { action: "adjust" }>["parameters"]): RetryParameters | undefined {
  if (given === undefined) return undefined;
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function requestContext(config: LangGraphRunnableConfig) {
  const configurable = (config.configurable ?? {}) as Record<string, unknown>;
  const id = config.executionInfo?.checkpointId;
  const step = config.metadata?.langgraph_step;
  const within = nodesAround(config);
  return {
    task: taskId(config),
    within: within.length === 0 ? undefined : within,
    threadId: text(configurable.thread_id),
    threadName: text(configurable[THREAD_NAME_KEY]),
    graph: text(configurable.graph_id),
    checkpoint: id === undefined ? undefined : { id, ...(typeof step === "number" ? { step: step - 1 } : {}) },
  };
}

function taskId(config: LangGraphRunnableConfig): string {
  return config.executionInfo?.taskId ?? "";
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
