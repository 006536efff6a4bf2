import type { Callbacks } from "@langchain/core/callbacks/manager";
import type { AttemptOutcome, Meter } from "../policies/budget.js";
import type { ModelUsage } from "../policies/usage.js";
import { UsageHandler, withHandlers } from "./usage-handler.js";

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
 * @param isCounted whether it is an attempt of its own
 * @param heard told of each model call as well
 */
export function countAttempt<C extends { readonly callbacks?: Callbacks | undefined }>(
  config: C,
  meter: Meter | undefined,
  isCounted = true,
  heard: (call: ModelUsage) => void = () => undefined,
): CountedAttempt<C> {
  const attempt = meter?.begin(isCounted ? 1 : 0);
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
