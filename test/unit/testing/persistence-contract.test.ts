/** The suite for persistence plugins finds what it is there to find. */
import { AssertionError } from "node:assert/strict";
import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { openPersistence, type Persistence } from "langgraph-resilience";
import { type PersistenceContractOptions, persistenceContract } from "langgraph-resilience/testing";
import { describe, expect, it } from "vitest";
import { collectTests } from "../../support/collected-tests.js";

const stores = ["attempts", "audit", "breakers", "cache", "inbox", "ledger", "locks", "streams"] as const;

const suiteOf = (open: () => Persistence, more: Partial<PersistenceContractOptions> = {}) =>
  collectTests((test) => persistenceContract({ name: "x:", open, stores, test, ...more }));

type Change = (persistence: Persistence) => Partial<Persistence> | undefined;

/** A sound persistence with one thing about it changed. */
function memoryBut(change: Change): () => Persistence {
  return () => {
    const persistence = openPersistence("memory:");
    return Object.assign(persistence, change(persistence));
  };
}

/** Has the tuples that the checkpointer gives changed. */
function reading({ checkpointer }: Persistence, change: (tuple: CheckpointTuple) => CheckpointTuple): undefined {
  const getTuple = checkpointer.getTuple.bind(checkpointer);
  checkpointer.getTuple = async (config) => {
    const tuple = await getTuple(config);
    return tuple === undefined ? undefined : change(tuple);
  };
}

const defects: readonly (readonly [defect: string, found: string, change: Change])[] = [
  [
    "keeps channel values by version, and the first stays",
    "checkpoints > of two branches keep their own values, versions that are equal notwithstanding",
    (persistence) => {
      const blobs = new Map<string, unknown>();
      const put = persistence.checkpointer.put.bind(persistence.checkpointer);
      const keyOf = (...parts: unknown[]) => JSON.stringify(parts);
      persistence.checkpointer.put = async (config, checkpoint, ...rest) => {
        for (const [channel, version] of Object.entries(checkpoint.channel_versions)) {
          const key = keyOf(config.configurable?.thread_id, channel, version);
          if (!blobs.has(key)) blobs.set(key, checkpoint.channel_values[channel]);
        }
        return put(config, checkpoint, ...rest);
      };
      reading(persistence, (tuple) => {
        const values = Object.entries(tuple.checkpoint.channel_versions).map(([channel, version]) => [
          channel,
          blobs.get(keyOf(tuple.config.configurable?.thread_id, channel, version)),
        ]);
        return { ...tuple, checkpoint: { ...tuple.checkpoint, channel_values: Object.fromEntries(values) } };
      });
    },
  ],
  [
    "ignores task paths",
    "writes > come in the order of their task paths",
    ({ checkpointer }) => {
      const putWrites = checkpointer.putWrites.bind(checkpointer);
      checkpointer.putWrites = (config, writes, task) => putWrites(config, writes, task);
    },
  ],
  [
    "ignores task paths, and so rebuilds another value than the run had",
    "graphs > read back what parallel nodes wrote into one channel in the order it was applied",
    ({ checkpointer }) => {
      const putWrites = checkpointer.putWrites.bind(checkpointer);
      checkpointer.putWrites = (config, writes, task) => putWrites(config, writes, task);
    },
  ],
  [
    "sorts as JavaScript does",
    "writes > come in the order of code points",
    (persistence) =>
      reading(persistence, (tuple) => ({
        ...tuple,
        pendingWrites: [...(tuple.pendingWrites ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)),
      })),
  ],
  [
    "lets the last of a task's writes count",
    "writes > of a task stay as they were first told",
    (persistence) => {
      const last = new Map<string, unknown>();
      const putWrites = persistence.checkpointer.putWrites.bind(persistence.checkpointer);
      persistence.checkpointer.putWrites = (config, writes, ...rest) => {
        for (const [channel, value] of writes) last.set(channel, value);
        return putWrites(config, writes, ...rest);
      };
      reading(persistence, (tuple) => ({
        ...tuple,
        pendingWrites: (tuple.pendingWrites ?? []).map(([task, channel]) => [task, channel, last.get(channel)]),
      }));
    },
  ],
  [
    "drops NUL",
    'checkpoints > keep "NUL \\u0000 within" in names, values and metadata',
    (persistence) =>
      reading(persistence, (tuple) => ({
        ...tuple,
        metadata: JSON.parse(JSON.stringify(tuple.metadata).replaceAll("\\u0000", "")),
      })),
  ],
  [
    "tells no parents",
    "checkpoints > are given back as they were, with the parent they came from",
    (persistence) => reading(persistence, ({ parentConfig: _, ...tuple }) => tuple),
  ],
  [
    "keeps records of deleted threads",
    "threads > are forgotten altogether when they are deleted",
    ({ threads }) => {
      const kept = new Map<string, NonNullable<Awaited<ReturnType<typeof threads.get>>>>();
      const get = threads.get.bind(threads);
      threads.get = async (threadId) => kept.get(threadId) ?? get(threadId);
      const record = threads.record.bind(threads);
      threads.record = async (patch) => {
        await record(patch);
        const found = await get(patch.threadId);
        if (found !== undefined) kept.set(patch.threadId, found);
      };
    },
  ],
  [
    "gives a name twice",
    "threads > cannot have a name that another has",
    ({ threads }) => {
      const record = threads.record.bind(threads);
      threads.record = ({ name: _, ...patch }) => record(patch);
    },
  ],
  [
    "gives a lease to everyone",
    "leases > are held by one",
    ({ locks }) => ({
      locks: { ...(locks as NonNullable<typeof locks>), acquire: async () => ({ kind: "held", token: 1 }) },
    }),
  ],
  [
    "lets a run write that has lost its lease",
    "a run that holds a lease > writes while it holds it, and nothing once another has it",
    ({ checkpointer }) => {
      const put = checkpointer.put.bind(checkpointer);
      checkpointer.put = ({ configurable: { __lgr_run: _, ...configurable } = {} }, ...rest) =>
        put({ configurable }, ...rest);
    },
  ],
  [
    "overwrites what another wrote since",
    "versioned state > writes nothing over another version than the one expected",
    ({ breakers }) => {
      const store = breakers as NonNullable<typeof breakers>;
      const write = async (key: string, value: unknown) => store.write(key, value, (await store.read(key)).version);
      return { breakers: { ...store, write } };
    },
  ],
  [
    "gives answers that are too old",
    "cached answers > are not there once their time is over",
    ({ cache }) => {
      const store = cache as NonNullable<typeof cache>;
      return { cache: { ...store, put: (key, value) => store.put(key, value, 60_000) } };
    },
  ],
  [
    "adds an attempt twice",
    "attempts > are added once",
    ({ attempts }) => {
      const store = attempts as NonNullable<typeof attempts>;
      const append: typeof store.append = async (...given) => {
        await store.clear(given[0]);
        await store.append(...given);
      };
      return { attempts: { ...store, append } };
    },
  ],
  [
    "logs what a refused change of an effect would have said",
    "a change of an effect with an entry for the audit log > writes nothing where the change is refused",
    ({ ledger, audit }) => {
      const store = ledger as NonNullable<typeof ledger>;
      const move: typeof store.move = async (entry, from, lease, said) => {
        if (said !== undefined) await audit?.append(said);
        return store.move(entry, from, lease);
      };
      return { ledger: { ...store, move } };
    },
  ],
  [
    "forgets the audit log of a deleted thread",
    "entries of the audit log > outlive their thread",
    ({ audit, checkpointer }) => {
      const log = audit as NonNullable<typeof audit>;
      const gone = new Set<string>();
      const deleteThread = checkpointer.deleteThread.bind(checkpointer);
      checkpointer.deleteThread = async (threadId) => {
        gone.add(threadId);
        await deleteThread(threadId);
      };
      const list: typeof log.list = async (filter) =>
        (await log.list(filter)).filter(({ threadId }) => !gone.has(threadId ?? ""));
      return { audit: { ...log, list } };
    },
  ],
  [
    "lets everyone change a question, whichever version they have seen",
    "a question of the inbox > is changed where its version is the one given, and not otherwise",
    ({ inbox }) => {
      const store = inbox as NonNullable<typeof inbox>;
      const change: typeof store.change = async (item) => {
        const stored = await store.get(item.id);
        return stored && store.change(item, stored.version);
      };
      return { inbox: { ...store, change } };
    },
  ],
  [
    "keeps the questions of a deleted thread",
    "questions of the inbox > are gone with their thread",
    ({ inbox }) => {
      const store = inbox as NonNullable<typeof inbox>;
      const kept = new Map<string, Awaited<ReturnType<typeof store.open>>>();
      const open: typeof store.open = async (item) => {
        const stored = await store.open(item);
        kept.set(stored.threadId, stored);
        return stored;
      };
      const list: typeof store.list = async (filter) => {
        const stored = kept.get(filter?.threadId ?? "");
        return stored === undefined ? store.list(filter) : [stored];
      };
      return { inbox: { ...store, open, list } };
    },
  ],
  [
    "lets everyone intend the same effect",
    "changes of an effect > are made by one of many who intend it at once",
    ({ ledger }) => {
      const store = ledger as NonNullable<typeof ledger>;
      return { ledger: { ...store, move: async (...given) => (await store.move(...given)) && "moved" } };
    },
  ],
  [
    "stores effects of a run that has lost its lease",
    "effects of a run that holds a lease > are not stored once it is released, over or another's",
    ({ ledger }) => {
      const store = ledger as NonNullable<typeof ledger>;
      return { ledger: { ...store, move: (entry, from) => store.move(entry, from) } };
    },
  ],
  [
    "lets a second writer go on with a text",
    "generated texts > are gone on with by one of all who would",
    ({ streams }) => {
      const store = streams as NonNullable<typeof streams>;
      return { streams: { ...store, append: async (...given) => (await store.append(...given)) || true } };
    },
  ],
];

describe("the suite for persistence plugins", () => {
  it("finds nothing wrong with a sound one", async () => {
    const suite = suiteOf(() => openPersistence("memory:"));
    expect(suite.cases.length).toBeGreaterThan(120);
    expect(await suite.run()).toEqual(new Map());
  });

  it.each(defects)("finds one that %s", async (_, found, change) => {
    const failed = await suiteOf(memoryBut(change)).run(found);
    expect([...failed.keys()]).toEqual([expect.stringContaining(found)]);
    expect([...failed.values()]).toEqual([expect.any(AssertionError)]);
  });

  it("finds one that cannot be found through its checkpointer", async () => {
    const checkpointer = openPersistence("memory:").checkpointer;
    const failed = await suiteOf(memoryBut(() => ({ checkpointer }))).run("leads to the rest");
    expect(String([...failed.values()])).toContain("registerCheckpointer");
  });

  it("finds one that loses what it acknowledged", async () => {
    const open = () => openPersistence("memory:");
    const failed = await suiteOf(open, { reopen: open }).run("another who opens it");
    expect(failed.size).toBe(2);
  });

  it("asks for the stores that it was told of, and for no others", async () => {
    const open = () => openPersistence("memory:");
    const suite = suiteOf(open, { stores: ["attempts"] });
    expect(suite.cases.filter(({ name }) => name.includes("leases"))).toEqual([]);
    expect([...(await suite.run("has the stores")).values()].join()).toContain('the option "stores"');
    const { cache: _, ...without } = openPersistence("memory:");
    expect((await suiteOf(() => without as Persistence).run("has the stores")).size).toBe(1);
  });

  it("takes the functions of vitest and jest as well, and refuses others", () => {
    const named: string[] = [];
    const test = {
      describe(name: string, body: () => void) {
        named.push(name);
        body();
      },
      it: (name: string) => named.push(name),
      beforeAll: () => named.push("beforeAll"),
      afterAll: () => named.push("afterAll"),
    };
    const open = () => openPersistence("memory:");
    persistenceContract({ name: "x:", open, test });
    expect(named.slice(0, 3)).toEqual(["persistence contract: x:", "beforeAll", "afterAll"]);
    expect(() => persistenceContract({ name: "x:", open, test: { ...test, afterAll: undefined as never } })).toThrow(
      'option "test"',
    );
    expect(() => persistenceContract({ name: "x:", open: "memory:" as never, test })).toThrow('option "open"');
  });
});
