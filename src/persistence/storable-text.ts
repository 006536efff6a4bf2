/**
 * PostgreSQL stores neither NUL nor half a surrogate pair: TEXT refuses them with 22021, JSONB with 22P05 or 22P02.
 * Both occur in what models and tools return. They are written as a marker and four hex digits, which any reader can
 * store and filter on, and read back as they were. The marker is U+FDD0, a code point that Unicode reserves for
 * use inside a program; a marker in the data itself is escaped the same way.
 */
const marker = "\uFDD0";
const unstorable = /[\0\uFDD0\p{Surrogate}]/gu;
const escaped = /\uFDD0([0-9a-f]{4})/g;

export function toStorableText(text: string): string {
  return text.replace(unstorable, (char) => marker + hex(char));
}

export function fromStorableText(text: string): string {
  if (!text.includes(marker)) return text;
  return text.replace(escaped, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

/** In JSON, pairs of backslashes are matched first, so that the text `\\u0000` is left alone. */
const unstorableInJson = /\\\\|\\u(0000|fdd0|d[89a-f][0-9a-f]{2})|[\uFDD0\p{Surrogate}]/giu;

/** @param json text written by `JSON.stringify`, in which paired surrogates stand as they are */
export function toStorableJson(json: string): string {
  return json.replace(unstorableInJson, (match, digits: string | undefined) => {
    if (match === "\\\\") return match;
    return marker + (digits === undefined ? hex(match) : digits.toLowerCase());
  });
}

/** The value as it was given to {@link toStorableJson}, keys included. */
export function fromStorableJson<T>(value: T): T {
  return JSON.stringify(value)?.includes(marker) ? (restored(value) as T) : value;
}

/**
 * Text by text and not by one JSON.parse of a text with escapes: that of Node 24 takes a key that is one escaped character
 * for a backslash, where it has met such an object before.
 */
function restored(value: unknown): unknown {
  if (typeof value === "string") return fromStorableText(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(restored);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [fromStorableText(key), restored(one)]));
}

function hex(char: string): string {
  return char.charCodeAt(0).toString(16).padStart(4, "0");
}
