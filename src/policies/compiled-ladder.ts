import { NODE_STEP } from "../core/records.js";
import type { ErrorReport } from "../errors/report.js";
import { type Cache, type CacheCodec, createCache } from "./cache.js";
import { STALE } from "./fallback.js";
import type { LadderStep } from "./ladder.js";
import { type FallbackPolicy, type LadderPolicy, servesStale } from "./ladder-options.js";
import { NO_RETRY } from "./retry-options.js";
import { chooseService } from "./service-choice.js";

/** A step with what it does. */
export interface CompiledStep<Context> extends LadderStep {
  readonly run: (input: unknown, context: Context, failure: ErrorReport) => unknown;
}

/** Options with defaults, made into what a call climbs; made once. */
export interface CompiledLadder<Context> {
  readonly node: CompiledStep<Context>;
  readonly fallbacks: readonly CompiledStep<Context>[];
  /** Whether any of them makes more than one attempt. */
  readonly retries: boolean;
  readonly cache: Cache | undefined;
}

/**
 * @param owner for messages: `resilient(write)`
 * @param codec for answers that a copy would not leave as they are
 * @throws ConfigError for a service that cannot be what its options say
 */
export function compileLadder<Context>(
  owner: string,
  label: string,
  run: (input: unknown, context: Context) => unknown,
  policy: LadderPolicy,
  codec?: CacheCodec,
): CompiledLadder<Context> {
  const { clock, timeout } = policy;
  const node: CompiledStep<Context> = {
    name: NODE_STEP,
    run,
    retry: policy.retry === false ? NO_RETRY : policy.retry,
    timeout,
    service: chooseService(owner, label, policy, clock),
  };
  const stale: CompiledStep<Context> = {
    name: STALE,
    run: () => undefined,
    retry: NO_RETRY,
    timeout: false,
    service: undefined,
  };
  const declared = policy.fallback.map((step) =>
    step === STALE
      ? stale
      : compileStep<Context>(step, timeout, chooseService(`${owner}: fallback "${step.name}"`, step.name, step, clock)),
  );
  const fallbacks = servesStale(policy.cache) && !declared.includes(stale) ? [...declared, stale] : declared;
  return {
    node,
    fallbacks,
    retries: [node, ...fallbacks].some((step) => step.retry.maxAttempts > 1),
    cache:
      policy.cache === false
        ? undefined
        : createCache(label, policy.cache, { clock, ...(codec === undefined ? {} : { codec }) }),
  };
}

function compileStep<Context>(
  step: FallbackPolicy,
  timeout: LadderPolicy["timeout"],
  service: LadderStep["service"],
): CompiledStep<Context> {
  return {
    name: step.name,
    when: step.when,
    run: step.run as CompiledStep<Context>["run"],
    retry: step.retry === false ? NO_RETRY : step.retry,
    timeout: step.timeout ?? timeout,
    service,
  };
}
