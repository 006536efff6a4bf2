import { type Clock, systemClock } from "../core/clock.js";
import type { ResultCache } from "../core/store-ports.js";
import { jsonText } from "./json-text.js";

interface Entry {
  readonly json: string;
  readonly storedAtMs: number;
  readonly keepMs: number;
}

const defaultMaxEntries = 1000;

/** Answers of this process, the most recently used ones. */
export function createMemoryCache(clock: Clock = systemClock, maxEntries = defaultMaxEntries): ResultCache {
  /** In the order of use: a Map keeps that of insertion. */
  const entries = new Map<string, Entry>();
  return {
    async get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      const ageMs = Math.max(0, clock.now() - entry.storedAtMs);
      if (ageMs >= entry.keepMs) return undefined;
      entries.set(key, entry);
      return { value: JSON.parse(entry.json) as unknown, ageMs };
    },
    async put(key, value, keepMs) {
      const json = jsonText(`The answer "${key}"`, value);
      entries.delete(key);
      entries.set(key, { json, storedAtMs: clock.now(), keepMs });
      const [leastRecent] = entries.keys();
      if (entries.size > maxEntries && leastRecent !== undefined) entries.delete(leastRecent);
    },
    async delete(key) {
      entries.delete(key);
    },
  };
}
