/**
 * The in-node rungs for one entry of one node: attempt → retry → fallback, or what a person directed.
 */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { Directive } from "../core/records.js";
import { NODE_STEP } from "../core/records.js";
import { CATEGORIES } from "../errors/categories.js";
import { classifyError } from "../errors/classify.js";
import { ConfigError, InvalidInputError } from "../errors/own-errors.js";
import type { CompiledStep } from "../policies/compiled-ladder.js";
import { type Answer, answerInstead, climbLadder } from "../policies/ladder.js";
import { categoryPolicy, NO_RETRY, type RetryPolicy, retrySchema } from "../policies/retry-options.js";
import { type TimeoutPolicy, timeoutSchema } from "../policies/timeout.js";
import { nodeClimber } from "./node-climber.js";
import type { NodeEntry } from "./node-entry.js";
import { degradationsIn } from "./provenance.js";

type Step = CompiledStep<LangGraphRunnableConfig>;

/**
 * @param config of the entry, under the deadline where there is one
 * @throws the node's own failure when no rung within the node helps
 */
export function climb(entry: NodeEntry, config: LangGraphRunnableConfig): Promise<Answer> {
  const { ladder, reentry } = entry;
  const directive = reentry?.directive;
  const climber = nodeClimber(entry, config);
  switch (directive?.kind) {
    case "provide":
      return Promise.resolve({ result: directive.result, answeredBy: "person" });
    case "fallback": {
      const because =
        reentry?.attempts.findLast((record) => record.step === NODE_STEP)?.report ??
        classifyError(new ConfigError("directed by a person"));
      return answerInstead(directedStep(entry, directive.step), because, climber);
    }
    case "retry":
      return climbLadder(directedNode(entry, directive), fallbacksOf(entry, config), climber);
    case undefined:
      return climbLadder(ladder.node, fallbacksOf(entry, config), climber);
  }
}

function fallbacksOf({ ladder, policy, input }: NodeEntry, config: LangGraphRunnableConfig): readonly Step[] {
  const { humanAfter, maxDegradations } = policy;
  if (humanAfter === "retry") return [];
  return maxDegradations !== undefined && degradationsIn(input, config).length >= maxDegradations
    ? []
    : ladder.fallbacks;
}

function directedStep({ ladder, context }: NodeEntry, name: string): Step {
  const { fallbacks } = ladder;
  const step = fallbacks.find((candidate) => candidate.name === name);
  if (step !== undefined) return step;
  const known = fallbacks.map((candidate) => candidate.name).join(", ");
  throw new InvalidInputError(
    `Node "${context.node}" has no fallback step "${name}"; it has: ${known === "" ? "none" : known}`,
  );
}

function directedNode({ ladder, policy }: NodeEntry, { parameters }: Extract<Directive, { kind: "retry" }>): Step {
  return {
    ...ladder.node,
    retry: retryWith(policy.retry, parameters),
    timeout: timeoutWith(policy.timeout, parameters),
  };
}

function retryWith(
  policy: RetryPolicy | false,
  parameters: { maxAttempts?: number; initialDelayMs?: number } | undefined,
): RetryPolicy {
  if (policy === false && parameters?.maxAttempts === undefined) return NO_RETRY;
  const base = policy === false ? retrySchema.parse({}) : policy;
  const { maxAttempts = base.maxAttempts, initialDelayMs = base.initialDelayMs } = parameters ?? {};
  const slower = initialDelayMs / Math.max(1, base.initialDelayMs);
  return {
    ...base,
    maxAttempts,
    initialDelayMs,
    // What a person asks for is not to be cut short by limits that were made for shorter waits and fewer attempts.
    maxElapsedMs: base.maxElapsedMs * Math.max(1, slower, maxAttempts / base.maxAttempts),
    categories: parameters?.maxAttempts === undefined ? base.categories : withRetries(base, maxAttempts - 1),
  };
}

/** So many retries for each category that is retried at all. */
function withRetries(policy: RetryPolicy, retries: number): RetryPolicy["categories"] {
  const raised = CATEGORIES.filter((category) => categoryPolicy(policy, category).retries > 0).map(
    (category) => [category, { ...policy.categories[category], retries }] as const,
  );
  return { ...policy.categories, ...Object.fromEntries(raised) };
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
    firstTokenMs: undefined,
    idleMs: undefined,
    maxMs: Math.max(parameters.timeoutMs, 300_000),
  };
}
