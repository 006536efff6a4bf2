import { createHash } from "node:crypto";
import { isPlainObject } from "./cache-copy.js";

/**
 * SHA-256, in hex, of the value's canonical JSON: the order of an object's keys does not matter, and a key that is
 * undefined is as if it were not there. NaN, the infinities and undefined, which JSON has no words for, are told apart.
 *
 * @throws Error saying what it holds that two different inputs could not be told apart by
 */
export function digestOf(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value, new Set())).digest("hex");
}

function canonicalJson(value: unknown, above: Set<object>): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
    case "boolean":
    case "undefined":
      return String(value);
    case "bigint":
    case "function":
    case "symbol":
      throw new Error(`it holds a ${typeof value}`);
    case "object":
      return value === null ? "null" : canonicalObject(value, above);
  }
}

function canonicalObject(value: object, above: Set<object>): string {
  if (above.has(value)) throw new Error("it holds itself");
  above.add(value);
  const text = canonicalParts(value, above);
  above.delete(value);
  return text;
}

function canonicalParts(value: object, above: Set<object>): string {
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") {
    const json: unknown = toJSON.call(value);
    if (saysNothing(json)) throw new Error(`it holds an instance of ${classOf(value)}, which has no JSON of its own`);
    return canonicalJson(json, above);
  }
  // Not `map`, which passes over the holes of a list.
  if (Array.isArray(value)) return `[${Array.from(value, (item) => canonicalJson(item, above)).join()}]`;
  if (!isPlainObject(value))
    throw new Error(`it holds an instance of ${classOf(value)}, which JSON does not tell apart`);
  const members = Object.keys(value)
    .sort()
    .map((key): [string, unknown] => [key, (value as Record<string, unknown>)[key]])
    .filter(([, member]) => member !== undefined)
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member, above)}`);
  return `{${members.join()}}`;
}

/** LangChain's objects that cannot be serialised all say this and the name of their class. */
function saysNothing(json: unknown): boolean {
  const { lc, type } = (json ?? {}) as { lc?: unknown; type?: unknown };
  return lc === 1 && type === "not_implemented";
}

function classOf(value: object): string {
  return String(value.constructor?.name ?? "a class");
}
