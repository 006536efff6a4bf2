import { z } from "zod";
import type { Clock } from "../core/clock.js";
import { offOr } from "../core/options.js";
import { ConfigError } from "../errors/own-errors.js";
import { type BreakerOptions, breakerSchema } from "./breaker/breaker-options.js";
import { type BulkheadOptions, bulkheadSchema } from "./bulkhead.js";
import { type RateLimitOptions, rateLimitSchema } from "./rate-limit.js";
import { type RetryBudgetOptions, retryBudgetSchema } from "./retry-budget.js";
import { createService, defineService, type Service, serviceNamed, serviceSchema } from "./service.js";

/** Which service a call goes to, and what stands before it. */
export interface CallGuards {
  /**
   * The service, or its name. A service that has a name has a circuit breaker. Two steps that name the same service
   * share its guards; the guards below then are the service's, and must be the same wherever they are given.
   */
  readonly service?: string | Service;
  /** Without a service: a breaker of this step's own. */
  readonly circuitBreaker?: BreakerOptions | false;
  readonly bulkhead?: BulkheadOptions | false;
  readonly rateLimit?: RateLimitOptions | false;
  readonly retryBudget?: RetryBudgetOptions | false;
}

export const guardsShape = {
  service: z
    .custom<string | Service>(
      (value) => (typeof value === "string" && value !== "") || isService(value),
      "must be the name of a service, or what defineService returned",
    )
    .optional(),
  circuitBreaker: offOr(breakerSchema).optional(),
  bulkhead: offOr(bulkheadSchema).optional(),
  rateLimit: offOr(rateLimitSchema).optional(),
  retryBudget: offOr(retryBudgetSchema).optional(),
};

const guardsSchema = z.strictObject(guardsShape);
type ChosenGuards = z.output<typeof guardsSchema>;

const GUARDS = ["circuitBreaker", "bulkhead", "rateLimit", "retryBudget"] as const;

/**
 * @param owner whose options these are, for messages
 * @param label what a service of its own is called
 * @returns undefined where the step names no service and sets no guard
 * @throws ConfigError for guards beside a service that has its own
 */
export function chooseService(
  owner: string,
  label: string,
  options: ChosenGuards,
  clock: Clock,
): (() => Service) | undefined {
  const { service } = options;
  const given = GUARDS.filter((guard) => options[guard] !== undefined);
  const guards = Object.fromEntries(given.map((guard) => [guard, options[guard]]));
  if (typeof service === "object") {
    if (given.length > 0)
      throw new ConfigError(
        `${owner}: option "${given[0]}" is given beside the service "${service.name}", which has its own; give it to defineService("${service.name}", …)`,
      );
    return () => service;
  }
  if (service !== undefined) {
    if (given.length === 0) return () => serviceNamed(service);
    const own = defineService(service, { ...guards, clock });
    return () => own;
  }
  if (given.every((guard) => options[guard] === false)) return undefined;
  const own = createService(label, serviceSchema.parse({ circuitBreaker: false, ...guards, clock, shared: false }));
  return () => own;
}

function isService(value: unknown): value is Service {
  return typeof value === "object" && value !== null && typeof (value as Partial<Service>).guards === "function";
}
