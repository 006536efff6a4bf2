/** What the rows of the table are made of. */
import type { ErrorRule, Pass } from "../error-rule.js";
import type { ErrorFacts } from "../facts.js";

type Condition = ErrorRule["when"];

export const row = (name: string, category: ErrorRule["category"], when: Condition): ErrorRule => ({
  name,
  category,
  when,
});

export const inPass = (pass: Pass, rules: readonly ErrorRule[]): ErrorRule[] =>
  rules.map((rule) => ({ ...rule, pass }));

export const named =
  (...names: string[]): Condition =>
  (facts) =>
    facts.names.some((name) => names.includes(name));

export const coded =
  (...codes: string[]): Condition =>
  ({ code, langchainCode, type }: ErrorFacts) =>
    [code, langchainCode, type].some((value) => value !== undefined && codes.includes(value));

export const codeLike =
  (pattern: RegExp): Condition =>
  (facts) =>
    facts.code !== undefined && pattern.test(facts.code);

export const sql =
  (...prefixes: string[]): Condition =>
  (facts) =>
    prefixes.some((prefix) => facts.sqlState?.startsWith(prefix) === true);

export const says =
  (pattern: RegExp): Condition =>
  (facts) =>
    pattern.test(facts.message);

export const either =
  (a: Condition, b: Condition): Condition =>
  (facts) =>
    a(facts) || b(facts);

export const both =
  (a: Condition, b: Condition): Condition =>
  (facts) =>
    a(facts) && b(facts);
