import { type Clock, systemClock } from "../core/clock.js";
import type { VersionedStore } from "../core/store-ports.js";
import { jsonText } from "./json-text.js";
import { inOrderOfKeys } from "./versioned-rules.js";

interface Entry {
  /** As text, so that nobody who holds the value can change it here. */
  readonly json: string;
  readonly version: number;
}

/** Versioned state of this process, which is the only one that shares it. */
export function createMemoryVersioned(clock: Clock = systemClock): VersionedStore {
  const entries = new Map<string, Entry>();
  const described = (entry: Entry) => ({
    value: JSON.parse(entry.json) as unknown,
    version: entry.version,
    nowMs: clock.now(),
  });
  return {
    async read(key) {
      const entry = entries.get(key);
      return entry === undefined ? { value: undefined, version: 0, nowMs: clock.now() } : described(entry);
    },
    async write(key, value, expectedVersion) {
      const json = jsonText(`The state "${key}"`, value);
      if ((entries.get(key)?.version ?? 0) !== expectedVersion) return undefined;
      const version = expectedVersion + 1;
      entries.set(key, { json, version });
      return version;
    },
    async list() {
      return inOrderOfKeys([...entries].map(([key, entry]) => ({ key, ...described(entry) })));
    },
  };
}
