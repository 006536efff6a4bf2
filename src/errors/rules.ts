/**
 * The rule table. Classification reads it in three passes over the chain of causes:
 * `own` rules outermost first (whoever wrapped an error on purpose knows best), `typed` rules innermost first (causes
 * before wrappers), then `message` rules innermost first. Within a pass the first row that matches wins; rows added
 * with {@link defineErrorRule} come before the built-in ones.
 */
import { BUILT_IN_RULES } from "./built-in-rules.js";
import type { ErrorRule } from "./error-rule.js";

let added: readonly ErrorRule[] = [];

/**
 * Adds a row to the table, before the built-in ones of its pass.
 *
 * @returns a function that takes the row out again
 */
export function defineErrorRule(rule: ErrorRule): () => void {
  added = [rule, ...added.filter((existing) => existing.name !== rule.name)];
  return () => {
    added = added.filter((existing) => existing !== rule);
  };
}

export function rulesOf(pass: "own" | "typed" | "message"): readonly ErrorRule[] {
  return [...added, ...BUILT_IN_RULES].filter((rule) => (rule.pass ?? "typed") === pass);
}
