/** Values that a careless format loses or changes, as data that fast-check can shrink and print. */
import { AIMessage, type BaseMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import fc from "fast-check";

/** Texts that stumble over escaping, and texts that look like what a format writes itself. */
const ODD_TEXTS = [
  "",
  "NUL \0 within",
  "half pairs \ud83d and \ude00",
  "a marker \uFDD00041 and \uFDD0 alone",
  "controls \x01\x02s\x03\x04\x05\x06\x1e\x1f\x7f",
  'quotes " \\ \\" \\\\" \\u0002 \\u0000 \' $1 $& {0,1}',
  '{"lc":1,"type":"constructor","id":["langchain_core","messages","HumanMessage"],"kwargs":{"content":"x"}}',
  '"additional_kwargs":{},"response_metadata":{},"tool_calls":[],"invalid_tool_calls":[]',
  "lgr1 00000000 {}",
  "f",
  "línea\r\n\u2028 日本語 😀😁🩀",
] as const;

/** Around the lengths where a format may begin to store a text otherwise. */
const LENGTHS = [199, 200, 201, 500, 511, 513, 1_100, 9_000] as const;
const FILLERS = ["x", "😀", '"', "\\", "\0", "\ud83d", "日"] as const;

const oddText = fc.constantFrom(...ODD_TEXTS);
const longText = fc
  .record({ filler: fc.constantFrom(...FILLERS), length: fc.constantFrom(...LENGTHS), end: oddText })
  .map(({ filler, length, end }) => filler.repeat(length).slice(0, length) + end);
export const anyText = fc
  .oneof(
    { weight: 3, arbitrary: oddText },
    { weight: 2, arbitrary: longText },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
  )
  // As a key MemorySaver itself loses it.
  .filter((text) => text !== "__proto__");
/** What the stock saver stores anywhere, and what is not in a form of its own in the compatible format. */
export const plainText = fc.string({ unit: "grapheme-ascii", maxLength: 8 }).filter((text) => text !== "__proto__");

const KINDS = [
  "text",
  "number",
  "nothing",
  "bytes",
  "collections",
  "failure",
  "object",
  "list",
  "message",
  "conversation",
  "lookalike",
  "circle",
] as const;

export interface ValueSpec {
  readonly kind: (typeof KINDS)[number];
  readonly text: string;
  readonly n: number;
}

export const anyValue: fc.Arbitrary<ValueSpec> = fc.record({
  kind: fc.constantFrom(...KINDS),
  text: anyText,
  n: fc.nat(9),
});

/** A fresh value each time, so that nobody's changes reach anybody else. */
export function make({ kind, text, n }: ValueSpec): unknown {
  switch (kind) {
    case "text":
      return text;
    case "number":
      return [0, -0, 1, 0.1, 1e21, -1.5e-7, Number.MAX_SAFE_INTEGER, Number.NaN, true, false][n];
    case "nothing":
      return [undefined, null, [], {}, "", [undefined, null], { a: undefined }, [[]], false, 0][n];
    case "bytes":
      return n % 2 === 0 ? new TextEncoder().encode(text) : { deep: [new Uint8Array([n, 0, 255])], text };
    case "collections":
      return { map: new Map([[text, new Set([text, n])]]), pattern: /a\/"b/gi, at: new Date(n), [text]: [new Map()] };
    case "failure":
      return [new TypeError(text), { cause: new Error(text) }][n % 2];
    case "object":
      return { b: text, a: { [text]: [text, { n }] }, "2": n, "1": [n] };
    case "list":
      return Array.from({ length: n * 3 }, (_, at) => ({ at, text }));
    case "message":
      return messageOf(n, text);
    case "conversation":
      return Array.from({ length: n }, (_, at) => messageOf(at, text));
    case "lookalike":
      return [
        [{ lc: 2, type: "undefined" }],
        { lc: 2, type: "constructor", id: ["Set"], args: [[text]] },
        { lc: 2, type: "constructor", id: ["Function"], args: [text] },
        { lc: 2, type: "delta_snapshot", value: [text] },
        { lc: 1, type: "not_implemented", id: [text] },
        { x: text, links: [text], i: {}, f: [] },
        [["f", text]],
        { lg_name: "Send", node: text, args: { n } },
        { type: "Buffer", data: [1] },
        { lc: 2, type: "secret", id: [] },
      ][n];
    case "circle": {
      const circle: Record<string, unknown> = { text };
      circle.self = [circle];
      return circle;
    }
  }
}

export function messageOf(n: number, text: string): BaseMessage {
  const id = `m${n}`;
  if (n % 3 === 0) return new HumanMessage({ id, content: text });
  if (n % 3 === 1)
    return new AIMessage({
      id,
      content: [{ type: "text" as const, text }],
      tool_calls: [{ id: "call", name: text, args: { text }, type: "tool_call" }],
      response_metadata: { n },
    });
  return new ToolMessage({ id, content: text, tool_call_id: "call", artifact: { text } });
}

/** What may become of a channel's value from one checkpoint to the next. */
const CHANGES = [
  "set",
  "append",
  "append many",
  "drop first and append",
  "drop first",
  "drop last",
  "halve",
  "edit in the middle",
  "insert in the middle",
  "swap a surrogate",
  "double",
  "again",
  "undefined",
  "empty the channel",
] as const;

export interface ChangeSpec {
  readonly how: (typeof CHANGES)[number];
  readonly value: ValueSpec;
}

export const anyChange: fc.Arbitrary<ChangeSpec> = fc.record({
  how: fc.constantFrom(...CHANGES),
  value: anyValue,
});

export const EMPTIED = Symbol("emptied");

/** Lists, texts and messages each change in their own way; anything else is replaced. */
export function changed(current: unknown, { how, value }: ChangeSpec): unknown {
  const next = make(value);
  switch (how) {
    case "set":
      return next;
    case "again":
      return current;
    case "undefined":
      return undefined;
    case "empty the channel":
      return EMPTIED;
    default:
      if (typeof current === "string") return changedText(current, how, value.text);
      if (Array.isArray(current)) return changedList(current, how, next);
      return [current, next];
  }
}

type Change = ChangeSpec["how"];

function changedList(list: readonly unknown[], how: Change, next: unknown): unknown[] {
  const middle = list.length >> 1;
  switch (how) {
    case "append many":
      return [...list, ...Array.from({ length: 12 }, () => next)];
    case "drop first and append":
      return [...list.slice(1), next];
    case "drop first":
      return list.slice(1);
    case "drop last":
      return list.slice(0, -1);
    case "halve":
      return list.slice(0, middle);
    case "edit in the middle":
      return list.map((item, at) => (at === middle ? next : item));
    case "insert in the middle":
      return [...list.slice(0, middle), next, ...list.slice(middle)];
    case "swap a surrogate":
      return list.map((item) => (typeof item === "string" ? swapped(item) : item));
    case "double":
      return list.length > 200 ? [next] : [...list, ...list];
    default:
      return [...list, next];
  }
}

function changedText(text: string, how: Change, next: string): string {
  const middle = text.length >> 1;
  switch (how) {
    case "drop first and append":
      return text.slice(1) + next;
    case "drop first":
      return text.slice(1);
    case "drop last":
      return text.slice(0, -1);
    case "halve":
      return text.slice(0, middle);
    case "edit in the middle":
      return text.slice(0, middle) + next + text.slice(middle + 1);
    case "insert in the middle":
      return text.slice(0, middle) + next + text.slice(middle);
    case "swap a surrogate":
      return swapped(text);
    case "double":
      return text.length > 20_000 ? next : text + text;
    default:
      return text + next;
  }
}

/** Two characters that differ in one half of their surrogate pairs: a change found by comparing units splits a pair. */
function swapped(text: string): string {
  const swap: Record<string, string> = { "😀": "😁", "😁": "🩀", "🩀": "😀" };
  return text.replace(/[😀😁🩀]/gu, (found) => swap[found] ?? found);
}
