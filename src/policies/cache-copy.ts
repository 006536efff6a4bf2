/**
 * Whether a copy of a value is the value again. `structuredClone` and JSON both make plain objects of instances without
 * a word, and JSON makes null of NaN and texts of dates, so what they would change is looked for before they are used.
 */

/** `clone` is by structuredClone, `json` by JSON there and back. */
export type CopyBy = "clone" | "json";

/** What structuredClone copies as it is, if it is of the class itself: of a class beneath it, it makes one of these. */
const cloneable: ReadonlySet<object | null> = new Set([
  Date.prototype,
  Map.prototype,
  Set.prototype,
  ArrayBuffer.prototype,
  DataView.prototype,
  Int8Array.prototype,
  Uint8Array.prototype,
  Uint8ClampedArray.prototype,
  Int16Array.prototype,
  Uint16Array.prototype,
  Int32Array.prototype,
  Uint32Array.prototype,
  Float32Array.prototype,
  Float64Array.prototype,
  BigInt64Array.prototype,
  BigUint64Array.prototype,
]);

/** @returns what of the value a copy would lose or change, in words; undefined when it is the same again */
export function lostInCopy(value: unknown, by: CopyBy): string | undefined {
  const left: unknown[] = [value];
  const seen = new Set<object>();
  while (left.length > 0) {
    const at = left.pop();
    if (typeof at === "object" && at !== null) {
      if (seen.has(at)) continue;
      seen.add(at);
    }
    const parts = partsOf(at, by);
    if (typeof parts === "string") return parts;
    for (const part of parts) left.push(part);
  }
  return undefined;
}

/** Also for objects without a prototype, and of another realm. */
export function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

const none: readonly unknown[] = [];

/** The parts to be looked at as well, or what is lost. */
function partsOf(value: unknown, by: CopyBy): Iterable<unknown> | string {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "undefined":
      return none;
    case "number":
      return by === "clone" || Number.isFinite(value) ? none : `the number ${value}`;
    case "bigint":
      return by === "clone" ? none : "a bigint";
    case "function":
    case "symbol":
      return `a ${typeof value}`;
    case "object":
      return value === null ? none : partsOfObject(value, by);
  }
}

function partsOfObject(value: object, by: CopyBy): Iterable<unknown> | string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value) && prototype === Array.prototype)
    return by === "json" && value.includes(undefined) ? "undefined in a list" : value;
  if (by === "clone" && cloneable.has(prototype as object | null)) {
    if (value instanceof Map) return [...value.keys(), ...value.values()];
    return value instanceof Set ? value : none;
  }
  if (!isPlainObject(value)) return `an instance of ${String(value.constructor?.name ?? "a class")}`;
  return Object.getOwnPropertySymbols(value).length > 0 ? "a key that is a symbol" : Object.values(value);
}
