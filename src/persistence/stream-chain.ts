import type { StoredStream, StreamPart } from "../core/store-ports.js";

/**
 * The parts of a stream joined, as far as each was generated after the one before it. What lies beyond is the rest of a
 * text that was dropped while its writer, unknowing, went on.
 *
 * @param parts in the order of `seq`
 */
export function joinedParts(parts: Iterable<StreamPart>): StoredStream | undefined {
  const chain: StreamPart[] = [];
  for (const part of parts) {
    if (part.seq !== chain.length || part.after !== chain.at(-1)?.writer) break;
    chain.push(part);
  }
  const last = chain.at(-1);
  if (last === undefined) return undefined;
  return {
    text: chain.map((part) => part.text).join(""),
    tokens: chain.reduce((sum, part) => sum + part.tokens, 0),
    parts: chain.length,
    writer: last.writer,
    ...(last.end === undefined ? {} : { end: last.end }),
  };
}
