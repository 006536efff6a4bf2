/**
 * The text of a value with its bulk taken out: long strings are stored once a thread and referred to, and the phrases
 * that every LangChain message repeats stand as one sign each. What is left is the skeleton. Any text that is put
 * together again is the text that was taken apart, whatever is in it: signs are control characters, which it has not.
 */
import { type StoredObject, storedObject } from "./stored-object.js";

/** Characters from which a string is stored apart: below, its row would cost more than it saves. */
const longFrom = 200;

/** Stands where a long string was. */
export const reference = "\x02";
const stringMark = "s";

/** Never reorder or change these: what is stored refers to them by their place. Append, up to \x1e. */
const phrases: readonly (readonly [sign: string, phrase: string])[] = [
  ["\x03", '{"lc":1,"type":"constructor","id":["langchain_core","messages","'],
  ["\x04", 'Message"],"kwargs":{"content":'],
  ["\x05", '"additional_kwargs":{},"response_metadata":{}'],
  ["\x06", '"tool_calls":[],"invalid_tool_calls":[]'],
];
const phraseOf = new Map(phrases);
// biome-ignore lint/suspicious/noControlCharactersInRegex: the signs are control characters
const signs = /[\x02-\x06]/g;

export interface Skeleton {
  readonly text: string;
  /** The strings taken out, in the order of their references. */
  readonly strings: readonly StoredObject[];
}

export function takeApart(text: string): Skeleton {
  if (text.length < longFrom) return { text: abbreviate(text), strings: [] };
  const strings: StoredObject[] = [];
  let skeleton = "";
  let done = 0;
  for (let open = text.indexOf('"'); open !== -1; ) {
    const close = closingQuote(text, open + 1);
    if (close === -1) break;
    if (close - open > longFrom) {
      skeleton += `${text.slice(done, open + 1)}${reference}`;
      strings.push(storedObject([], stringMark + text.slice(open + 1, close)));
      done = close;
    }
    open = text.indexOf('"', close + 1);
  }
  return { text: abbreviate(skeleton + text.slice(done)), strings };
}

/** @param string gives the body of the n-th string taken out */
export function putTogether(skeleton: string, string: (n: number) => string): string {
  let n = 0;
  return skeleton.replace(signs, (sign) => {
    if (sign !== reference) return phraseOf.get(sign) ?? sign;
    const body = string(n);
    n += 1;
    return body.slice(stringMark.length);
  });
}

function abbreviate(text: string): string {
  if (!text.includes(phrases[0]?.[1] ?? "") && !text.includes("additional_kwargs")) return text;
  let short = text;
  for (const [sign, phrase] of phrases) short = short.replaceAll(phrase, sign);
  return short;
}

function closingQuote(text: string, from: number): number {
  let close = text.indexOf('"', from);
  while (close !== -1 && isEscaped(text, close, from)) close = text.indexOf('"', close + 1);
  return close;
}

function isEscaped(text: string, at: number, from: number): boolean {
  let first = at;
  while (first > from && text.charCodeAt(first - 1) === 0x5c) first -= 1;
  return (at - first) % 2 === 1;
}
