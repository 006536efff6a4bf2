import { type Category, isCategory } from "./categories.js";
import { type CompiledRule, isRetried, type Pass } from "./error-rule.js";
import { type ErrorFacts, factsOf } from "./facts.js";
import { printed } from "./reading.js";
import type { ErrorReport } from "./report.js";
import { rulesOf } from "./rules.js";

/**
 * What a failure means. Typed facts first (status, provider code, errno, SQLSTATE, class, name), causes before
 * wrappers, message text last; never throws. Works on errors, on plain objects read back from a checkpoint and on
 * whatever else was thrown.
 */
export function classifyError(error: unknown): ErrorReport {
  const chain = factsOf(error);
  const innermostFirst = [...chain].reverse();
  const verdict =
    firstMatch("own", chain) ?? firstMatch("typed", innermostFirst) ?? firstMatch("message", innermostFirst) ?? UNKNOWN;
  const pick = <K extends keyof ErrorFacts>(key: K): ErrorFacts[K] | undefined =>
    verdict.facts?.[key] ?? chain.find((facts) => facts[key] !== undefined)?.[key];
  const status = pick("status");
  const code = pick("code");
  const provider = pick("provider");
  const retryAfterMs = pick("retryAfterMs");
  const causes = chain.slice(1).map(causeLine);
  return {
    category: verdict.category,
    retryable: verdict.retryable,
    ...(status === undefined ? {} : { status }),
    ...(code === undefined ? {} : { code }),
    ...(provider === undefined ? {} : { provider }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    message: messageOf(chain),
    ...(causes.length === 0 ? {} : { cause: causes }),
  };
}

interface Verdict {
  readonly category: Category;
  readonly retryable: boolean;
  readonly facts?: ErrorFacts;
}

const UNKNOWN: Verdict = { category: "unknown", retryable: true };

function firstMatch(pass: Pass, chain: readonly ErrorFacts[]): Verdict | undefined {
  const rules = rulesOf(pass);
  for (const facts of chain) {
    for (const rule of rules) {
      const verdict = verdictBy(rule, facts);
      if (verdict !== undefined) return verdict;
    }
  }
  return undefined;
}

/** What the rule says, or undefined where it passes or is broken: a user's rule must not hide the failure itself. */
function verdictBy(rule: CompiledRule, facts: ErrorFacts): Verdict | undefined {
  try {
    const matches = answered(rule.when(facts), "when", isBoolean);
    if (matches !== true) return undefined;
    const category =
      typeof rule.category === "function" ? answered(rule.category(facts), "category", isCategory) : rule.category;
    if (category === undefined) return undefined;
    const retryable =
      typeof rule.retryable === "function" ? answered(rule.retryable(facts), "retryable", isBoolean) : rule.retryable;
    return { category, retryable: retryable !== false && isRetried(category), facts };
  } catch (error) {
    warnOnce(rule, error);
    return undefined;
  }
}

const isBoolean = (value: unknown) => typeof value === "boolean";

/** A rule in plain JavaScript may give anything; an async one gives a promise, which is true. */
function answered<T>(value: T | undefined, what: string, isValid: (value: T) => boolean): T | undefined {
  if (value === undefined || isValid(value)) return value;
  throw new TypeError(`its "${what}" gave ${printed(value)}`);
}

const warned = new WeakSet<CompiledRule>();

function warnOnce(rule: CompiledRule, error: unknown): void {
  if (warned.has(rule)) return;
  warned.add(rule);
  process.emitWarning(
    `The error rule "${rule.name}" is broken and passed over from now on where it fails: ${printed(error)}`,
    "ResilienceWarning",
  );
}

/** A text is its own name. */
function causeLine({ names, message }: ErrorFacts): string {
  return names[0] === "string" ? message : `${names[0] ?? "Error"}: ${message}`;
}

/** They say nothing without the cause. */
const isVague = (message: string) => message === "" || /^(fetch failed|terminated|connection error\.?)$/i.test(message);

/** The outermost words, and where they are vague the first beneath that are not. */
function messageOf(chain: readonly ErrorFacts[]): string {
  const outer = chain[0]?.message ?? "";
  const beneath = chain.slice(1).map(({ message }) => message);
  const inner =
    beneath.find((message) => !isVague(message)) ?? beneath.find((message) => message !== "" && message !== outer);
  if (!isVague(outer) || inner === undefined) return outer === "" ? (chain[0]?.names[0] ?? "unknown failure") : outer;
  return outer === "" ? inner : `${outer}: ${inner}`;
}
