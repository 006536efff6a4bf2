import { redact } from "../core/redact.js";

/** Characters of a value on a terminal; --json has more. */
const VALUE_WIDTH = 140;

/** A line a key: the whole value where it is short, its beginning where it is not. */
export function valueLines(values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(values)
    .filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0))
    .map(([key, value]) => {
      const shown = redact(value, { maxText: 200, maxItems: 8 });
      const text = typeof shown === "string" ? shown : JSON.stringify(shown);
      return `${key}: ${text.length > VALUE_WIDTH ? `${text.slice(0, VALUE_WIDTH)}…` : text}`;
    });
}
