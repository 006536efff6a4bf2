import { toStorableText } from "../storable-text.js";

/**
 * A key as the tables hold it. A number is taken as its text, as node-postgres does.
 *
 * @throws Error for what is no key
 */
export function storable(key: unknown, name: string): string {
  if (typeof key === "string") return toStorableText(key);
  if (typeof key === "number" || typeof key === "bigint") return String(key);
  throw new Error(
    `Missing "${name}": it is ${key === null ? "null" : typeof key}, where a text is needed to store under`,
  );
}
