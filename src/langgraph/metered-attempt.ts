import type { Callbacks } from "@langchain/core/callbacks/manager";
import type { AttemptOutcome, Meter } from "../policies/budget.js";
import type { ModelUsage } from "../policies/usage.js";
import { UsageHandler, withHandlers } from "./usage-handler.js";

/**
 * The attempts of a decorator further in are parts of one attempt further out, which counts itself, as what comes of it.
 * Of n of them n - 1 have failed for sure: each that is made counts for the one that failed before it.
 */
export type CountedAs = "itself" | "the one before" | "nothing";

/** An attempt whose time and model calls are counted. */
export interface CountedAttempt<C> {
  /** What the attempt is to run in: model calls made with it, or without a config while it is the ambient one, count. */
  readonly config: C;
  /** To be called once the attempt is over, in a `finally`. */
  end(outcome: AttemptOutcome): void;
}

/**
 * Begins an attempt on a thread's meter, if there is one; call `meter.check` right before it.
 *
 * @param counts as how many attempts it counts
 * @param heard told of each model call as well
 */
export function countAttempt<C extends { readonly callbacks?: Callbacks | undefined }>(
  config: C,
  meter: Meter | undefined,
  counts: CountedAs = "itself",
  heard: (call: ModelUsage) => void = () => undefined,
): CountedAttempt<C> {
  if (counts === "the one before") meter?.begin(1).end("wasted");
  const attempt = meter?.begin(counts === "itself" ? 1 : 0);
  const handler = new UsageHandler((call) => {
    attempt?.add(call);
    heard(call);
  }, meter !== undefined);
  return {
    config: withHandlers(config, [handler]),
    end(outcome) {
      handler.settle();
      attempt?.end(outcome);
    },
  };
}
