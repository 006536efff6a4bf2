import { isParentCommand, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { cancellationOf, unlessAborted } from "../core/abort.js";
import { markExhausted, recordFailure } from "../core/failures.js";
import { parseOptions } from "../core/options.js";
import { type FailureRecord, NODE_STEP } from "../core/records.js";
import { redactText } from "../core/redact.js";
import { CATEGORY_POLICIES } from "../errors/categories.js";
import { classifyError } from "../errors/classify.js";
import { isControlFlow, rethrowControlFlow } from "../errors/control-flow.js";
import { asError, ConfigError } from "../errors/own-errors.js";
import { DeadlineExceededError } from "../errors/policy-errors.js";
import { compileLadder } from "../policies/compiled-ladder.js";
import type { Answer } from "../policies/ladder.js";
import { withTimeLimit } from "../policies/timeout.js";
import { ambientConfig } from "./attempt-internals.js";
import { markerOf } from "./attempt-scope.js";
import type { Cached } from "./cached.js";
import { climb } from "./climb.js";
import { compensatedNode } from "./effects/compensated-node.js";
import { scopeOf } from "./effects/effect-scope.js";
import { settleQuestion } from "./inbox/kept-question.js";
import { announceParentCommand, isCompiledGraph, namespaceOf } from "./internals.js";
import { messageCodec } from "./message-codec.js";
import { countCutShort } from "./node-climber.js";
import { type Decorated, type NodeEntry, nodeEntry } from "./node-entry.js";
import { commandsParent, withProvenance } from "./provenance.js";
import { type ResilientOptions, type ResilientPolicy, resilientSchema } from "./resilient-options.js";
import { throwIfStopped } from "./run-context.js";

/** A node as LangGraph calls it. */
export type Node<I, O> = (input: I, config: LangGraphRunnableConfig) => O | Promise<O>;
export type DecoratedNode<I, O> = (input: I, config?: LangGraphRunnableConfig) => Promise<O>;

/** What installRecovery needs to know of a decorated node. */
export interface ResilientMark {
  readonly label: string;
  readonly policy: ResilientPolicy;
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
 * Canonical order, outermost first: cache → deadline → fallback → retry → circuit breaker → bulkhead and rate limit →
 * attempt timeout → node. LangGraph's control flow (interrupts, commands to a parent, drains) passes through untouched.
 * An answer by a fallback is noted in the state channel `degradations`.
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
  const owner = `resilient(${label})`;
  if (isCompiledGraph(node)) {
    throw new ConfigError(
      "resilient(): a compiled graph cannot be wrapped, Studio would no longer see into it; wrap its nodes and call installRecovery on its builder",
    );
  }
  if (typeof node !== "function") throw new ConfigError(`${owner}: the node must be a function`);
  const policy = parseOptions(owner, resilientSchema, options);
  const { compensate } = policy;
  if (compensate !== undefined && options.name === undefined && node.name === "")
    throw new ConfigError(
      `${owner}: a node with "compensate" is known in the ledger by its name, and this function has none; give { name }`,
    );
  const work = node as Node<unknown, unknown>;
  const whole = compensate === undefined ? work : compensatedNode(label, work, compensate as () => unknown);
  const ladder = compileLadder(owner, label, whole, policy, messageCodec);
  const decorated = entrance<I, O | F>({ label, policy, ladder, isTool: false, classify: classifyError });
  marks.set(decorated, { label, policy });
  return decorated;
}

/** The function that enters a decorated node or tool. */
export function entrance<I, O>(decorated: Decorated): DecoratedNode<I, O> {
  const enter = async (input: I, config: LangGraphRunnableConfig = ambientConfig()): Promise<O> => {
    const entry = nodeEntry(decorated, input, config);
    try {
      return (await answered(entry, config)) as O;
    } catch (thrown) {
      return await failed(entry, config, thrown);
    }
  };
  Object.defineProperty(enter, "name", { value: decorated.label });
  return enter;
}

async function answered(entry: NodeEntry, config: LangGraphRunnableConfig): Promise<unknown> {
  const { context, around, isTool, reentry, history, cached, policy } = entry;
  const startedAt = policy.clock.now();
  const isTask = around === undefined && !isTool;
  if (isTask) context.emit("node.started", reentry === undefined ? {} : { directive: reentry.directive.kind });
  throwIfStopped(config);
  if (reentry?.question !== undefined) await settleQuestion(context, reentry.question, reentry.decisions.at(-1));
  cached?.prepare();
  const fresh = reentry === undefined && cached !== undefined ? await freshAnswer(cached, config) : undefined;
  const answer = fresh ?? (await withDeadline(entry, config));
  if (cached !== undefined && answer.answeredBy === NODE_STEP && isFullAnswer(entry)) await cached.put(answer.result);
  const left = history?.leave("succeeded");
  if (left !== undefined) await left;
  if (isTask)
    context.emit("node.succeeded", { durationMs: policy.clock.now() - startedAt, answeredBy: answer.answeredBy });
  const result = noteDegradations(answer, entry);
  if (commandsParent(result)) announceParentCommand(config);
  return result;
}

/** @throws always: what was thrown, with a record of it made */
async function failed(entry: NodeEntry, config: LangGraphRunnableConfig, thrown: unknown): Promise<never> {
  const { context, around, history, isTool } = entry;
  const { rollback, humanAfter } = entry.policy;
  if (isParentCommand(thrown)) announceParentCommand(config);
  const stopped = isControlFlow(thrown) || config.signal?.aborted === true;
  // Also of an attempt that was told to stop: what it had begun must not be begun again by whoever resumes.
  if (!stopped || entry.underWay?.running.scope?.effects !== undefined) await countCutShort(entry, asError(thrown));
  await history?.leave(isParentCommand(thrown) ? "succeeded" : stopped ? "paused" : "ended");
  rethrowControlFlow(thrown);
  throwIfStopped(config);
  const error = asError(thrown);
  const failure = failureRecord(error, entry, config);
  recordFailure(error, failure, namespaceOf(config));
  if (around === undefined && !isTool) {
    const next = nextRung(failure);
    const isTakenBack = next === "human" && rollback !== false && humanAfter === "rollback";
    context.emit("node.failed", { report: failure.report, next: isTakenBack ? "rollback" : next });
  }
  throw error;
}

/** Not one that a person had a say in, that something simpler has answered in part, or that did something outside. */
function isFullAnswer({ degradations, seen }: NodeEntry): boolean {
  return degradations.length === 0 && !seen.degraded && !seen.asked && !seen.acted;
}

async function freshAnswer(cached: Cached, { signal }: LangGraphRunnableConfig): Promise<Answer | undefined> {
  const looked = cached.fresh();
  const found = looked instanceof Promise ? await unlessAborted(looked, signal) : looked;
  return found === undefined ? undefined : { result: found.value, answeredBy: "cache", ageMs: found.ageMs };
}

function withDeadline(entry: NodeEntry, config: LangGraphRunnableConfig): Promise<Answer> {
  const { timeout, clock } = entry.policy;
  const directive = entry.reentry?.directive;
  // A person who gives an attempt its time means that time.
  const isGivenTime = directive?.kind === "retry" && directive.parameters?.timeoutMs !== undefined;
  const limitMs = timeout === false || isGivenTime ? undefined : timeout.deadlineMs;
  if (limitMs === undefined) return climb(entry, config);
  const within = cancellationOf(config.signal) ?? markerOf(config)?.running.scope;
  return withTimeLimit((scope) => climb(entry, { ...config, signal: scope.signal }), {
    limitMs,
    onLimit: () => {
      const error = new DeadlineExceededError(nameOf(entry), limitMs);
      // All there was to try was tried in that time: whoever is further out need not.
      if (within !== undefined) markExhausted(error);
      return error;
    },
    clock,
    outer: config.signal,
    within,
    inherited: true,
  });
}

function nameOf({ noun, isTool, label, context }: NodeEntry): string {
  return `${noun[0]?.toUpperCase()}${noun.slice(1)} "${isTool ? label : context.node}"`;
}

function failureRecord(
  error: Error,
  { context, ladder, input, attempts, reentry, classify }: NodeEntry,
  config: LangGraphRunnableConfig,
): FailureRecord {
  return {
    v: 1,
    node: context.node,
    input,
    report: classify(error),
    attempts: [...(reentry?.attempts ?? []), ...attempts],
    fallbacks: ladder.fallbacks.map((step) => step.name),
    decisions: reentry?.decisions ?? [],
    scope: reentry?.scope ?? scopeOf(config),
    ...(reentry?.rolledBack === undefined ? {} : { rolledBack: reentry.rolledBack }),
  };
}

/** Where a failure goes that no rung within the node could mend. */
export function nextRung(failure: FailureRecord): "human" | "fail" | "stop" {
  const { next } = CATEGORY_POLICIES[failure.report.category];
  return next === "fail" || next === "stop" ? next : "human";
}

/** Notes who answered instead; within another decorator of the same task that one notes it, with its own. */
function noteDegradations(
  { result, answeredBy, because, ageMs }: Answer,
  { context, policy, degradations, around, outside, isTool, label }: NodeEntry,
): unknown {
  if (because !== undefined)
    degradations.push({
      v: 1,
      node: isTool ? label : context.node,
      answeredBy,
      category: because.category,
      reason: redactText(because.message),
      at: new Date(policy.clock.now()).toISOString(),
      ...(ageMs === undefined ? {} : { ageMs }),
    });
  // In a subgraph the state of the graph around knows nothing of it yet: the attempt there is told as well.
  outside?.degradations.push(...degradations);
  return around !== undefined || isTool ? result : withProvenance(result, degradations);
}
