import { createHash } from "node:crypto";

/** Namespace of thread names; any fixed UUID will do, and it must never change. */
const NAMESPACE = Buffer.from("6f0d1c0a5b7e5c1e9d3a2b4c6d8e0f12", "hex");
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** The UUID that a thread name stands for: a name-based UUID (RFC 9562 version 5), so every process finds the same one. */
export function threadIdOf(name: string): string {
  if (isUuid(name)) return name.toLowerCase();
  const hash = createHash("sha1").update(NAMESPACE).update(name, "utf8").digest().subarray(0, 16);
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
