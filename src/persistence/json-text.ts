import { InvalidInputError } from "../errors/own-errors.js";

/**
 * @param what what is to be stored, for the message
 * @throws InvalidInputError for what has no JSON: undefined, a function, a cycle, a bigint
 */
export function jsonText(what: string, value: unknown): string {
  let text: string | undefined;
  let cause: unknown;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    cause = error;
  }
  if (text !== undefined) return text;
  const why = cause instanceof Error ? cause.message : `it is ${typeof value}`;
  throw new InvalidInputError(`${what} cannot be stored, because it has no JSON: ${why}`, { cause });
}
