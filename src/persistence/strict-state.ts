/**
 * Strict state: what the stock serializer would give back as something else is refused before it is stored, with an
 * error that says where it is. The serializer itself says nothing: a Date comes back as text, a class instance as a
 * plain object, NaN as null, and one bigint makes a text of everything around it.
 */
import * as messages from "@langchain/core/messages";
import { DeltaSnapshot } from "@langchain/langgraph-checkpoint";
import { InvalidInputError } from "../errors/own-errors.js";

/** LangGraph's own, which hold nothing of the state. */
const ownChannels = new Set(["__error__", "__error_source_node__", "__no_writes__", "__scheduled__"]);

/** Messages come back as what they were if their class is one of LangChain's. */
const messageClasses = new Set<object>(
  Object.values(messages).flatMap((one) =>
    typeof one === "function" && isMessagePrototype(one.prototype) ? [one.prototype] : [],
  ),
);

/** Not by `instanceof`, which asks a message for a mark that only instances have. */
function isMessagePrototype(prototype: unknown): boolean {
  return Object.prototype.isPrototypeOf.call(messages.BaseMessage.prototype, prototype as object);
}

/** What else the serializer has a form for. */
const specialClasses = new Set<object>([
  Map.prototype,
  Set.prototype,
  RegExp.prototype,
  Error.prototype,
  Uint8Array.prototype,
  DeltaSnapshot.prototype,
]);

/** In a message only what plain JSON holds comes back. */
type Place = "state" | "message";

class Unstorable extends Error {
  /** Innermost first. */
  readonly steps: string[] = [];
}

/**
 * What is accepted reads back equal in depth. Three differences are let pass, which no program is likely to notice: -0
 * comes back as 0, an object without a prototype as one with, and an object that stands in two places as two.
 *
 * @throws InvalidInputError that names the channel and the path in it
 */
export function refuseUnstorable(channel: string, value: unknown): void {
  if (ownChannels.has(channel)) return;
  try {
    walk(value, "state", new Set());
  } catch (error) {
    if (!(error instanceof Unstorable)) throw error;
    const path = error.steps.reverse().join("").replace(/^\./, "");
    throw new InvalidInputError(
      `Channel "${channel}" cannot be stored as it is: ${path === "" ? "it is" : `at ${path} there is`} ${error.message}. It was not stored; put something else into the state, or turn "strict" off`,
      { details: { channel, path } },
    );
  }
}

function walk(value: unknown, place: Place, around: Set<object>): void {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "undefined":
      return;
    case "number":
      if (!Number.isFinite(value)) throw new Unstorable(`the number ${value}, which would come back as null`);
      return;
    case "bigint":
      throw new Unstorable("a bigint, which makes a mere text of the whole channel");
    case "function":
      throw new Unstorable("a function, which would be left out");
    case "symbol":
      throw new Unstorable("a symbol, which would be left out");
    default:
      if (value !== null) walkObject(value as object, place, around);
  }
}

/** The path is put together only when something is found, for this is done for every value of every state. */
function walkPart(step: string | number, part: unknown, place: Place, around: Set<object>): void {
  if (typeof part === "string" || typeof part === "boolean" || part === null) return;
  try {
    walk(part, place, around);
  } catch (error) {
    if (error instanceof Unstorable) error.steps.push(shown(step));
    throw error;
  }
}

function shown(step: string | number): string {
  if (typeof step === "number") return `[${step}]`;
  return /^[\p{L}_$][\p{L}\d_$]*$/u.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
}

function walkObject(value: object, place: Place, around: Set<object>): void {
  if (around.has(value))
    throw new Unstorable("a reference back to what it is part of, which would come back as a text");
  around.add(value);
  const prototype = Object.getPrototypeOf(value);
  if (Array.isArray(value)) walkArray(value, place, around);
  else if (messageClasses.has(prototype)) walkMessage(value as messages.BaseMessage, around);
  else if (place === "state" && specialClasses.has(prototype)) walkSpecial(value, around);
  else if (place === "state" && isOfLangGraph(value, prototype)) walkParts(value, place, around);
  else walkPlain(value, prototype, place, around);
  around.delete(value);
}

function walkArray(value: readonly unknown[], place: Place, around: Set<object>): void {
  if (Object.getPrototypeOf(value) !== Array.prototype) throw instance(value);
  const keys = Object.keys(value);
  if (keys.length !== value.length || (keys.length > 0 && keys.at(-1) !== String(value.length - 1)))
    throw new Unstorable("a list with holes or with properties of its own, which would not come back");
  refuseSymbols(value);
  for (const [n, item] of value.entries()) {
    if (item === undefined && place === "message")
      throw new Unstorable("a message with undefined in a list, which would come back as null");
    walkPart(n, item, place, around);
  }
}

function walkPlain(value: object, prototype: unknown, place: Place, around: Set<object>): void {
  if (prototype !== Object.prototype && prototype !== null) throw instance(value);
  if ("toJSON" in value && typeof value.toJSON === "function")
    throw new Unstorable("an object with a method toJSON, of which only the result would come back");
  const { lc, lg_name } = value as { lc?: unknown; lg_name?: unknown };
  if (lc === 1 || lc === 2 || lg_name === "Send")
    throw new Unstorable("an object that looks like a serialized one, and would be taken for it");
  refuseSymbols(value);
  walkParts(value, place, around);
}

function walkParts(value: object, place: Place, around: Set<object>): void {
  for (const key of Object.keys(value)) {
    if (key === "__proto__") throw new Unstorable("a property named __proto__, which would be lost");
    walkPart(key, (value as Record<string, unknown>)[key], place, around);
  }
}

function walkMessage(message: messages.BaseMessage, around: Set<object>): void {
  for (const key of ["id", "name"] as const) {
    // Only what it was made of is stored.
    if (message[key] !== undefined && !(key in message.lc_kwargs))
      throw new Unstorable(`a message that was given its ${key} afterwards, which would be lost`);
  }
  for (const key of Object.keys(message.lc_kwargs)) {
    const part = key in message ? message[key as keyof typeof message] : message.lc_kwargs[key];
    walkPart(key, part, "message", around);
  }
}

function walkSpecial(value: object, around: Set<object>): void {
  if (value instanceof Uint8Array) return;
  if (value instanceof Map || value instanceof Set) {
    refuseOwn(value);
    for (const [n, entry] of [...value].entries()) walkPart(n, entry, "state", around);
  } else if (value instanceof RegExp) {
    refuseOwn(value, "lastIndex");
    if (value.lastIndex !== 0) throw new Unstorable("a RegExp in use, which would come back with a lastIndex of 0");
  } else if (value instanceof Error) {
    refuseOwn(value, "stack", "message");
  } else walkParts(value, "state", around);
}

/** LangGraph knows them again by their fields. */
function isOfLangGraph(value: object, prototype: unknown): boolean {
  const { lg_name } = value as { lg_name?: unknown };
  return (lg_name === "Send" || lg_name === "Overwrite") && prototype !== Object.prototype;
}

function refuseOwn(value: object, ...known: readonly string[]): void {
  const more = Reflect.ownKeys(value).filter((key) => typeof key === "symbol" || !known.includes(key));
  if (more.length === 0) return;
  const names = more.map(String).join(", ");
  throw new Unstorable(`${named(value)} with properties of its own (${names}), which would be lost`);
}

function refuseSymbols(value: object): void {
  const [symbol] = Object.getOwnPropertySymbols(value);
  if (symbol !== undefined) throw new Unstorable(`a property under ${String(symbol)}, which would be lost`);
}

function instance(value: object): Unstorable {
  const as = value instanceof Date ? "a text" : "something else, such as a plain object";
  return new Unstorable(`${named(value)}, which would come back as ${as}`);
}

function named(value: object): string {
  const name = value.constructor?.name || "class instance";
  return `${/^[AEIOU]/i.test(name) ? "an" : "a"} ${name}`;
}
