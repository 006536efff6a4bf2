/**
 * What was thrown, as data that can be sent to another thread, and back. Structured cloning by itself keeps no more of
 * an error than name, message, stack and cause: not the code, the status or the headers that classification reads.
 */
import { types } from "node:util";
import { field, isList, prototypeOf } from "../errors/reading.js";

export type PackedThrown =
  | {
      readonly kind: "error";
      /** Names of the classes beneath Error, the most derived first. */
      readonly classes: readonly string[];
      readonly name: string;
      readonly message: string;
      readonly stack: string | undefined;
      readonly properties: Readonly<Record<string, unknown>>;
      /** By property: the cause, and every other error that hangs on this one. */
      readonly beneath: Readonly<Record<string, PackedThrown>>;
      readonly errors?: readonly PackedThrown[];
    }
  | { readonly kind: "value"; readonly value: unknown };

/** Read even where they are getters, not enumerable or inherited: what `factsOf` (errors/facts.ts) reads of an error. */
const FACTS = [
  "code",
  "status",
  "statusCode",
  "responseCode",
  "lc_error_code",
  "type",
  "category",
  "provider",
  "retryable",
  "retryAfterMs",
  "severity",
  "routine",
  "errno",
  "requestID",
  "issues",
  "error",
  "response",
  "headers",
  "responseHeaders",
];
/** They have a place of their own. */
const APART = new Set(["name", "message", "stack", "cause", "errors"]);

/** Classification looks no deeper either. */
const MAX_LINKS = 16;
const MAX_DEPTH = 6;
/** An HTTP client's error drags its sockets along; this many values are facts enough. */
const MAX_VALUES = 2000;

interface Room {
  links: number;
  values: number;
}

/** Never throws: what cannot be read or sent is left out. */
export function packThrown(thrown: unknown): PackedThrown {
  return pack(thrown, { links: MAX_LINKS, values: MAX_VALUES });
}

function pack(thrown: unknown, room: Room): PackedThrown {
  room.links -= 1;
  if (!isErrorLike(thrown)) return { kind: "value", value: plain(thrown, MAX_DEPTH, room) };
  const properties: Record<string, unknown> = {};
  const beneath: Record<string, PackedThrown> = {};
  const cause = field(thrown, "cause");
  if (cause !== undefined && room.links > 0) put(beneath, "cause", pack(cause, room));
  for (const key of new Set([...FACTS, ...keysOf(thrown)])) {
    if (APART.has(key)) continue;
    const value = field(thrown, key);
    const packed = isErrorLike(value) ? undefined : plain(value, MAX_DEPTH, room);
    if (packed !== undefined) put(properties, key, packed);
    else if (isErrorLike(value) && room.links > 0) put(beneath, key, pack(value, room));
  }
  const errors = field(thrown, "errors");
  return {
    kind: "error",
    classes: classesOf(thrown),
    name: textOf(field(thrown, "name")) ?? "Error",
    message: textOf(field(thrown, "message")) ?? "",
    stack: textOf(field(thrown, "stack")),
    properties,
    beneath,
    ...(isList(errors) ? { errors: several(errors, room) } : {}),
  };
}

function several(errors: readonly unknown[], room: Room): readonly PackedThrown[] {
  const packed: PackedThrown[] = [];
  for (let index = 0; room.links > 0 && packed.length < Number(field(errors, "length")); index += 1) {
    packed.push(pack(field(errors, String(index)), room));
  }
  return packed;
}

/** Plain data of what may be anything; functions, symbols and whatever refuses to be read become undefined. */
function plain(value: unknown, depth: number, room: Room): unknown {
  room.values -= 1;
  if (typeof value === "function" || typeof value === "symbol" || room.values < 0) return undefined;
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return undefined;
  try {
    if (types.isDate(value)) return new Date(value.getTime());
    if (types.isUint8Array(value)) return new Uint8Array(value);
    if (Array.isArray(value)) {
      return value.slice(0, Math.max(0, room.values)).map((one) => plain(one, depth - 1, room));
    }
    const entries = entriesOf(value);
    const copy: Record<string, unknown> = {};
    for (const [key, one] of entries) {
      const copied = plain(one(), depth - 1, room);
      if (copied !== undefined) put(copy, key, copied);
      if (room.values <= 0) break;
    }
    return copy;
  } catch {
    // A revoked proxy, a detached buffer: the other facts still count.
    return undefined;
  }
}

/** Of an object its own properties, of Headers and Maps what they hold; errors among the values keep their words. */
function entriesOf(value: object): (readonly [string, () => unknown])[] {
  const held = value as { get?: unknown; entries?: unknown };
  if (typeof held.get === "function" && typeof held.entries === "function") {
    const pairs = [...(held.entries.call(value) as Iterable<[unknown, unknown]>)];
    return pairs.map(([key, one]) => [String(key), () => one]);
  }
  const keys = isErrorLike(value) ? ["name", "message", "stack", ...Object.keys(value)] : Object.keys(value);
  return keys.map((key) => [key, () => field(value, key)]);
}

/** The thrown value again: an Error with the same name, words, stack, properties, causes and names of classes. */
export function unpackThrown(packed: PackedThrown): unknown {
  if (packed.kind === "value") return packed.value;
  const error = Reflect.construct(Error, [packed.message], classNamed(packed.classes)) as Error;
  const hidden = (key: string, value: unknown) =>
    Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: false });
  for (const [key, value] of Object.entries(packed.properties)) put(error, key, value);
  if (error.name !== packed.name) hidden("name", packed.name);
  if (packed.stack !== undefined) hidden("stack", packed.stack);
  for (const [key, link] of Object.entries(packed.beneath)) hidden(key, unpackThrown(link));
  if (packed.errors !== undefined) hidden("errors", packed.errors.map(unpackThrown));
  return error;
}

const NATIVE: Readonly<Record<string, new () => Error>> = {
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  EvalError,
  URIError,
  AggregateError: AggregateError as unknown as new () => Error,
};

/** Classes of the same names: those of the language are the real ones, the others stand in for what was not sent. */
function classNamed(classes: readonly string[]): new () => Error {
  let found: new () => Error = Error;
  for (const name of [...classes].reverse()) {
    const native = found === Error && Object.hasOwn(NATIVE, name) ? NATIVE[name] : undefined;
    const base = found;
    found = native ?? (({ [name]: class extends base {} } as Record<string, typeof base>)[name] as typeof base);
  }
  return found;
}

function classesOf(error: object): string[] {
  const names: string[] = [];
  let prototype = prototypeOf(error);
  for (let level = 0; level < MAX_LINKS && prototype !== null && prototype !== Object.prototype; level += 1) {
    const name = textOf(field(field(prototype, "constructor"), "name"));
    if (name === "Error") break;
    if (name !== undefined && name !== "") names.push(name);
    prototype = prototypeOf(prototype);
  }
  return names;
}

function isErrorLike(thrown: unknown): thrown is object {
  try {
    return types.isNativeError(thrown) || thrown instanceof Error;
  } catch {
    // A revoked proxy is no error.
    return false;
  }
}

function keysOf(of: object): readonly string[] {
  try {
    return Object.keys(of);
  } catch {
    // A proxy may refuse.
    return [];
  }
}

/** By definition and not by assignment, so that a key `__proto__` is a key like any other. */
function put(into: object, key: string, value: unknown): void {
  Object.defineProperty(into, key, { value, writable: true, configurable: true, enumerable: true });
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
