import type { StoredEffect } from "../core/effect-ports.js";
import type { AttemptRecord, FailureRecord, RetryParameters } from "../core/records.js";
import { shellQuote } from "../core/shell-quote.js";
import type { Category } from "../errors/categories.js";
import type { Action } from "./decision.js";
import { shortKey } from "./effects-so-far.js";

export interface Suggestion {
  readonly action: Action;
  /** One sentence a person can check. */
  readonly reason: string;
  readonly parameters?: RetryParameters;
}

/** Failed attempts of a step, human retries included, after which trying the same way again is not suggested. */
const TOO_MANY_ATTEMPTS = 5;
const SLOW_DOWN_MS = 30_000;

/** What has to be known of the failed step's effects before it is run again. */
export interface Unsettled {
  /** By the name or ID that people use. */
  readonly thread: string;
  /** Those that may have happened or not. */
  readonly effects: readonly StoredEffect[];
}

/**
 * What a person is advised to do. Rules, in order: 5 failed attempts or more → something simpler; auth or permission →
 * someone who can grant it; repeated rate limit → slow down; third timeout → something simpler; else retry. Where an
 * effect of the step may have happened, the reason says first how to settle it.
 *
 * @param allowed the actions this request offers; a suggestion is always one of them
 */
export function suggestAction(failure: FailureRecord, allowed: readonly Action[], unsettled?: Unsettled): Suggestion {
  const wanted = afterSettling(failure, rule(failure), unsettled);
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
  rollback: ["retry", "escalate"],
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

/** No way of doing the step gets past an effect that stopped it; past others it may. */
function afterSettling({ report }: FailureRecord, wanted: Suggestion, unsettled: Unsettled | undefined): Suggestion {
  const [first, ...others] = unsettled?.effects ?? [];
  if (unsettled === undefined || first === undefined) return wanted;
  const command = `npx lgr effects ${shellQuote(unsettled.thread)} --settle ${shortKey(first.key)}`;
  const more = others.length === 0 ? "" : `, nor of ${others.length} more`;
  const settle = `It is not known whether effect "${first.effect}" happened${more}: look it up where it would have happened and say so with ${command} --happened '<receipt>', or --did-not-happen`;
  return report.code === "EFFECT_UNKNOWN"
    ? { action: "retry", reason: `${settle}; then retry. Until that is said, a retry ends here again.` }
    : {
        ...wanted,
        reason: `${wanted.reason} But first: ${settle}. Where it has a probe, running the step again asks that.`,
      };
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
