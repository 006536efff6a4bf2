/** What the columns of a read row hold. */
import { CheckpointCorruptError } from "../../errors/persistence-errors.js";
import { fromStorableText } from "../storable-text.js";
import type { ReadRow } from "./read-statement.js";

/** Type and serialized value, as the serializer's `loadsTyped` takes them. */
export type TypedValue = readonly [string, string | Uint8Array];

export function stockValue(type: string | null, base64: string | null): [string, Uint8Array] {
  return [type ?? "json", new Uint8Array(Buffer.from(base64 ?? "", "base64"))];
}

export function corrupt(row: ReadRow, part: string, error: unknown): CheckpointCorruptError {
  const why = error instanceof Error ? error.message : String(error);
  return new CheckpointCorruptError(
    {
      threadId: fromStorableText(row.a ?? ""),
      namespace: fromStorableText(row.b ?? ""),
      checkpointId: fromStorableText(row.c ?? ""),
      part,
      ...(row.d ? { parentId: fromStorableText(row.d) } : {}),
    },
    why,
    { cause: error },
  );
}

/** PostgreSQL writes a uuid with dashes, and an array of them in braces. */
export function plainHash(uuid: string | null): string {
  return (uuid ?? "").replaceAll("-", "");
}

export function hashes(array: string | null): string[] {
  return array === null || array === "{}" ? [] : plainHash(array).slice(1, -1).split(",");
}

export function splitLast(text: string, separator: string): [string, string] {
  const at = text.lastIndexOf(separator);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** As the stock serializer writes it: a channel that holds it has no value to go on from. */
export function isUndefined([type, value]: TypedValue): boolean {
  return type === "json" && String(value) === '{"lc":2,"type":"undefined"}';
}
