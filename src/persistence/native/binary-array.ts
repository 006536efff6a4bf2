/**
 * One-dimensional arrays in PostgreSQL's binary format (array_recv in src/backend/utils/adt/arrayfuncs.c): dimensions,
 * null flag, element type, length, lower bound, then each element behind its length. node-postgres and PGlite hand a
 * Buffer on as it is, so nothing is escaped on this side or parsed on the other, however large the texts.
 */

const oids = { text: 25, uuid: 2950, int2: 21, int4: 23, int8: 20, bool: 16 } as const;
const headerBytes = 20;

export function textArray(texts: readonly (string | null)[]): Buffer {
  let size = headerBytes;
  let nulls = 0;
  const lengths = texts.map((text) => {
    const length = text === null ? 0 : Buffer.byteLength(text);
    size += 4 + length;
    if (text === null) nulls = 1;
    return length;
  });
  const out = header(Buffer.allocUnsafe(size), oids.text, texts.length, nulls);
  let at = headerBytes;
  for (const [n, text] of texts.entries()) {
    const length = lengths[n] ?? 0;
    at = out.writeInt32BE(text === null ? -1 : length, at);
    if (text !== null) at += out.write(text, at, length, "utf8");
  }
  return out;
}

/** @param hashes 32 hexadecimal digits each */
export function uuidArray(hashes: readonly string[]): Buffer {
  const out = header(Buffer.allocUnsafe(headerBytes + hashes.length * 20), oids.uuid, hashes.length, 0);
  let at = headerBytes;
  for (const hash of hashes) {
    at = out.writeInt32BE(16, at);
    at += out.write(hash, at, 16, "hex");
  }
  return out;
}

export function intArray(numbers: readonly number[]): Buffer {
  const out = header(Buffer.allocUnsafe(headerBytes + numbers.length * 8), oids.int4, numbers.length, 0);
  let at = headerBytes;
  for (const number of numbers) at = out.writeInt32BE(number, out.writeInt32BE(4, at));
  return out;
}

/** @param numbers whole, within what a double holds exactly */
export function bigintArray(numbers: readonly number[]): Buffer {
  const out = header(Buffer.allocUnsafe(headerBytes + numbers.length * 12), oids.int8, numbers.length, 0);
  let at = headerBytes;
  for (const number of numbers) at = out.writeBigInt64BE(BigInt(number), out.writeInt32BE(8, at));
  return out;
}

export function boolArray(flags: readonly boolean[]): Buffer {
  const out = header(Buffer.allocUnsafe(headerBytes + flags.length * 5), oids.bool, flags.length, 0);
  let at = headerBytes;
  for (const flag of flags) at = out.writeInt8(flag ? 1 : 0, out.writeInt32BE(1, at));
  return out;
}

function header(out: Buffer, oid: number, length: number, nulls: number): Buffer {
  out.writeInt32BE(length === 0 ? 0 : 1, 0);
  out.writeInt32BE(nulls, 4);
  out.writeInt32BE(oid, 8);
  out.writeInt32BE(length, 12);
  out.writeInt32BE(1, 16);
  // An array without elements has no dimension, and nothing follows its type.
  return length === 0 ? out.subarray(0, 12) : out;
}
