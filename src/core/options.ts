import { z } from "zod";
import { ConfigError } from "../errors/own-errors.js";
import { redactText } from "./redact.js";

/**
 * Options as given → options with defaults, by a zod schema that is the only home of defaults and limits.
 *
 * @param owner what the options belong to, for the message: `resilient(compileReport)`
 * @throws ConfigError naming each option at fault, its value and what would do
 */
export function parseOptions<S extends z.ZodType>(owner: string, schema: S, given: unknown): z.output<S> {
  const parsed = schema.safeParse(given ?? {});
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => {
    const path = issue.path.join(".");
    const value = issue.path.reduce<unknown>(
      (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
      given,
    );
    return path === "" ? issue.message : `option "${path}" is ${printed(value)}: ${issue.message}`;
  });
  throw new ConfigError(`${owner}: ${faults.join("; ")}`, { details: { issues: parsed.error.issues } });
}

/** `false`, or options by `schema`: what is wrong with the options is said of the option itself, not of the choice. */
export function offOr<S extends z.ZodType>(schema: S) {
  return z.unknown().transform((given, context): z.output<S> | false => {
    if (given === false) return false;
    const parsed = schema.safeParse(given);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) context.addIssue({ ...issue } as Parameters<typeof context.addIssue>[0]);
    return z.NEVER;
  });
}

function printed(value: unknown): string {
  if (typeof value === "function") return "a function";
  try {
    // A key in the wrong place must not end in a log.
    return redactText(JSON.stringify(value) ?? String(value));
  } catch {
    // Cycles and bigints have no JSON; a message has to be made all the same.
    return typeof value === "bigint" ? String(value) : `a value of type ${typeof value}`;
  }
}
