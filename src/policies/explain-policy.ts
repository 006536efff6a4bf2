/** The effective policy of a call in words, rung by rung, outermost first: what was chosen and what the defaults add. */
import { CATEGORIES, type Category } from "../errors/categories.js";
import type { Trip } from "./breaker/breaker-options.js";
import { STALE } from "./fallback.js";
import { type LadderPolicy, servesStale } from "./ladder-options.js";
import { categoryPolicy, type RetryPolicy } from "./retry-options.js";
import { policyNamed, type ServicePolicy, serviceSchema } from "./service.js";
import { attemptTimeoutMs, type TimeoutPolicy } from "./timeout.js";

type Line = readonly [rung: string, text: string];

export function explainPolicy(policy: LadderPolicy): readonly Line[] {
  const { service } = policy;
  const name = typeof service === "object" ? service.name : service;
  return [
    ["cache", cacheText(policy)],
    [
      "deadline",
      policy.timeout === false || policy.timeout.deadlineMs === undefined ? "none" : ms(policy.timeout.deadlineMs),
    ],
    ...fallbackLines(policy),
    ...retryLines(policy.retry),
    ...guardLines(name, guardsOf(policy)),
    ...timeoutLines(policy.timeout, policy.retry),
    ...(policy.validate === undefined
      ? []
      : [["validate", "its own check of each result; what it refuses is malformed_output"] as const]),
  ];
}

/** Columns: the rung once, its lines beneath one another. */
export function printed(lines: readonly Line[]): string {
  const width = Math.max(...lines.map(([rung]) => rung.length)) + 2;
  return lines.map(([rung, text]) => `  ${rung.padEnd(width)}${text}`).join("\n");
}

function cacheText({ cache }: LadderPolicy): string {
  if (cache === false) return "off";
  const where =
    cache.store === "shared" ? "shared through the persistence" : `at most ${cache.maxEntries} in this process`;
  const stale = servesStale(cache) ? `; outdated ones for ${ms(cache.staleIfErrorMs)} more, as a fallback` : "";
  return `answers are fresh for ${ms(cache.ttlMs)}, ${where}${stale}`;
}

function fallbackLines({ fallback, cache }: LadderPolicy): readonly Line[] {
  const steps: LadderPolicy["fallback"] =
    servesStale(cache) && !fallback.includes(STALE) ? [...fallback, STALE] : fallback;
  if (steps.length === 0) return [["fallback", "none"]];
  return steps.map((step, index): Line => {
    const rung = index === 0 ? "fallback" : "";
    if (step === STALE) return [rung, `${index + 1}. the cache's outdated answer`];
    const when = step.when === undefined ? "whatever may fall back" : step.when.join(", ");
    const attempts = step.retry === false ? 1 : step.retry.maxAttempts;
    return [rung, `${index + 1}. "${step.name}" for ${when}: ${attempts} ${attempts === 1 ? "attempt" : "attempts"}`];
  });
}

function retryLines(retry: RetryPolicy | false): readonly Line[] {
  if (retry === false || retry.maxAttempts === 1) return [["retry", "off: 1 attempt"]];
  const { maxAttempts, maxDelayMs, maxElapsedMs, jitter, retryOn } = retry;
  const jitterText = jitter === "none" ? "without jitter" : jitter === "proportional" ? "±25 %" : `${jitter} jitter`;
  const lines: Line[] = [
    [
      "retry",
      `at most ${maxAttempts} attempts; waits ${jitterText}, each at most ${ms(maxDelayMs)} (a Retry-After may be longer), none that ends after ${ms(maxElapsedMs)}`,
    ],
  ];
  const kinds = new Map<string, Category[]>();
  for (const category of CATEGORIES) {
    const text = waitsText(retry, category);
    kinds.set(text, [...(kinds.get(text) ?? []), category]);
  }
  for (const [text, categories] of kinds) lines.push(["", `${categories.join(", ")}: ${text}`]);
  if (retryOn !== undefined) lines.push(["", "retryOn is asked first, from case to case"]);
  return lines;
}

function waitsText(retry: RetryPolicy, category: Category): string {
  const { retries, backoff, initialDelayMs } = categoryPolicy(retry, category);
  const made = Math.min(retries, retry.maxAttempts - 1);
  if (made === 0) return "not retried";
  const times = made === 1 ? "1 retry" : `${made} retries`;
  if (backoff === "none") return `${times}, at once`;
  return `${times}, ${backoff} from ${ms(Math.min(initialDelayMs, retry.maxDelayMs))}`;
}

function guardLines(
  name: string | undefined,
  { circuitBreaker, bulkhead, rateLimit, retryBudget, shared }: ServicePolicy,
): readonly Line[] {
  const of = name === undefined ? "" : ` of "${name}"`;
  const lines: Line[] = [];
  if (retryBudget !== false)
    lines.push([
      "retry budget",
      `${retryBudget.ratio * 100} % of the calls${of} in ${ms(retryBudget.windowMs)}, at least ${retryBudget.minRetries}`,
    ]);
  if (circuitBreaker === false) lines.push(["circuit breaker", "off"]);
  else {
    const trips = Array.isArray(circuitBreaker.trip) ? circuitBreaker.trip : [circuitBreaker.trip];
    lines.push([
      "circuit breaker",
      `${shared === false ? "own" : "shared"}${of}; opens ${trips.map(tripText).join(" or ")} for ${ms(circuitBreaker.recoveryMs)}, closes after ${circuitBreaker.halfOpenSuccesses} probes in a row`,
    ]);
  }
  lines.push([
    "bulkhead",
    bulkhead === false
      ? "off"
      : `${bulkhead.maxConcurrent} calls${of} at once, ${bulkhead.maxQueue} may wait ${ms(bulkhead.queueTimeoutMs)}`,
  ]);
  if (rateLimit !== false) {
    const { requestsPerMinute, tokensPerMinute } = rateLimit;
    const limits = [
      ...(requestsPerMinute === undefined ? [] : [`${requestsPerMinute} requests`]),
      ...(tokensPerMinute === undefined ? [] : [`${tokensPerMinute} tokens`]),
    ];
    lines.push([
      "rate limit",
      `${limits.join(" and ")}${of} a minute, waiting at most ${ms(rateLimit.queueTimeoutMs)}`,
    ]);
  }
  return lines;
}

function guardsOf(policy: LadderPolicy): ServicePolicy {
  const { service, circuitBreaker, bulkhead, rateLimit, retryBudget } = policy;
  if (typeof service === "object") return service.policy;
  const named =
    service === undefined ? serviceSchema.parse({ circuitBreaker: false, shared: false }) : policyNamed(service);
  const given = Object.entries({ circuitBreaker, bulkhead, rateLimit, retryBudget });
  return { ...named, ...Object.fromEntries(given.filter(([, guard]) => guard !== undefined)) };
}

function tripText(trip: Trip): string {
  switch (trip.kind) {
    case "consecutive":
      return `after ${trip.failures} failures in a row`;
    case "ratio":
      return `when ${trip.ratio * 100} % of ${windowText(trip.window)} fail (of at least ${trip.minimumCalls})`;
    case "slow":
      return `when ${trip.ratio * 100} % of ${windowText(trip.window)} take longer than ${ms(trip.slowCallMs)} (of at least ${trip.minimumCalls})`;
  }
}

function windowText(window: { readonly calls: number } | { readonly ms: number }): string {
  return "calls" in window ? `the last ${window.calls} calls` : `the calls of ${ms(window.ms)}`;
}

function timeoutLines(timeout: TimeoutPolicy | false, retry: RetryPolicy | false): readonly Line[] {
  if (timeout === false) return [["time limit", "off"]];
  const attempts = retry === false ? 1 : Math.min(retry.maxAttempts, 4);
  const limits = Array.from({ length: attempts }, (_, index) => ms(attemptTimeoutMs(timeout, index + 1)));
  const { firstTokenMs, idleMs } = timeout;
  return [
    ["time limit", `${[...new Set(limits)].join(", ")} for an attempt`],
    ...(firstTokenMs === undefined ? [] : [["", `${ms(firstTokenMs)} until its first sign of life`] as const]),
    ...(idleMs === undefined ? [] : [["", `${ms(idleMs)} between two of them`] as const]),
  ];
}

function ms(value: number): string {
  return value >= 1000 && value % 100 === 0 ? `${value / 1000} s` : `${value} ms`;
}
