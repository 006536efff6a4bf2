/**
 * The in-node rungs for one entry of one node: attempt → retry → fallback, or what a person directed.
 */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { crashPoint } from "../core/crash-points.js";
import { takeFailure } from "../core/failures.js";
import { type AttemptRecord, type Directive, NODE_STEP } from "../core/records.js";
import { CATEGORY_POLICIES } from "../errors/categories.js";
import { classifyError } from "../errors/classify.js";
import { rethrowControlFlow } from "../errors/control-flow.js";
import { ConfigError, InjectedFaultError, InvalidInputError, MalformedOutputError } from "../errors/own-errors.js";
import type { ErrorReport } from "../errors/report.js";
import { eligibleFallbacks, firstAnswer } from "../policies/fallback.js";
import { retry } from "../policies/retry.js";
import { NO_RETRY, type RetryPolicy, retrySchema } from "../policies/retry-options.js";
import { attemptTimeoutMs, type TimeoutPolicy, timeoutSchema, withTimeLimit } from "../policies/timeout.js";
import { attemptOf, runAttempt } from "./attempt-scope.js";
import type { Reentry } from "./envelope.js";
import { interruptCounter, namespaceOf, setInterruptCounter } from "./internals.js";
import type { FallbackPolicy, ResilientPolicy } from "./resilient-options.js";
import { type RunContext, waitInRun } from "./run-context.js";

export interface Climb {
  readonly node: (input: unknown, config: LangGraphRunnableConfig) => unknown;
  readonly input: unknown;
  readonly config: LangGraphRunnableConfig;
  readonly context: RunContext;
  readonly policy: ResilientPolicy;
  readonly reentry: Reentry | undefined;
  /** Filled with every failed attempt, for the failure record. */
  readonly attempts: AttemptRecord[];
  /** Whether no decorator of the same task is at work further out. */
  readonly outermost: boolean;
}

export interface Answer {
  readonly result: unknown;
  /** "node", "person", or the name of a fallback step. */
  readonly answeredBy: string;
  /** The failure that made a simpler step answer. */
  readonly because?: ErrorReport;
}

/** @throws the node's own failure when no rung within the node helps */
export async function climb(task: Climb): Promise<Answer> {
  const directive = task.reentry?.directive;
  switch (directive?.kind) {
    case "provide":
      return { result: directive.result, answeredBy: "person" };
    case "fallback":
      return await directedFallback(task, directive);
    case "retry":
    case undefined:
      return await attemptThenFallback(task, directive);
  }
}

async function attemptThenFallback(
  task: Climb,
  directive: Extract<Directive, { kind: "retry" }> | undefined,
): Promise<Answer> {
  const { policy, config } = task;
  const interrupts = { asked: -1 };
  try {
    const result = await runStep(task, {
      name: NODE_STEP,
      work: (own) => task.node(task.input, own),
      retry: retryWith(policy.retry, directive?.parameters),
      timeout: timeoutWith(policy.timeout, directive?.parameters),
      interruptsBefore: () => -1,
      interruptsAfter: (asked) => {
        interrupts.asked = Math.max(interrupts.asked, asked);
      },
    });
    return { result, answeredBy: NODE_STEP };
  } catch (error) {
    rethrowControlFlow(error);
    if (config.signal?.aborted) throw error;
    const because = task.attempts.at(-1)?.report ?? classifyError(error);
    const steps =
      policy.humanAfter === "retry"
        ? []
        : eligibleFallbacks(policy.fallback, because.category, CATEGORY_POLICIES[because.category].next);
    const found = await firstAnswer(steps, (step) => runFallback(task, step, because, interrupts), config.signal);
    if (found === undefined) throw error;
    return { result: found.answer, answeredBy: found.step.name, because };
  }
}

async function directedFallback(task: Climb, directive: Extract<Directive, { kind: "fallback" }>): Promise<Answer> {
  const step = task.policy.fallback.find((candidate) => candidate.name === directive.step);
  if (step === undefined) {
    const known = task.policy.fallback.map((candidate) => candidate.name).join(", ");
    throw new InvalidInputError(
      `Node "${task.context.node}" has no fallback step "${directive.step}"; it has: ${known === "" ? "none" : known}`,
    );
  }
  const because =
    task.reentry?.attempts.findLast((record) => record.step === NODE_STEP)?.report ??
    classifyError(new ConfigError("directed by a person"));
  const result = await runFallback(task, step, because, { asked: -1 });
  return { result, answeredBy: step.name, because };
}

async function runFallback(
  task: Climb,
  step: FallbackPolicy,
  because: ErrorReport,
  interrupts: { asked: number },
): Promise<unknown> {
  task.context.emit("fallback.started", { step: step.name, because });
  const run = step.run as (input: unknown, config: LangGraphRunnableConfig, failure: ErrorReport) => unknown;
  const result = await runStep(task, {
    name: step.name,
    work: (own) => run(task.input, own, because),
    retry: step.retry === false ? NO_RETRY : step.retry,
    timeout: step.timeout ?? task.policy.timeout,
    // The answers to what the node asked are the node's; a fallback's questions come after them.
    interruptsBefore: () => interrupts.asked,
    interruptsAfter: () => undefined,
  });
  task.context.emit("fallback.succeeded", { step: step.name });
  return result;
}

interface Step {
  readonly name: string;
  readonly work: (config: LangGraphRunnableConfig) => unknown;
  readonly retry: RetryPolicy;
  readonly timeout: TimeoutPolicy | false;
  readonly interruptsBefore: () => number;
  readonly interruptsAfter: (asked: number) => void;
}

async function runStep(task: Climb, step: Step): Promise<unknown> {
  const { config, context, policy } = task;
  const what = step.name === NODE_STEP ? `Node "${context.node}"` : `Fallback "${step.name}" of node "${context.node}"`;
  const earlier = step.name === NODE_STEP ? (task.reentry?.attempts ?? []) : [];
  let attempted = config;
  return await retry(
    async (info) => {
      const limitMs = step.timeout === false ? undefined : attemptTimeoutMs(step.timeout, info.number);
      crashPoint("node.attempt.before");
      const result = await withTimeLimit(
        (signal) =>
          runAttempt(
            config,
            signal,
            attemptOf(info.number, step.name, info.failures, earlier),
            step.interruptsBefore(),
            async (own) => {
              attempted = own;
              if (context.injectedFault !== undefined)
                throw new InjectedFaultError(context.node, context.injectedFault);
              const made = await step.work(own);
              await refuseInvalid(policy, made, what);
              return made;
            },
          ),
        limitMs,
        what,
        policy.clock,
        config.signal,
      );
      setInterruptCounter(config, interruptCounter(attempted));
      crashPoint("node.attempt.after");
      return result;
    },
    step.retry,
    {
      clock: policy.clock,
      random: policy.random,
      step: step.name,
      outermost: task.outermost,
      ...(config.signal === undefined ? {} : { signal: config.signal }),
      sleep: (ms) => waitInRun(ms, config, policy.clock),
      onFailure: (record, error) => {
        setInterruptCounter(config, interruptCounter(attempted));
        step.interruptsAfter(interruptCounter(attempted));
        const within = takeFailure(error, namespaceOf(config));
        if (within !== undefined) {
          // A decorator further in has counted and told of these attempts already.
          task.attempts.push(
            ...within.attempts.map((one) => (step.name === NODE_STEP ? one : { ...one, step: step.name })),
          );
          return;
        }
        task.attempts.push(record);
        const { report, durationMs, delayMs } = record;
        const payload = {
          report,
          durationMs,
          ...(delayMs === undefined ? {} : { delayMs }),
          ...(step.name === NODE_STEP ? {} : { step: step.name }),
        };
        context.emit("attempt.failed", payload, record.number);
      },
    },
  );
}

async function refuseInvalid(policy: ResilientPolicy, result: unknown, what: string): Promise<void> {
  if (policy.validate === undefined) return;
  const validate = policy.validate as (result: unknown) => unknown;
  let fault: unknown;
  try {
    fault = await validate(result);
  } catch (error) {
    rethrowControlFlow(error);
    throw new MalformedOutputError(
      `${what} returned what its validation refuses: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  if (typeof fault === "string" && fault !== "")
    throw new MalformedOutputError(`${what} returned what its validation refuses: ${fault}`);
}

function retryWith(
  policy: RetryPolicy | false,
  parameters: { maxAttempts?: number; initialDelayMs?: number } | undefined,
): RetryPolicy {
  if (policy === false && parameters?.maxAttempts === undefined) return NO_RETRY;
  const base = policy === false ? retrySchema.parse({}) : policy;
  return {
    ...base,
    maxAttempts: parameters?.maxAttempts ?? base.maxAttempts,
    initialDelayMs: parameters?.initialDelayMs ?? base.initialDelayMs,
  };
}

function timeoutWith(
  policy: TimeoutPolicy | false,
  parameters: { timeoutMs?: number } | undefined,
): TimeoutPolicy | false {
  if (parameters?.timeoutMs === undefined) return policy;
  return {
    ...timeoutSchema.parse(policy === false ? {} : policy),
    baseMs: parameters.timeoutMs,
    taskType: "default",
    maxMs: Math.max(parameters.timeoutMs, 300_000),
  };
}
