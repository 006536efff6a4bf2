import { createHash } from "node:crypto";

/** A number from 0 to 1, always the same for the same words: so that a conversation meets the same in any order of them. */
export function chance(...words: readonly (string | number)[]): number {
  return createHash("sha256").update(words.join("\n")).digest().readUInt32BE(0) / 2 ** 32;
}
