import type { AttemptRecord, FailureRecord, RetryParameters } from "../core/records.js";
import type { Category } from "../errors/categories.js";
import type { Action } from "./decision.js";

export interface Suggestion {
  readonly action: Action;
  /** One sentence a person can check. */
  readonly reason: string;
  readonly parameters?: RetryParameters;
}

/** Failed attempts of a step, human retries included, after which trying the same way again is not suggested. */
const TOO_MANY_ATTEMPTS = 5;
const SLOW_DOWN_MS = 30_000;

/**
 * What a person is advised to do. Rules, in order: 5 failed attempts or more → something simpler; auth or permission →
 * someone who can grant it; repeated rate limit → slow down; third timeout → something simpler; else retry.
 *
 * @param allowed the actions this request offers; a suggestion is always one of them
 */
export function suggestAction(failure: FailureRecord, allowed: readonly Action[]): Suggestion {
  const wanted = rule(failure);
  if (allowed.includes(wanted.action)) return wanted;
  const instead = substitutes[wanted.action].find((action) => allowed.includes(action)) ?? allowed[0] ?? "abort";
  return { action: instead, reason: `${wanted.reason} ("${wanted.action}" is not offered here)` };
}

const substitutes: Readonly<Record<Action, readonly Action[]>> = {
  fallback: ["provide", "adjust", "escalate"],
  escalate: ["adjust", "retry"],
  adjust: ["retry"],
  retry: ["adjust", "provide"],
  provide: ["adjust", "retry"],
  abort: ["escalate"],
};

function rule(failure: FailureRecord): Suggestion {
  const { category } = failure.report;
  const tries = failure.attempts.filter((attempt) => attempt.step === "node");
  if (category === "auth" || category === "permission") {
    return {
      action: "escalate",
      reason: `${category === "auth" ? "A login was refused" : "A permission is missing"}: no retry can grant it.`,
    };
  }
  if (tries.length >= TOO_MANY_ATTEMPTS) {
    return {
      action: "fallback",
      reason: `The step has failed ${tries.length} times; a simpler way is likelier to work than the same one again.`,
    };
  }
  if (category === "rate_limit" && count(tries, category) >= 2) {
    return {
      action: "adjust",
      reason: "The rate limit was hit repeatedly; slow down.",
      parameters: { initialDelayMs: SLOW_DOWN_MS },
    };
  }
  if (category === "timeout" && count(tries, category) >= 3) {
    return { action: "fallback", reason: "The step has run into its time limit three times." };
  }
  return { action: "retry", reason: reasons[category] ?? "The failure may have passed." };
}

const reasons: Partial<Record<Category, string>> = {
  bug: "The code failed; retry once it is mended.",
  stuck: "The step made no progress; look at the state before trying again.",
  environment: "Retry once the machine has what was missing.",
  quota: "Retry once the quota is raised.",
  timeout: "The step ran into its time limit; it may have been a slow moment.",
};

function count(attempts: readonly AttemptRecord[], category: Category): number {
  return attempts.filter((attempt) => attempt.report.category === category).length;
}
