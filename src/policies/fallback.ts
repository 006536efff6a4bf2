import type { Category, NextRung } from "../errors/categories.js";
import { rethrowControlFlow } from "../errors/control-flow.js";

/** What a step needs to be eligible; its way of running is the caller's. */
export interface FallbackCandidate {
  readonly name: string;
  readonly when?: readonly Category[] | undefined;
}

/** The name under which a cache's outdated answer stands in a chain. */
export const STALE = "stale";

/**
 * The declared steps that may answer for a failure of this category, in order. A step without `when` answers for every
 * category whose next rung is `fallback`; a step that names the category answers for it whatever the rung.
 */
export function eligibleFallbacks<S extends FallbackCandidate>(
  steps: readonly S[],
  category: Category,
  next: NextRung,
): readonly S[] {
  if (next === "stop") return [];
  return steps.filter((step) => (step.when === undefined ? next === "fallback" : step.when.includes(category)));
}

/**
 * Runs the steps in order until one answers.
 *
 * @param mayGoOn asked after a step failed: whether another may be tried
 * @param suits asked before each step: one that does not suit is passed over
 * @returns the answer and the step, or undefined when every step failed
 * @throws LangGraph's control flow; the failure of a step after which there is to be no other
 */
export async function firstAnswer<S extends FallbackCandidate, T>(
  steps: readonly S[],
  run: (step: S) => Promise<T>,
  mayGoOn: () => boolean = () => true,
  suits: (step: S) => boolean = () => true,
): Promise<{ readonly step: S; readonly answer: T } | undefined> {
  for (const step of steps) {
    if (!suits(step)) continue;
    try {
      return { step, answer: await run(step) };
    } catch (error) {
      rethrowControlFlow(error);
      if (!mayGoOn()) throw error;
    }
  }
  return undefined;
}
