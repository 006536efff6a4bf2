/**
 * How a step is entered again after a person decided: `Send(node, reentry)` carries the node's exact input beside the
 * directive, so that it works for inputs of any type and the node itself never sees the directive.
 */
import type { AttemptRecord, DecisionRecord, Directive } from "../core/records.js";

const KEY = "__lgr_reentry";

export interface Reentry {
  readonly v: 1;
  readonly input: unknown;
  readonly directive: Directive;
  readonly attempts: readonly AttemptRecord[];
  readonly decisions: readonly DecisionRecord[];
}

export function wrapReentry(reentry: Reentry): { readonly [KEY]: Reentry } {
  return { [KEY]: reentry };
}

/** The re-entry a node was sent, or undefined for a plain input. */
export function reentryOf(input: unknown): Reentry | undefined {
  return typeof input === "object" && input !== null && KEY in input ? (input as { [KEY]: Reentry })[KEY] : undefined;
}
