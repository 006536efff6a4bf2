/**
 * A serialized value as the text that is stored. JSON without control characters, which is what `JSON.stringify`
 * writes, stands as it is; anything else is wrapped, so that the texts below can use control characters as signs.
 */
import { isUtf8 } from "node:buffer";

// biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is the point
const control = /[\0-\x1f]/;

const wrap = { begin: "\x1f", end: "\x1e" } as const;

export function valueText(type: string, bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (type === "json" && isUtf8(buffer)) {
    const text = buffer.toString("utf8");
    if (!control.test(text)) return text;
  }
  return `${wrap.begin}${Buffer.from(type).toString("base64")}${wrap.end}${buffer.toString("base64")}`;
}

/** What `loadsTyped` of the serializer takes. */
export function typedValue(text: string): [type: string, value: string | Uint8Array] {
  if (isPlain(text)) return ["json", text];
  const end = text.indexOf(wrap.end);
  const type = Buffer.from(text.slice(1, end), "base64").toString();
  return [type, new Uint8Array(Buffer.from(text.slice(end + 1), "base64"))];
}

/** Whether signs may be put into the text: it has no control characters of its own. */
export function isPlain(text: string): boolean {
  return !text.startsWith(wrap.begin);
}
