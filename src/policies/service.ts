/**
 * A service is what calls share the fate of: a provider, a model, a database. Its circuit breaker, bulkhead, rate limit
 * and retry budget belong to all who call it, so they are kept with the service and not with a node.
 */
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { beforeClose } from "../core/before-close.js";
import { type Clock, systemClock } from "../core/clock.js";
import type { EventBus } from "../core/events.js";
import { offOr, parseOptions } from "../core/options.js";
import type { VersionedStore } from "../core/store-ports.js";
import { asError, ConfigError } from "../errors/own-errors.js";
import { BreakerStoreError } from "../errors/policy-errors.js";
import { type Breaker, createBreaker } from "./breaker/breaker.js";
import { type BreakerOptions, breakerSchema } from "./breaker/breaker-options.js";
import { createSharedBreaker, type SharedBreaker, type SharingOptions } from "./breaker/shared-breaker.js";
import { type Bulkhead, type BulkheadOptions, bulkheadSchema, createBulkhead } from "./bulkhead.js";
import { createRateLimit, type RateLimit, type RateLimitOptions, rateLimitSchema } from "./rate-limit.js";
import { createRetryBudget, type RetryBudget, type RetryBudgetOptions, retryBudgetSchema } from "./retry-budget.js";

export interface ServiceOptions {
  /** On by default; `false`: none. */
  readonly circuitBreaker?: BreakerOptions | false;
  /** Off by default. Per process. */
  readonly bulkhead?: BulkheadOptions | false;
  /** Off by default. Per process. */
  readonly rateLimit?: RateLimitOptions | false;
  /** Off by default. Per process. */
  readonly retryBudget?: RetryBudgetOptions | false;
  /**
   * Whether the breaker is one for all processes on the same persistence (default) or each process has its own. Without
   * a persistence that keeps breakers each process has its own anyway. `refreshMs` (1000): what others changed is looked
   * for at most so often; `patienceMs` (1000): how long a store may take before the process goes on without it.
   */
  readonly shared?: boolean | { readonly refreshMs?: number; readonly patienceMs?: number };
  /** Default: the system clock. Tests pass a fake one. */
  readonly clock?: Clock;
}

export const serviceSchema = z.strictObject({
  circuitBreaker: offOr(breakerSchema).prefault({}),
  bulkhead: offOr(bulkheadSchema).default(false),
  rateLimit: offOr(rateLimitSchema).default(false),
  retryBudget: offOr(retryBudgetSchema).default(false),
  shared: z
    .union([
      z.boolean(),
      z.strictObject({ refreshMs: z.number().min(0).optional(), patienceMs: z.number().positive().optional() }),
    ])
    .default(true),
  clock: z
    .custom<Clock>((value) => typeof value === "object" && value !== null, "must be a clock")
    .default(systemClock),
});

export type ServicePolicy = z.output<typeof serviceSchema>;

/** What stands between a call and the service. */
export interface Guards {
  /** Whose they are: the same object for all guards of a service. */
  readonly service: object;
  readonly breaker: Breaker | undefined;
  readonly bulkhead: Bulkhead | undefined;
  readonly rateLimit: RateLimit | undefined;
  readonly retryBudget: RetryBudget | undefined;
  /** Until it is known how a shared breaker stands, which a process that begins does not. Never rejects. */
  readonly ready: Promise<void> | undefined;
  /** How long a call may wait in their queues at most; milliseconds. */
  readonly maxQueueMs: number;
}

/** Where a shared breaker is kept, and who hears of its changes. Any persistence is one. */
export interface BreakerHome {
  readonly breakers?: VersionedStore;
  readonly events?: EventBus;
}

export interface Service {
  readonly name: string;
  readonly policy: ServicePolicy;
  /** The same guards at each call; the breaker is that of the home, or without one that of this process. */
  guards(home?: BreakerHome): Guards;
}

const defined = new Map<string, Service>();

/**
 * Defines what all calls of a service share. Pass the service, or its name, as the option `service` of a decorator.
 *
 * @returns the service; the same one again for the same options, so that a module may be loaded twice
 * @throws ConfigError for wrong options, and for a name that is defined with other options already
 */
export function defineService(name: string, options: ServiceOptions = {}): Service {
  const policy = parseOptions(`defineService("${name}")`, serviceSchema, options);
  const known = defined.get(name);
  if (known !== undefined && isDeepStrictEqual(known.policy, policy)) return known;
  if (known !== undefined)
    throw new ConfigError(
      `defineService("${name}"): the service is defined with other options already; define it once and pass what defineService returns`,
    );
  const service = createService(name, policy);
  defined.set(name, service);
  return service;
}

/** The service of this name, defined by now or else with the defaults. Asked at the first call, not while modules load. */
export function serviceNamed(name: string): Service {
  return defined.get(name) ?? defineService(name);
}

/** The policy of the service of this name, as far as it is defined by now; asking defines nothing. */
export function policyNamed(name: string): ServicePolicy {
  return defined.get(name)?.policy ?? serviceSchema.parse({});
}

/** A service that only its caller knows. */
export function createService(name: string, policy: ServicePolicy): Service {
  const { clock } = policy;
  const shared = {
    service: {},
    bulkhead: policy.bulkhead === false ? undefined : createBulkhead(name, policy.bulkhead, { clock }),
    rateLimit: policy.rateLimit === false ? undefined : createRateLimit(name, policy.rateLimit, { clock }),
    retryBudget: policy.retryBudget === false ? undefined : createRetryBudget(name, policy.retryBudget, { clock }),
    maxQueueMs: [policy.bulkhead, policy.rateLimit].reduce((sum, one) => sum + (one ? one.queueTimeoutMs : 0), 0),
  };
  const byHome = new WeakMap<object, Guards>();
  let inProcess: Guards | undefined;
  return {
    name,
    policy,
    guards(home) {
      if (home === undefined) {
        inProcess ??= { ...shared, ready: undefined, breaker: breakerOf(name, policy, undefined) };
        return inProcess;
      }
      const known = byHome.get(home);
      if (known !== undefined) return known;
      const breaker = breakerOf(name, policy, home);
      const made: Guards & { ready: Promise<void> | undefined } = { ...shared, ready: undefined, breaker };
      if (breaker !== undefined && "sync" in breaker) {
        const begun = (breaker as SharedBreaker).sync();
        // A store that cannot be read has been warned of, and the breaker goes on with what it knows.
        made.ready = begun.then(noop, noop).then(() => {
          made.ready = undefined;
        });
      }
      byHome.set(home, made);
      return made;
    },
  };
}

function breakerOf(service: string, policy: ServicePolicy, home: BreakerHome | undefined): Breaker | undefined {
  const { circuitBreaker, clock, shared } = policy;
  if (circuitBreaker === false) return undefined;
  const onChange = (from: string, to: string) => home?.events?.emit("breaker.changed", {}, { service, from, to });
  const store = home?.breakers;
  if (shared === false || home === undefined || store === undefined)
    return createBreaker(service, circuitBreaker, { clock, onChange });
  const sharing = typeof shared === "object" ? definedOnly(shared) : {};
  const breaker = createSharedBreaker(service, circuitBreaker, { clock, store, onChange, ...sharing });
  // A process that ends right after a failure has not told the others of it yet.
  beforeClose(home, () =>
    breaker.sync().catch((error: unknown) => {
      const why = error instanceof BreakerStoreError ? error.why : asError(error).message;
      throw new Error(`how the service "${service}" did in its last calls (${why})`, { cause: error });
    }),
  );
  return breaker;
}

function definedOnly({ refreshMs, patienceMs }: SharingOptions): SharingOptions {
  return { ...(refreshMs === undefined ? {} : { refreshMs }), ...(patienceMs === undefined ? {} : { patienceMs }) };
}

function noop(): void {}
