/**
 * The rows that come with the package, a file a source. Order matters: within a pass the first that matches wins, so
 * what a provider says in its own codes comes before the status it came with, and that before the class of the error.
 */
import { FRAMEWORK_RULES } from "./built-in/framework.js";
import { STATUS_RULES } from "./built-in/http-status.js";
import { LANGUAGE_RULES } from "./built-in/language.js";
import { MAIL_RULES } from "./built-in/mail.js";
import { OWN_NAME_RULES, OWN_RULES } from "./built-in/own.js";
import { PROVIDER_RULES, PROVIDER_TYPE_RULES } from "./built-in/provider.js";
import { SQL_RULES } from "./built-in/sql.js";
import { SYSTEM_RULES } from "./built-in/system.js";
import { MESSAGE_RULES } from "./built-in/words.js";
import type { ErrorRule } from "./error-rule.js";

export const BUILT_IN_RULES: readonly ErrorRule[] = [
  ...OWN_RULES,
  ...OWN_NAME_RULES,
  ...FRAMEWORK_RULES,
  ...PROVIDER_RULES,
  ...MAIL_RULES,
  ...SQL_RULES,
  ...SYSTEM_RULES,
  ...STATUS_RULES,
  ...PROVIDER_TYPE_RULES,
  ...LANGUAGE_RULES,
  ...MESSAGE_RULES,
];
