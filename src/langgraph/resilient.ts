import { Command, isParentCommand, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { recordFailure } from "../core/failures.js";
import { parseOptions } from "../core/options.js";
import { type AttemptRecord, type Degradation, type FailureRecord, NODE_STEP } from "../core/records.js";
import { CATEGORY_POLICIES } from "../errors/categories.js";
import { classifyError } from "../errors/classify.js";
import { rethrowControlFlow } from "../errors/control-flow.js";
import { asError, ConfigError } from "../errors/own-errors.js";
import type { RetryOptions } from "../policies/retry-options.js";
import { type TimeoutOptions, withTimeLimit } from "../policies/timeout.js";
import { isInsideAttempt } from "./attempt-scope.js";
import { type Answer, climb } from "./climb.js";
import { type Reentry, reentryOf } from "./envelope.js";
import { announceParentCommand, isCompiledGraph, namespaceOf } from "./internals.js";
import { withProvenance } from "./provenance.js";
import {
  type FallbackStep,
  type ResilientOptions,
  type ResilientPolicy,
  resilientSchema,
} from "./resilient-options.js";
import { type RunContext, runContextOf, throwIfStopped } from "./run-context.js";

/** A node as LangGraph calls it. */
export type Node<I, O> = (input: I, config: LangGraphRunnableConfig) => O | Promise<O>;
export type DecoratedNode<I, O> = (input: I, config: LangGraphRunnableConfig) => Promise<O>;

/** What installRecovery needs to know of a decorated node. */
export interface ResilientMark {
  readonly fallbacks: readonly string[];
}

const marks = new WeakMap<object, ResilientMark>();

/** The mark of a decorated node, or undefined for any other function. */
export function resilientMark(node: unknown): ResilientMark | undefined {
  return typeof node === "function" ? marks.get(node) : undefined;
}

/**
 * Wraps a graph node so that its failures climb the ladder: each is classified, retried as its category allows, then
 * handed to the declared fallbacks; what is left goes to the person, if {@link installRecovery} put one into the graph,
 * and else is thrown as it came.
 *
 * Canonical order, outermost first: deadline → fallback → retry → attempt timeout → node. LangGraph's control flow
 * (interrupts, commands to a parent, drains) passes through untouched. An answer by a fallback is noted in the state
 * channel `degradations`.
 *
 * @param node called as `(input, config)`; `config.signal` aborts when the attempt's time is up
 * @returns a node of the same input type, with the same name in stack traces
 * @throws ConfigError at once for wrong options, and for a compiled graph: a subgraph installs its own recovery
 */
export function resilient<I, O, F = O>(
  node: Node<I, O>,
  options: ResilientOptions<I, O, F> = {},
): DecoratedNode<I, O | F> {
  const label = options.name ?? (typeof node === "function" && node.name !== "" ? node.name : "node");
  if (isCompiledGraph(node)) {
    throw new ConfigError(
      "resilient(): a compiled graph cannot be wrapped, Studio would no longer see into it; wrap its nodes and call installRecovery on its builder",
    );
  }
  if (typeof node !== "function") throw new ConfigError(`resilient(${label}): the node must be a function`);
  const policy = parseOptions(`resilient(${label})`, resilientSchema, options);
  const decorated = async (input: I, config: LangGraphRunnableConfig = {}): Promise<O | F> =>
    (await enter(node as Node<unknown, unknown>, label, policy, input, config)) as O | F;
  Object.defineProperty(decorated, "name", { value: label });
  marks.set(decorated, { fallbacks: policy.fallback.map((step) => step.name) });
  return decorated;
}

/** Only the retry rung of {@link resilient}. */
export function withRetry<I, O>(node: Node<I, O>, retry: RetryOptions = {}): DecoratedNode<I, O> {
  return resilient(node, { retry, timeout: false });
}

/** Only the time limit of {@link resilient}: one attempt, aborted after `baseMs` × task factor. */
export function withTimeout<I, O>(node: Node<I, O>, timeout: TimeoutOptions = {}): DecoratedNode<I, O> {
  return resilient(node, { retry: false, timeout });
}

/** Only the fallback chain of {@link resilient}. */
export function withFallback<I, O, F = O>(
  node: Node<I, O>,
  fallback: readonly FallbackStep<I, F>[],
): DecoratedNode<I, O | F> {
  return resilient<I, O, F>(node, { retry: false, timeout: false, fallback });
}

async function enter(
  node: Node<unknown, unknown>,
  label: string,
  policy: ResilientPolicy,
  given: unknown,
  config: LangGraphRunnableConfig,
): Promise<unknown> {
  const context = runContextOf(config, label);
  const outermost = !isInsideAttempt(config);
  const reentry = reentryOf(given, config);
  const input = reentry === undefined ? given : reentry.input;
  const attempts: AttemptRecord[] = [];
  const startedAt = policy.clock.now();
  if (outermost) context.emit("node.started", reentry === undefined ? {} : { directive: reentry.directive.kind });
  try {
    throwIfStopped(config);
    const answer = await withTimeLimit(
      (signal) => climb({ node, input, config: { ...config, signal }, context, policy, reentry, attempts, outermost }),
      policy.timeout === false ? undefined : policy.timeout.deadlineMs,
      `Node "${context.node}" with its retries and fallbacks`,
      policy.clock,
      config.signal,
    );
    if (outermost)
      context.emit("node.succeeded", { durationMs: policy.clock.now() - startedAt, answeredBy: answer.answeredBy });
    const result = degradedOrPlain(answer, context.node, policy);
    if (commandsParent(result)) announceParentCommand(config);
    return result;
  } catch (thrown) {
    if (isParentCommand(thrown)) announceParentCommand(config);
    rethrowControlFlow(thrown);
    throwIfStopped(config);
    const error = asError(thrown);
    const failure = failureRecord(error, context, policy, input, attempts, reentry);
    recordFailure(error, failure, namespaceOf(config));
    if (outermost) context.emit("node.failed", { report: failure.report, next: nextRung(failure) });
    throw error;
  }
}

function commandsParent(result: unknown): boolean {
  const commands = Array.isArray(result) ? result : [result];
  return commands.some((one) => one instanceof Command && one.graph === Command.PARENT);
}

function failureRecord(
  error: Error,
  context: RunContext,
  policy: ResilientPolicy,
  input: unknown,
  attempts: readonly AttemptRecord[],
  reentry: Reentry | undefined,
): FailureRecord {
  return {
    v: 1,
    node: context.node,
    input,
    report: classifyError(error),
    attempts: [...(reentry?.attempts ?? []), ...attempts],
    fallbacks: policy.fallback.map((step) => step.name),
    decisions: reentry?.decisions ?? [],
  };
}

/** Where a failure goes that no rung within the node could mend. */
export function nextRung(failure: FailureRecord): "human" | "fail" | "stop" {
  const { next } = CATEGORY_POLICIES[failure.report.category];
  return next === "fail" || next === "stop" ? next : "human";
}

function degradedOrPlain(answer: Answer, node: string, policy: ResilientPolicy): unknown {
  if (answer.because === undefined || answer.answeredBy === NODE_STEP) return answer.result;
  const degradation: Degradation = {
    v: 1,
    node,
    answeredBy: answer.answeredBy,
    category: answer.because.category,
    reason: answer.because.message,
    at: new Date(policy.clock.now()).toISOString(),
  };
  return withProvenance(answer.result, degradation);
}
