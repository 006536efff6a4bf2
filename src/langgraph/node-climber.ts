/** How the steps of a node are run: each attempt in a scope of its own, and told to whoever listens. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { crashPoint } from "../core/crash-points.js";
import { takeFailure } from "../core/failures.js";
import { type AttemptRecord, NODE_STEP } from "../core/records.js";
import { isControlFlow } from "../errors/control-flow.js";
import { InjectedFaultError } from "../errors/own-errors.js";
import type { ErrorReport } from "../errors/report.js";
import type { CompiledStep } from "../policies/compiled-ladder.js";
import type { Climber } from "../policies/ladder.js";
import type { RunningAttempt } from "../policies/running-attempt.js";
import { refuseInvalid } from "../policies/validate.js";
import { interruptCounter, questionsAfter, questionsOfCall, setInterruptCounter } from "./attempt-internals.js";
import { type AttemptMarker, runAttempt } from "./attempt-scope.js";
import { answerRefused, namespaceOf } from "./internals.js";
import type { NodeEntry } from "./node-entry.js";
import { waitInRun } from "./run-context.js";
import { watched } from "./watched-config.js";

type Step = CompiledStep<LangGraphRunnableConfig>;

export function nodeClimber(entry: NodeEntry, config: LangGraphRunnableConfig): Climber<Step> {
  const { context, policy, history, cached, around } = entry;
  const { clock, estimateTokens } = policy;
  const sharesTask = entry.isTool || around?.sharesTask === true;
  const askedBefore = interruptCounter(config);
  // The answers to what a step asked are that step's; the questions of the next come after them.
  let asking = NODE_STEP;
  let askedByOthers = askedBefore;
  let asked = askedBefore;
  let numbers: number[] = [];
  let questions = questionsAfter(askedBefore);

  const whole = entry.isTool ? `tool "${entry.label}"` : `node "${context.node}"`;
  const what = (step: Step) =>
    step.name === NODE_STEP ? `${whole[0]?.toUpperCase()}${whole.slice(1)}` : `Fallback "${step.name}" of ${whole}`;
  const noteQuestions = () => {
    if (!sharesTask) setInterruptCounter(config, questions.latest);
  };
  const beginStep = (step: Step) => {
    if (step.name === asking) return;
    asking = step.name;
    askedByOthers = asked;
    numbers = [];
  };

  function work(step: Step, because: ErrorReport | undefined, own: LangGraphRunnableConfig): unknown {
    if (context.injectedFault !== undefined) throw new InjectedFaultError(context.node, context.injectedFault);
    const result = step.run(entry.input, own, because as ErrorReport);
    return policy.validate === undefined ? result : validated(step, result);
  }

  async function validated(step: Step, made: unknown): Promise<unknown> {
    const result = await made;
    await refuseInvalid(policy.validate as () => unknown, result, () => what(step));
    return result;
  }

  return {
    clock,
    random: policy.random,
    signal: config.signal,
    home: context.persistence,
    // Whoever calls a tool may have a policy of their own: a ToolNode, a protected call, a node.
    outermost: around === undefined && !entry.isTool,
    attempts: entry.attempts,
    what,
    classify: (error) => entry.classify(error),
    async attempt(step, running, because) {
      beginStep(step);
      const marker = markerFor(entry, step, running, config, sharesTask);
      entry.underWay = { step, running, startedAt: clock.now() };
      const isNode = step.name === NODE_STEP;
      const watch = {
        context,
        clock,
        // What is left to do when the budget is used up is the fallbacks' to do.
        budget: isNode && policy.budget !== false ? policy.budget : undefined,
        countsTokens: limitsTokens(step),
      };
      crashPoint("node.attempt.before");
      let result: unknown;
      try {
        result = await watched(config, running, watch, (heard) => {
          questions = sharesTask ? questionsOfCall(config, numbers) : questionsAfter(askedByOthers);
          return runAttempt(heard, marker, questions, (own) => work(step, because, own));
        });
      } catch (error) {
        if (!isControlFlow(error)) running.hasFailed = true;
        throw answerRefused(error) ?? error;
      }
      if (entry.underWay?.running === running) entry.underWay = undefined;
      noteQuestions();
      entry.degradations.push(...marker.degradations);
      crashPoint("node.attempt.after");
      return result;
    },
    async failed(step, record, error) {
      entry.underWay = undefined;
      noteQuestions();
      asked = Math.max(asked, questions.latest);
      const within = takeFailure(error, namespaceOf(config))?.attempts ?? [];
      entry.attempts.push(...asSeenFromHere(within, record));
      // A decorator further in has told of its attempts already.
      if (within.length === 0) tell(entry, record);
      if (step.retry.maxAttempts > 1) await history?.append(record, asked);
    },
    sleep: (ms) => waitInRun(ms, config, clock),
    ...(history === undefined
      ? {}
      : {
          earlier(step: Step) {
            beginStep(step);
            const found = step.retry.maxAttempts > 1 ? history.earlier(step.name) : undefined;
            return found?.then((earlier) => {
              asked = Math.max(asked, earlier.asked);
              entry.attempts.push(...earlier.attempts);
              return earlier.attempts;
            });
          },
        }),
    estimatedTokens:
      estimateTokens === undefined ? undefined : () => (estimateTokens as (input: unknown) => number)(entry.input),
    stale: cached === undefined ? undefined : () => cached.stale(),
    fallbackStarted: (step, because) => context.emit("fallback.started", { step: step.name, because }),
    fallbackSucceeded: (step) => context.emit("fallback.succeeded", { step: step.name }),
  };
}

function markerFor(
  { around, reentry, isTool }: NodeEntry,
  step: Step,
  running: RunningAttempt,
  config: LangGraphRunnableConfig,
  sharesTask: boolean,
): AttemptMarker {
  // What a person decided of the step holds for the decorators further in as well; of a tool nobody has decided.
  const sentBack = isTool ? undefined : around;
  const kind = reentry?.directive.kind ?? sentBack?.directive;
  return {
    running,
    step: step.name,
    earlier: step.name === NODE_STEP ? (reentry?.attempts ?? sentBack?.earlier ?? []) : [],
    directive: kind === "provide" ? undefined : kind,
    checkpointNs: namespaceOf(config),
    retries: step.retry.maxAttempts > 1 || around?.retries === true,
    sharesTask,
    degradations: [],
    within: around,
  };
}

/**
 * The attempts of a decorator further in, as part of one attempt here. Where that made one as well, it is the same one,
 * and only here is known which it is and how long the wait after it.
 */
function asSeenFromHere(within: readonly AttemptRecord[], record: AttemptRecord): readonly AttemptRecord[] {
  const last = within.at(-1);
  if (last === undefined || (within.length === 1 && last.step === NODE_STEP)) return [record];
  const { step, delayMs, gaveUp, effects } = record;
  const named = (one: AttemptRecord) => (step === NODE_STEP ? one : { ...one, step });
  return [
    ...within.slice(0, -1).map(named),
    {
      ...named(last),
      ...(delayMs === undefined ? {} : { delayMs }),
      ...(gaveUp === undefined ? {} : { gaveUp }),
      ...(effects === undefined ? {} : { effects }),
    },
  ];
}

/** Counts the attempt that a deadline cut short: it has failed like any other, and perhaps begun an effect. */
export async function countCutShort(entry: NodeEntry, error: Error): Promise<void> {
  const { underWay, policy, history } = entry;
  if (underWay === undefined) return;
  const { step, running, startedAt } = underWay;
  const record: AttemptRecord = {
    number: running.number,
    step: step.name,
    startedAt,
    durationMs: policy.clock.now() - startedAt,
    report: entry.classify(error),
    ...(running.effects === undefined ? {} : { effects: running.effects }),
  };
  entry.attempts.push(record);
  tell(entry, record);
  if (step.retry.maxAttempts > 1) await history?.append(record, -1);
}

function tell({ context }: NodeEntry, record: AttemptRecord): void {
  const { number, step, report, durationMs, delayMs, gaveUp } = record;
  const payload = {
    report,
    durationMs,
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(gaveUp === undefined ? {} : { gaveUp }),
    ...(step === NODE_STEP ? {} : { step }),
  };
  context.emit("attempt.failed", payload, number);
}

function limitsTokens({ service }: Step): boolean {
  const rateLimit = service?.().policy.rateLimit;
  return rateLimit !== undefined && rateLimit !== false && rateLimit.tokensPerMinute !== undefined;
}
