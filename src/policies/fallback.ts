import type { Category, NextRung } from "../errors/categories.js";
import { rethrowControlFlow } from "../errors/control-flow.js";

/** What a step needs to be eligible; its way of running is the caller's. */
export interface FallbackCandidate {
  readonly name: string;
  readonly when?: readonly Category[] | undefined;
}

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
 * @returns the answer and the step's name, or undefined when every step failed
 * @throws LangGraph's control flow, and the abort of `signal`
 */
export async function firstAnswer<S extends FallbackCandidate, T>(
  steps: readonly S[],
  run: (step: S) => Promise<T>,
  signal?: AbortSignal,
): Promise<{ readonly step: S; readonly answer: T } | undefined> {
  for (const step of steps) {
    try {
      return { step, answer: await run(step) };
    } catch (error) {
      rethrowControlFlow(error);
      if (signal?.aborted) throw error;
    }
  }
  return undefined;
}
