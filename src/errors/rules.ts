/**
 * The rule table. Classification reads it in three passes over the chain of causes:
 * `own` rules outermost first (whoever wrapped an error on purpose knows best), `typed` rules innermost first (causes
 * before wrappers), then `message` rules innermost first. Within a pass the first row that matches wins; rows added
 * with {@link defineErrorRule} come before the built-in ones.
 */
import { BUILT_IN_RULES } from "./built-in-rules.js";
import { type CompiledRule, compileRule, type ErrorRule, type Pass } from "./error-rule.js";

type Table = Readonly<Record<Pass, readonly CompiledRule[]>>;

const BUILT_IN = tableOf(BUILT_IN_RULES.map(compileRule));
let added: readonly CompiledRule[] = [];
let table = BUILT_IN;

/**
 * Adds a row to the table, before the built-in ones and before the ones added earlier. One of the same name is
 * replaced. The table is the process's own: every graph and every policy in it classifies by the rule from then on.
 *
 * A rule that throws, or answers with something else than it may, is passed over with a process warning.
 *
 * @returns a function that takes the row out again; it does nothing once the row was replaced
 * @throws ConfigError naming what is wrong with the rule
 */
export function defineErrorRule(rule: ErrorRule): () => void {
  const compiled = compileRule(rule);
  use([compiled, ...added.filter((existing) => existing.name !== compiled.name)]);
  return () => {
    if (added.includes(compiled)) use(added.filter((existing) => existing !== compiled));
  };
}

/** The rows of a pass in the order they are asked. */
export function rulesOf(pass: Pass): readonly CompiledRule[] {
  return table[pass];
}

function use(rules: readonly CompiledRule[]): void {
  const mine = tableOf(rules);
  added = rules;
  table = {
    own: [...mine.own, ...BUILT_IN.own],
    typed: [...mine.typed, ...BUILT_IN.typed],
    message: [...mine.message, ...BUILT_IN.message],
  };
}

function tableOf(rules: readonly CompiledRule[]): Table {
  const of = (pass: Pass) => rules.filter((rule) => rule.pass === pass);
  return { own: of("own"), typed: of("typed"), message: of("message") };
}
