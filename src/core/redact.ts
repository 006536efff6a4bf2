/**
 * What of a value may be shown to people and logs: secrets hidden, long things shortened, JSON-able throughout.
 */

const SECRET_KEY =
  /(pass(word|wd|phrase)?|secret|token|api[-_]?key|authorization|cookie|credential|private[-_]?key|card(number)?|cvc|iban|ssn)$/i;
/** Bearer tokens, provider keys and passwords in URLs, wherever they stand in a text. */
const SECRET_TEXT: readonly [RegExp, string][] = [
  [/\bBearer\s+[\w.~+/-]+=*/gi, "Bearer [redacted]"],
  [/\bsk-[\w-]{8,}/g, "[redacted]"],
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]+:)[^\s@]+@/gi, "$1[redacted]@"],
];

export interface RedactLimits {
  /** Characters of one text; default 500. */
  readonly maxText?: number;
  /** Elements of one list or keys of one object; default 20. */
  readonly maxItems?: number;
  /** Levels of nesting; default 6. */
  readonly maxDepth?: number;
}

export function redact(value: unknown, limits: RedactLimits = {}): unknown {
  const { maxText = 500, maxItems = 20, maxDepth = 6 } = limits;
  const above = new Set<object>();
  const visit = (at: unknown, depth: number): unknown => {
    if (typeof at === "string") return shorten(redactText(at), maxText);
    if (typeof at === "bigint") return String(at);
    if (typeof at === "function" || typeof at === "symbol") return `[${typeof at}]`;
    if (typeof at !== "object" || at === null) return at;
    if (above.has(at)) return "[seen above]";
    if (depth >= maxDepth) return "[deeper]";
    if (at instanceof Date) return Number.isNaN(at.getTime()) ? "[invalid date]" : at.toISOString();
    if (ArrayBuffer.isView(at)) return `[${at.byteLength} bytes]`;
    above.add(at);
    const shown = inside(jsonForm(at), depth);
    above.delete(at);
    return shown;
  };
  const inside = (plain: unknown, depth: number): unknown => {
    if (Array.isArray(plain)) {
      const shown = plain.slice(0, maxItems).map((one) => visit(one, depth + 1));
      return plain.length > maxItems ? [...shown, `[${plain.length - maxItems} more]`] : shown;
    }
    if (typeof plain !== "object" || plain === null) return visit(plain, depth);
    const entries = Object.entries(plain);
    const shown = entries
      .slice(0, maxItems)
      .map(([key, one]) => [key, SECRET_KEY.test(key) ? "[redacted]" : visit(one, depth + 1)]);
    if (entries.length > maxItems) shown.push(["…", `[${entries.length - maxItems} more]`]);
    return Object.fromEntries(shown);
  };
  return visit(value, 0);
}

export function redactText(text: string): string {
  return SECRET_TEXT.reduce((redacted, [pattern, replacement]) => redacted.replace(pattern, replacement), text);
}

/** Messages and other classes show what they would be stored as. */
function jsonForm(value: object): unknown {
  const toJSON = (value as { toJSON?: unknown }).toJSON;
  if (typeof toJSON !== "function") return value;
  try {
    return toJSON.call(value);
  } catch (error) {
    return `[not printable: ${error instanceof Error ? error.message : typeof error}]`;
  }
}

function shorten(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max)}… [${text.length - max} more characters]`;
}
