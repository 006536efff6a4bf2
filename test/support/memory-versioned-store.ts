import type { Clock } from "../../src/core/clock.js";
import type { VersionedStore } from "../../src/core/store-ports.js";
import { createMemoryVersioned } from "../../src/persistence/memory-versioned.js";

/**
 * - `fails`: every request is refused
 * - `silent`: none is answered
 * - `loses_replies`: a write is done and its reply lost
 */
export type StoreFault = "none" | "fails" | "silent" | "loses_replies";

export interface TestStore extends VersionedStore {
  fault: StoreFault;
  /** What was asked for, in order: "read", "write". */
  readonly requests: string[];
  /** What is stored, whatever the fault. */
  stored(key: string): Promise<unknown>;
  /** Another way to the same state, with disturbances of its own. */
  another(): TestStore;
  /** Puts it there, whatever is stored. */
  put(key: string, value: unknown): Promise<void>;
}

/**
 * A versioned store in memory that the test sees and disturbs.
 * @param clock the store's own
 * @param inner the same for several, each with disturbances of its own
 */
export function createTestStore(clock: Pick<Clock, "now">, inner = createMemoryVersioned(clock as Clock)): TestStore {
  const refuse = () => new Error("connection refused");
  const disturbed = async <T>(what: string, request: () => Promise<T>): Promise<T> => {
    store.requests.push(what);
    switch (store.fault) {
      case "none":
        return request();
      case "fails":
        throw refuse();
      case "silent":
        return new Promise<never>(() => undefined);
      case "loses_replies": {
        const reply = await request();
        if (what === "write") throw refuse();
        return reply;
      }
    }
  };
  const store: TestStore = {
    fault: "none",
    requests: [],
    read: (key) => disturbed("read", () => inner.read(key)),
    write: (key, value, expectedVersion) => disturbed("write", () => inner.write(key, value, expectedVersion)),
    list: () => disturbed("list", () => inner.list()),
    another: () => createTestStore(clock, inner),
    stored: async (key) => (await inner.read(key)).value,
    async put(key, value) {
      await inner.write(key, value, (await inner.read(key)).version);
    },
  };
  return store;
}
