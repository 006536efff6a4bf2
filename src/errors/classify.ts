import { CATEGORY_POLICIES, type Category } from "./categories.js";
import type { ErrorRule } from "./error-rule.js";
import { type ErrorFacts, factsOf } from "./facts.js";
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
  const causes = chain.slice(1).map((facts) => `${facts.names[0] ?? "Error"}: ${facts.message}`);
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

function firstMatch(pass: "own" | "typed" | "message", chain: readonly ErrorFacts[]): Verdict | undefined {
  const rules = rulesOf(pass);
  for (const facts of chain) {
    for (const rule of rules) {
      const category = categoryBy(rule, facts);
      if (category !== undefined)
        return { category, retryable: rule.retryable ?? CATEGORY_POLICIES[category].retries > 0, facts };
    }
  }
  return undefined;
}

/** The rule's category, or undefined where it passes or is broken: a user's rule must not hide the failure itself. */
function categoryBy(rule: ErrorRule, facts: ErrorFacts): Category | undefined {
  try {
    if (!rule.when(facts)) return undefined;
    return typeof rule.category === "function" ? rule.category(facts) : rule.category;
  } catch (error) {
    process.emitWarning(
      `The error rule "${rule.name}" threw and was passed over: ${String(error)}`,
      "ResilienceWarning",
    );
    return undefined;
  }
}

/** LangChain and LangGraph append a link to their own documentation. */
const LINK = /\s*Troubleshooting URL: \S+\s*$/;

/** The outermost words; "fetch failed" and "Connection error." say nothing without the cause. */
function messageOf(chain: readonly ErrorFacts[]): string {
  const outer = (chain[0]?.message ?? "").replace(LINK, "");
  const vague = outer === "" || /^(fetch failed|terminated|connection error\.?)$/i.test(outer);
  const inner = chain.slice(1).find((facts) => facts.message !== "" && facts.message !== outer)?.message;
  if (!vague || inner === undefined) return outer === "" ? (chain[0]?.names[0] ?? "unknown failure") : outer;
  return outer === "" ? inner : `${outer}: ${inner}`;
}
