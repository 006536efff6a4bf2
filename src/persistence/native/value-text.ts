/**
 * A serialized value as the text that is stored. JSON without control characters, which is what `JSON.stringify`
 * writes, stands as it is; anything else is wrapped, so that the texts below can use control characters as signs.
 */
import { isUtf8 } from "node:buffer";

// biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is the point
const control = /[\0-\x1f]/;
const wrapped = /^\x1f([^\x1e]*)\x1e/;

export function valueText(type: string, bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (type === "json" && isUtf8(buffer)) {
    const text = buffer.toString("utf8");
    if (!control.test(text)) return text;
  }
  return `\x1f${Buffer.from(type).toString("base64")}\x1e${buffer.toString("base64")}`;
}

/** What `loadsTyped` of the serializer takes. */
export function typedValue(text: string): [type: string, value: string | Uint8Array] {
  const found = wrapped.exec(text);
  if (found === null) return ["json", text];
  const type = Buffer.from(found[1] ?? "", "base64").toString();
  return [type, Buffer.from(text.slice(found[0].length), "base64")];
}

/** Whether signs may be put into the text: it has no control characters of its own. */
export function isPlain(text: string): boolean {
  return text.charCodeAt(0) !== 0x1f;
}
