/**
 * How a task asks whether one of its effects may be begun: with `interrupt()`, whose answers LangGraph hands out in the
 * order of the questions. Effects side by side may come to ask in another order when the task is run again, so an answer
 * is looked for among all that the task was given: by what it says it is of, or by the number of the question.
 */
import { isDeepStrictEqual } from "node:util";
import { interrupt, type LangGraphRunnableConfig } from "@langchain/langgraph";
import type { EffectEntry, EffectLedger } from "../../core/effect-ports.js";
import type { InboxPlan } from "../../core/inbox-ports.js";
import { approvalHash } from "../../effects/approve-effect.js";
import type { Approval, Verdict } from "../../effects/effect-request.js";
import { isControlFlow } from "../../errors/control-flow.js";
import { InvalidInputError } from "../../errors/own-errors.js";
import { withForeign } from "../../recovery/answer-formats.js";
import {
  type ApprovalAnswer,
  approvalRequest,
  approvalSchema,
  unfitApproval,
} from "../../recovery/approval-request.js";
import { foreignFields } from "../../recovery/foreign-fields.js";
import { inboxId } from "../../recovery/inbox-life.js";
import { answersOfTask, runInConfig } from "../attempt-internals.js";
import { askedAgain, deadlineOf, keptQuestion, noteAnswer, settleQuestion } from "../inbox/kept-question.js";
import { nodesAround, unfitAnswer } from "../internals.js";
import { isRollback } from "../rollback/open-rollback.js";
import { type RunContext, THREAD_NAME_KEY } from "../run-context.js";

import type { EffectPolicy } from "./effect-options.js";
import { noteAsking, quiet, throwIfAsking } from "./turns.js";

/** In our form, or in those of Agent Inbox and of LangChain's human-in-the-loop middleware. */
const anyApproval = withForeign(approvalSchema, { kind: "approval" });

/** @throws InvalidInputError where the effect's own `requireApproval` does not say whether */
export function isApprovalNeeded({ name, requireApproval }: EffectPolicy, input: unknown): boolean {
  if (typeof requireApproval === "boolean") return requireApproval;
  const said: unknown = (requireApproval as (input: unknown) => unknown)(structuredClone(input));
  if (typeof said === "boolean") return said;
  throw new InvalidInputError(
    `Effect "${name}" was not begun: its requireApproval(input) gave ${said instanceof Promise ? "a promise" : String(said)}; it has to say true or false`,
  );
}

export interface Asked {
  readonly isNeeded: boolean;
  readonly config: LangGraphRunnableConfig;
  readonly context: RunContext;
  readonly ledger: EffectLedger;
  readonly signal: AbortSignal;
  /** What becomes of the question without an answer. */
  readonly plan: InboxPlan | undefined;
}

export function approvalOf({ isNeeded, config, context, ledger, signal, plan }: Asked): Approval {
  const answers = answersOfTask(config);
  const task = config.executionInfo?.taskId ?? "";
  const ofTask = ({ asked }: EffectEntry) => (asked?.task === task ? asked : undefined);

  const itemOf = (entry: EffectEntry) => inboxId(entry.threadId, task, approvalHash(entry));

  // LangGraph keeps one that names no question with the checkpoint, and hands it out again to whatever asks next.
  const isOld = () => answers.given.some((one) => isDeepStrictEqual(one, answers.pending));
  const takeInPending = () => {
    if (answers.pending === undefined) return;
    if (isAnswer(answers.pending) && isOld()) answers.drop();
    else answers.takeIn();
  };

  /**
   * Effects that an answer without a name may be for as well: it reaches the questions of all tasks, and those that were
   * put under the same number before somebody else of the task came first.
   */
  const others = async (own: EffectEntry) => {
    const waiting = (await ledger.list(own.threadId)).filter(
      ({ key, state, approvedBy, asked }) =>
        key !== own.key && state === "intended" && approvedBy === undefined && asked !== undefined && !asked.settled,
    );
    return {
      inTask: waiting.some((one) => ofTask(one)?.question === own.asked?.question && ofTask(one) !== undefined),
      elsewhere: waiting.some((one) => ofTask(one) === undefined),
    };
  };

  return {
    isNeeded,
    task,
    next() {
      // Whoever it is for finds it among the others.
      takeInPending();
      return answers.given.length;
    },
    pass(entry) {
      const asked = ofTask(entry);
      if (asked === undefined || (entry.approvedBy === undefined && asked.settled !== true)) return;
      const { question } = asked;
      if (question === answers.given.length && isAnswer(answers.pending)) takeInPending();
      if (isAnswer(answers.given[question])) answers.pass(question);
    },
    async verdict(entry) {
      const hash = approvalHash(entry);
      const asked = ofTask(entry);
      if (asked === undefined || asked.settled === true) return undefined;
      const open = asked.question;
      for (let number = open; number < answers.given.length; number += 1) {
        const isLast = number === answers.given.length - 1;
        const given = answers.given[number];
        const answer = number === open && isLast ? fitting(given) : anyApproval.safeParse(given).data;
        if (answer === undefined || (answer.of === undefined ? number !== open : answer.of !== hash)) continue;
        if (answer.of === undefined && (await others(entry)).inTask) continue;
        answers.keep();
        answers.pass(number);
        return verdictOf(answer);
      }
      if (answers.pending === undefined || open !== answers.given.length) return undefined;
      const answer = fitting(answers.pending);
      if (answer.of !== undefined && answer.of !== hash) return undefined;
      if (answer.of === undefined) {
        if (isOld()) throw unfitAnswer(`the step was given the same before; for "${entry.effect}" add "of": "${hash}"`);
        const { inTask, elsewhere } = await others(entry);
        if (inTask || elsewhere)
          throw unfitAnswer(
            `other effects of the thread wait for approval too, and the answer does not say which it is for; for "${entry.effect}" of ${entry.place} add "of": "${hash}"`,
          );
      }
      answers.takeIn();
      answers.pass(open);
      return verdictOf(answer);
    },
    async ask(entry) {
      const question = entry.asked?.question ?? 0;
      await quiet(config, signal);
      const effects = (await ledger.list(entry.threadId)).filter((one) => !isRollback(one));
      signal.throwIfAborted();
      throwIfAsking(config);
      if (answers.pending !== undefined || answers.given.length !== question) return;
      // Answers to the others are kept, though these have not come to look for them yet.
      if (question > 0) answers.keep();
      answers.pass(question - 1);
      const request = approvalRequest(entry, {
        node: context.node,
        within: nodesAround(config),
        threadName: text(config.configurable?.[THREAD_NAME_KEY]),
        graph: text(config.configurable?.graph_id),
        effects,
        question,
        hash: approvalHash(entry),
        id: itemOf(entry),
      });
      const { id, hash, kind, summary } = request;
      const node = [...(request.within ?? []), request.node].join("/");
      const item = await keptQuestion(context, config, { id, hash, kind, summary, node, request, plan });
      await askedAgain(context, item);
      const asked = { ...request, ...deadlineOf(item) };
      const shown = { ...asked, ...foreignFields(asked) };
      try {
        runInConfig(config, () => interrupt(shown, { responseSchema: anyApproval as never }));
      } catch (error) {
        if (isControlFlow(error)) {
          noteAsking(config, error);
          context.emit("human.requested", { interventionId: task, failedNode: context.node });
        }
        throw error;
      }
    },
    taken: (entry, verdict) => noteAnswer(context, itemOf(entry), verdict),
    settle: (entry) => settleQuestion(context, itemOf(entry)),
    decided: ({ action, by }) =>
      context.emit("human.decided", { interventionId: task, failedNode: context.node, action, by }),
  };
}

/** @throws where it does not fit: it can be for nothing else */
function fitting(given: unknown): ApprovalAnswer {
  const parsed = anyApproval.safeParse(given);
  if (parsed.success) return parsed.data;
  throw unfitAnswer(unfitApproval(parsed.error));
}

function isAnswer(given: unknown): boolean {
  return anyApproval.safeParse(given).success;
}

function verdictOf({ action, by = "unnamed", reason }: ApprovalAnswer): Verdict {
  return { action, by, ...(reason === undefined ? {} : { reason }) };
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
