/** Content that is stored once a thread, under the hash of what it is. */
import { hash } from "node:crypto";

/** 128 bits of SHA-256, in hexadecimal: long enough that no one finds two contents with the same. */
const hashDigits = 32;

export interface StoredObject {
  readonly hash: string;
  /** Hashes of the objects it stands on. */
  readonly links: readonly string[];
  readonly body: string;
}

export function storedObject(links: readonly string[], body: string): StoredObject {
  return { hash: hashOf(links, body), links, body };
}

/** Also the check that what was read is what was written. */
export function hashOf(links: readonly string[], body: string): string {
  return digest(links.length === 0 ? body : `${links.join()}\n${body}`);
}

const threadKeys = new Map<string, string>();
const maxThreadKeys = 10_000;

/** The key of a thread in the tables of this format. */
export function threadKey(storableThreadId: string): string {
  const known = threadKeys.get(storableThreadId);
  if (known !== undefined) return known;
  if (threadKeys.size >= maxThreadKeys) threadKeys.clear();
  const key = digest(storableThreadId);
  threadKeys.set(storableThreadId, key);
  return key;
}

/** The key of a checkpoint within its thread. The same in SQL: see {@link checkpointKeySql}. */
export function checkpointKey(storableNamespace: string, storableCheckpointId: string): string {
  return digest(`${storableNamespace}\x01${storableCheckpointId}`);
}

export function threadKeySql(threadId: string): string {
  return digestSql(threadId);
}

export function checkpointKeySql(namespace: string, checkpointId: string): string {
  return digestSql(`${namespace} || E'\\x01' || ${checkpointId}`);
}

function digest(text: string): string {
  return hash("sha256", text, "hex").slice(0, hashDigits);
}

function digestSql(text: string): string {
  return `encode(substring(sha256(convert_to(${text}, 'UTF8')) from 1 for ${hashDigits / 2}), 'hex')::uuid`;
}
