import { parseOptions } from "../core/options.js";
import { explainPolicy, printed } from "../policies/explain-policy.js";
import { resilientMark } from "./resilient.js";
import { type ResilientOptions, resilientSchema } from "./resilient-options.js";

/**
 * The effective policy in words, rung by rung, defaults included: of a decorated node, or of options for
 * {@link resilient}.
 *
 * @throws ConfigError for wrong options, or for a function that is not decorated
 */
export function explain<I, O, F = O>(
  subject: ResilientOptions<I, O, F> | ((...parameters: never[]) => unknown),
): string {
  const mark = resilientMark(subject);
  const policy = mark?.policy ?? parseOptions("explain()", resilientSchema, subject);
  const label = mark?.label ?? policy.name ?? "node";
  const { budget, maxDegradations, humanAfter } = policy;
  const limits = budget === false ? [] : Object.entries(budget).map(([limit, value]) => `${limit} ${value}`);
  const lines = [
    ...(budget === false
      ? []
      : [["budget", limits.length === 0 ? "counted, not limited" : limits.join(", ")] as const]),
    ...(maxDegradations === undefined
      ? []
      : [["degradation", `no fallback once ${maxDegradations} steps of the run were answered by one`] as const]),
    [
      "then",
      humanAfter === "retry"
        ? "a person, before any fallback"
        : "a person, where installRecovery put one, else the error",
    ] as const,
  ];
  const rungs = explainPolicy(policy);
  return `${label}\n${printed([...rungs, ...lines])}`;
}
