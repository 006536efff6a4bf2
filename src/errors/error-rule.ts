import type { Category } from "./categories.js";
import type { ErrorFacts } from "./facts.js";

export interface ErrorRule {
  /** Unique, for messages and for taking the rule back. */
  readonly name: string;
  readonly category: Category | ((facts: ErrorFacts) => Category | undefined);
  /** Default: whether the category is retried at all. */
  readonly retryable?: boolean;
  /** Default "typed". */
  readonly pass?: "own" | "typed" | "message";
  readonly when: (facts: ErrorFacts) => boolean;
}
