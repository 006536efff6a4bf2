/** How the steps of a node are run: each attempt in a scope of its own, and told to whoever listens. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { cancellationOf } from "../core/abort.js";
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
import { interruptCounter, questionsOf } from "./attempt-internals.js";
import { type AttemptMarker, runAttempt } from "./attempt-scope.js";
import { scopeOf } from "./effects/effect-scope.js";
import { answerRefused, namespaceOf } from "./internals.js";
import type { CountedAs } from "./metered-attempt.js";
import { inFrame } from "./named-frame.js";
import type { NodeEntry } from "./node-entry.js";
import { waitInRun } from "./run-context.js";
import { allowedBy, watched } from "./watched-config.js";

type Step = CompiledStep<LangGraphRunnableConfig>;

export function nodeClimber(entry: NodeEntry, config: LangGraphRunnableConfig): Climber<Step> {
  const { context, policy, history, cached } = entry;
  const { clock, estimateTokens } = policy;
  const within = cancellationOf(config.signal) ?? entry.outside?.running.scope;
  const askedBefore = interruptCounter(config);
  // The answers to what a step asked are that step's; the questions of the next come after them.
  let asking = NODE_STEP;
  let askedByOthers = askedBefore;
  let asked = askedBefore;
  let numbers: number[] = [];
  let questions = questionsOf(config, numbers, askedBefore);

  const name = entry.isTool ? entry.label : context.node;
  const whole = `${entry.noun} "${name}"`;
  const what = (step: Step) =>
    step.name === NODE_STEP ? `${whole[0]?.toUpperCase()}${whole.slice(1)}` : `Fallback "${step.name}" of ${whole}`;
  // What is left to do when the budget is used up is the fallbacks' to do.
  const budgetOf = (step: Step) => (step.name === NODE_STEP && policy.budget !== false ? policy.budget : undefined);
  const beginStep = (step: Step) => {
    if (step.name === asking) return;
    asking = step.name;
    askedByOthers = asked;
    numbers = [];
  };

  function work(step: Step, because: ErrorReport | undefined, own: LangGraphRunnableConfig): unknown {
    if (context.injectedFault !== undefined) throw new InjectedFaultError(context.node, context.injectedFault);
    const result = inFrame(name, () => step.run(entry.input, own, because as ErrorReport));
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
    within,
    home: context.persistence,
    // Whoever calls a tool may have a policy of their own: a ToolNode, a protected call, a node.
    outermost: entry.outside === undefined && !entry.isTool,
    attempts: entry.attempts,
    what,
    classify: (error) => entry.classify(error),
    async attempt(step, running, because) {
      beginStep(step);
      const marker = markerFor(entry, step, running, config);
      entry.underWay = { step, running, startedAt: clock.now() };
      const watch = {
        context,
        clock,
        budget: budgetOf(step),
        countsTokens: limitsTokens(step),
        counts: countedAs(entry),
      };
      crashPoint("node.attempt.before");
      let result: unknown;
      try {
        result = await watched(config, running, watch, (heard) => {
          questions = questionsOf(config, numbers, askedByOthers);
          return runAttempt(heard, marker, questions, (own) => work(step, because, own));
        });
      } catch (error) {
        if (!isControlFlow(error)) running.hasFailed = true;
        throw answerRefused(error) ?? error;
      }
      if (entry.underWay?.running === running) entry.underWay = undefined;
      entry.degradations.push(...marker.degradations);
      if (running.scope?.degraded === true) entry.seen.degraded = true;
      if (marker.did.effects) entry.seen.acted = true;
      if (questions.latest > askedBefore) entry.seen.asked = true;
      crashPoint("node.attempt.after");
      return result;
    },
    async failed(step, record, error) {
      entry.underWay = undefined;
      asked = Math.max(asked, questions.latest);
      const within = takeFailure(error, namespaceOf(config))?.attempts ?? [];
      entry.attempts.push(...asSeenFromHere(within, record));
      // A decorator further in has told of its attempts already.
      if (within.length === 0) tell(entry, record);
      // A step of one attempt that has asked is kept too: what comes after it must not be given its answers.
      if (step.retry.maxAttempts > 1 || asked > askedBefore) await history?.append(record, asked);
    },
    sleep: (ms) => waitInRun(ms, config, clock),
    allow: policy.budget === false ? undefined : (step) => allowedBy(budgetOf(step), context, clock),
    ...(history === undefined
      ? {}
      : {
          earlier(step: Step) {
            beginStep(step);
            const found = history.earlier(step.name, step.retry.maxAttempts > 1);
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

function countedAs({ outside, attempts }: NodeEntry): CountedAs {
  if (outside === undefined) return "itself";
  return attempts.length === 0 ? "nothing" : "the one before";
}

function markerFor(
  { around, outside, reentry, isTool, place, part }: NodeEntry,
  step: Step,
  running: RunningAttempt,
  config: LangGraphRunnableConfig,
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
    scope: () => reentry?.scope ?? sentBack?.scope() ?? scopeOf(config),
    graphs: [],
    outside,
    part,
    place,
    retries: step.retry.maxAttempts > 1 || around?.retries === true,
    degradations: [],
    did: { effects: false },
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
    ...(running.scope?.effects === undefined ? {} : { effects: [...running.scope.effects] }),
  };
  entry.attempts.push(record);
  tell(entry, record);
  if (step.retry.maxAttempts > 1) await history?.append(record, -1);
}

function tell({ context, isTool, noun, label }: NodeEntry, record: AttemptRecord): void {
  const { number, step, report, durationMs, delayMs, gaveUp } = record;
  const payload = {
    report,
    durationMs,
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(gaveUp === undefined ? {} : { gaveUp }),
    ...(step === NODE_STEP ? {} : { step }),
    ...(isTool ? { call: `${noun} "${label}"` } : {}),
  };
  context.emit("attempt.failed", payload, number);
}

function limitsTokens({ service }: Step): boolean {
  const rateLimit = service?.().policy.rateLimit;
  return rateLimit !== undefined && rateLimit !== false && rateLimit.tokensPerMinute !== undefined;
}
