import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { z } from "zod";
import { parseOptions } from "../core/options.js";
import type { Degradation } from "../core/records.js";
import { DegradedInputError } from "../errors/policy-errors.js";
import { attempt } from "./attempt-scope.js";
import { degradationsIn } from "./provenance.js";
import type { Node } from "./resilient.js";
import { runContextOf } from "./run-context.js";

const schema = z.strictObject({
  /** Only what these nodes have answered counts; default every node. */
  from: z.array(z.string().min(1)).min(1).optional(),
  /** Degraded answers that are put up with. */
  max: z.int().min(0).default(0),
});

export type RequireUndegradedOptions = z.input<typeof schema>;

/**
 * A node that refuses to work on what something simpler has answered in place of a step before it. Wrap it:
 * `resilient(requireUndegraded(pay))`; a fallback may then answer, and else a person is asked. Who sends the step back
 * with "retry" lets it work on what there is.
 *
 * @throws ConfigError at once for wrong options; DegradedInputError when the node is called on degraded input
 */
export function requireUndegraded<I, O>(
  node: Node<I, O>,
  options: RequireUndegradedOptions = {},
): (input: I, config: LangGraphRunnableConfig) => Promise<O> {
  const label = node.name === "" ? "node" : node.name;
  const { from, max } = parseOptions(`requireUndegraded(${label})`, schema, options);
  const demanding = async (input: I, config: LangGraphRunnableConfig): Promise<O> => {
    const degraded = degradationsIn(input, config).filter((one) => from === undefined || from.includes(one.node));
    if (degraded.length > max && attempt(config).directive !== "retry")
      throw new DegradedInputError(runContextOf(config, label).node, degraded.map(described).join("; "));
    return await node(input, config);
  };
  Object.defineProperty(demanding, "name", { value: label });
  return demanding;
}

function described({ node, answeredBy, category, reason }: Degradation): string {
  return `"${node}" was answered by "${answeredBy}" (${category}: ${reason})`;
}
