/** Classes of JavaScript itself, of fetch and of zod: asked last of all that is typed. */
import type { ErrorRule } from "../error-rule.js";
import { both, named, row, says } from "./row.js";

export const LANGUAGE_RULES: readonly ErrorRule[] = [
  row("connection error class", "network", named("APIConnectionError", "FetchError", "SocketError")),
  row(
    "fetch failed",
    "network",
    both(named("TypeError"), says(/^(fetch failed|terminated|network error|failed to fetch)$/i)),
  ),
  row("schema mismatch", "invalid_input", named("ZodError", "$ZodError", "ZodRealError")),
  row("not JSON", "malformed_output", both(named("SyntaxError"), says(/JSON|unexpected (token|end)|unterminated/i))),
  row(
    "programming error",
    "bug",
    named("TypeError", "ReferenceError", "RangeError", "SyntaxError", "EvalError", "AssertionError"),
  ),
];
