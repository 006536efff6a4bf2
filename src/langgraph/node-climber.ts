/** How the steps of a node are run: each attempt in a scope of its own, and told to whoever listens. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { crashPoint } from "../core/crash-points.js";
import { takeFailure } from "../core/failures.js";
import { type AttemptRecord, NODE_STEP } from "../core/records.js";
import { classifyError } from "../errors/classify.js";
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
  // The answers to what the node asked are the node's; a fallback's questions come after them.
  let askedByNode = askedBefore;
  const numbers: number[] = [];
  let questions = questionsAfter(askedBefore);

  const whole = entry.isTool ? `tool "${entry.label}"` : `node "${context.node}"`;
  const what = (step: Step) =>
    step.name === NODE_STEP ? `${whole[0]?.toUpperCase()}${whole.slice(1)}` : `Fallback "${step.name}" of ${whole}`;
  const noteQuestions = () => {
    if (!sharesTask) setInterruptCounter(config, questions.latest);
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
    outermost: around === undefined,
    attempts: entry.attempts,
    what,
    classify: entry.isTool ? classifyToolError : classifyError,
    async attempt(step, running, because) {
      const marker = markerFor(entry, step, running, config, sharesTask);
      const isNode = step.name === NODE_STEP;
      const watch = {
        context,
        clock,
        // What is left to do when the budget is used up is the fallbacks' to do.
        budget: isNode && policy.budget !== false ? policy.budget : undefined,
        countsTokens: step.service?.().policy.rateLimit !== undefined,
      };
      crashPoint("node.attempt.before");
      let result: unknown;
      try {
        result = await watched(config, running, watch, (heard) => {
          const scope = running.scope as NonNullable<RunningAttempt["scope"]>;
          questions = sharesTask
            ? questionsOfCall(config, numbers)
            : questionsAfter(isNode ? askedBefore : askedByNode);
          return runAttempt(heard, marker, scope, questions, (own) => work(step, because, own));
        });
      } catch (error) {
        throw answerRefused(error) ?? error;
      }
      noteQuestions();
      entry.degradations.push(...marker.degradations);
      crashPoint("node.attempt.after");
      return result;
    },
    async failed(step, record, error) {
      noteQuestions();
      if (step.name === NODE_STEP) askedByNode = Math.max(askedByNode, questions.latest);
      const within = takeFailure(error, namespaceOf(config));
      if (within !== undefined) {
        // A decorator further in has counted and told of these attempts already.
        entry.attempts.push(
          ...within.attempts.map((one) => (step.name === NODE_STEP ? one : { ...one, step: step.name })),
        );
        return;
      }
      entry.attempts.push(record);
      tell(entry, record);
      if (step.retry.maxAttempts > 1) await history?.append(record);
    },
    sleep: (ms) => waitInRun(ms, config, clock),
    ...(history === undefined
      ? {}
      : {
          earlier(step: Step) {
            const found = step.retry.maxAttempts > 1 ? history.earlier(step.name) : undefined;
            return found?.then((attempts) => {
              entry.attempts.push(...attempts);
              return attempts;
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
  { around, reentry }: NodeEntry,
  step: Step,
  running: RunningAttempt,
  config: LangGraphRunnableConfig,
  sharesTask: boolean,
): AttemptMarker {
  const kind = reentry?.directive.kind;
  return {
    running,
    step: step.name,
    earlier: step.name === NODE_STEP ? (reentry?.attempts ?? []) : [],
    directive: kind === "provide" ? undefined : kind,
    checkpointNs: namespaceOf(config),
    retries: step.retry.maxAttempts > 1 || around?.retries === true,
    sharesTask,
    degradations: [],
    within: around,
  };
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

/** What nothing is known of is the tool's own failure. */
function classifyToolError(error: unknown): ErrorReport {
  const report = classifyError(error);
  return report.category === "unknown" ? { ...report, category: "tool_execution" } : report;
}
