/** The rungs of {@link resilient}, one at a time. */
import { ConfigError } from "../errors/own-errors.js";
import type { BreakerOptions } from "../policies/breaker/breaker-options.js";
import type { BulkheadOptions } from "../policies/bulkhead.js";
import type { CacheOptions } from "../policies/cache.js";
import type { RetryOptions } from "../policies/retry-options.js";
import type { Service } from "../policies/service.js";
import type { TimeoutOptions } from "../policies/timeout.js";
import { type DecoratedNode, type Node, resilient } from "./resilient.js";
import type { FallbackStep, ResilientOptions } from "./resilient-options.js";

const NOTHING_ELSE = { retry: false, timeout: false } as const;

/** Only the retry rung. */
export function withRetry<I, O>(node: Node<I, O>, retry: RetryOptions = {}): DecoratedNode<I, O> {
  return resilient(node, { ...NOTHING_ELSE, retry });
}

/** Only the time limits: one attempt, aborted after `baseMs` × task factor. */
export function withTimeout<I, O>(node: Node<I, O>, timeout: TimeoutOptions = {}): DecoratedNode<I, O> {
  return resilient(node, { ...NOTHING_ELSE, timeout });
}

/** Only the fallback chain. */
export function withFallback<I, O, F = O>(
  node: Node<I, O>,
  fallback: NonNullable<ResilientOptions<I, O, F>["fallback"]> | readonly FallbackStep<I, F>[],
): DecoratedNode<I, O | F> {
  return resilient<I, O, F>(node, { ...NOTHING_ELSE, fallback });
}

/**
 * Only the circuit breaker: that of a service, which all who name it share, or one of this node's own.
 *
 * @throws ConfigError for a service that has none
 */
export function withCircuitBreaker<I, O>(
  node: Node<I, O>,
  options: BreakerOptions & { readonly service?: string | Service } = {},
): DecoratedNode<I, O> {
  const { service, ...circuitBreaker } = options;
  if (typeof service === "object" && service.policy.circuitBreaker === false)
    throw new ConfigError(
      `withCircuitBreaker(): the service "${service.name}" has no circuit breaker; give it one in defineService`,
    );
  const own = Object.keys(circuitBreaker).length > 0 || service === undefined;
  return resilient(node, {
    ...NOTHING_ELSE,
    ...(service === undefined ? {} : { service }),
    ...(own ? { circuitBreaker } : {}),
  });
}

/**
 * The bulkhead: that of a service, which all who name it share, or one of this node's own. A service brings its circuit
 * breaker along.
 */
export function withBulkhead<I, O>(
  node: Node<I, O>,
  options: BulkheadOptions & { readonly service?: string | Service } = {},
): DecoratedNode<I, O> {
  const { service, ...bulkhead } = options;
  const sharesItsOwn = typeof service === "object" && service.policy.bulkhead !== false;
  const own = !sharesItsOwn || Object.keys(bulkhead).length > 0;
  return resilient(node, {
    ...NOTHING_ELSE,
    ...(service === undefined ? {} : { service }),
    ...(own ? { bulkhead } : {}),
  });
}

/** Only the cache: fresh answers by input, and with `staleIfErrorMs` outdated ones where the node fails. */
export function withCache<I, O>(node: Node<I, O>, cache: CacheOptions<I>): DecoratedNode<I, O> {
  return resilient(node, { ...NOTHING_ELSE, cache });
}
