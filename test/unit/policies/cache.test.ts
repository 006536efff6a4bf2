import { AIMessage, HumanMessage } from "@langchain/core/messages";
import { RunnableLambda } from "@langchain/core/runnables";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parseOptions } from "../../../src/core/options.js";
import type { ResultCache } from "../../../src/core/store-ports.js";
import { type CacheCodec, type CacheOptions, cacheSchema, createCache } from "../../../src/policies/cache.js";
import { FakeClock } from "../../support/fake-clock.js";

const TTL = 1000;

function made(options: Partial<CacheOptions> = {}, codec?: CacheCodec) {
  const clock = new FakeClock();
  const policy = parseOptions("cache", cacheSchema, { ttlMs: TTL, ...options });
  return { clock, cache: createCache("summarize", policy, { clock, ...(codec === undefined ? {} : { codec }) }) };
}

/** A shared store on the fake clock, that keeps JSON as a database would. */
function sharedStore(clock: FakeClock): ResultCache & { readonly kept: Map<string, string> } {
  const kept = new Map<string, string>();
  const times = new Map<string, { at: number; keepMs: number }>();
  return {
    kept,
    async get(key) {
      const { at = 0, keepMs = 0 } = times.get(key) ?? {};
      const ageMs = clock.now() - at;
      return ageMs < keepMs ? { value: JSON.parse(kept.get(key) ?? "null"), ageMs } : undefined;
    },
    async put(key, value, keepMs) {
      kept.set(key, JSON.stringify(value));
      times.set(key, { at: clock.now(), keepMs });
    },
    async delete(key) {
      kept.delete(key);
      times.delete(key);
    },
  };
}

const failing: ResultCache = {
  get: () => Promise.reject(new Error("connect ECONNREFUSED")),
  put: () => Promise.reject(new Error("connect ECONNREFUSED")),
  delete: () => Promise.reject(new Error("connect ECONNREFUSED")),
};

let warnings: string[];
beforeEach(() => {
  warnings = [];
  vi.spyOn(process, "emitWarning").mockImplementation((warning) => void warnings.push(String(warning)));
});
afterEach(() => vi.restoreAllMocks());

describe("options of the cache", () => {
  it("have defaults for all but how long an answer is fresh", () => {
    expect(parseOptions("x", cacheSchema, { ttlMs: 1 })).toEqual({
      ttlMs: 1,
      staleIfErrorMs: 0,
      maxEntries: 1000,
      store: "process",
    });
    expect(() => parseOptions("x", cacheSchema, {})).toThrow(/ttlMs/);
  });

  it.each([
    { ttlMs: 0 },
    { ttlMs: Number.POSITIVE_INFINITY },
    { staleIfErrorMs: -1 },
    { maxEntries: 0 },
    { key: "id" },
  ])("refuse %j", (wrong) => {
    expect(() => parseOptions("x", cacheSchema, { ttlMs: 1, ...wrong })).toThrow(Object.keys(wrong)[0]);
  });
});

describe("the key of an input", () => {
  const { cache } = made();

  it("is the same whatever the order of the keys, and for a key that is undefined or missing", () => {
    expect(cache.keyOf({ a: 1, b: { c: [1, { d: 2, e: 3 }] } })).toBe(
      cache.keyOf({ b: { c: [1, { e: 3, d: 2 }] }, a: 1, f: undefined }),
    );
  });

  it("is of one length, however long the input, and begins with the place", () => {
    expect(cache.keyOf("x".repeat(100_000))).toMatch(/^summarize:[0-9a-f]{64}$/);
    expect(cache.keyOf("x", "report/summarize")).toMatch(/^report\/summarize:[0-9a-f]{64}$/);
  });

  it("tells apart what is alike", () => {
    const inputs = [
      ...[1, "1", [1], ["1"], [[1]], { 1: 1 }, true, "true", null, "null", undefined, "undefined", "", [], {}, [null]],
      ...[[undefined], [undefined, undefined], Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, "NaN"],
      ...[
        { a: null },
        { a: "b,c" },
        { a: "b", c: "" },
        ["a,b"],
        ["a", "b"],
        { a: { b: 1 } },
        { "a:b": 1 },
        "\ud800",
        "\udfff",
      ],
    ];
    expect(new Set(inputs.map((input) => cache.keyOf(input))).size).toBe(inputs.length);
  });

  it("goes by what an object says of itself as JSON", () => {
    const day = new Date("2026-01-01T00:00:00.000Z");
    expect(cache.keyOf({ day })).toBe(cache.keyOf({ day: "2026-01-01T00:00:00.000Z" }));
    const ask = (text: string) => ({ messages: [new HumanMessage({ content: text, id: "1" })] });
    expect(cache.keyOf(ask("yes?"))).toBe(cache.keyOf(ask("yes?")));
    expect(cache.keyOf(ask("yes?"))).not.toBe(cache.keyOf(ask("no?")));
  });

  it("takes the same object twice for what it is", () => {
    const twice = { a: 1 };
    expect(cache.keyOf([twice, twice])).toBe(cache.keyOf([{ a: 1 }, { a: 1 }]));
  });

  class Secretive {
    readonly #n: number;
    constructor(n: number) {
      this.#n = n;
    }
    get n(): number {
      return this.#n;
    }
  }
  const cycle: { self?: unknown } = {};
  cycle.self = [cycle];
  let deep: unknown = [];
  for (let level = 0; level < 100_000; level += 1) deep = [deep];

  it.each<[string, unknown]>([
    ["a cycle", cycle],
    ["a function", { run: () => 1 }],
    ["a symbol", [Symbol("s")]],
    ["a bigint", { n: 1n }],
    ["a map", { m: new Map([["a", 1]]) }],
    ["an instance with private fields", new Secretive(1)],
    ["an instance that LangChain cannot serialise", { chain: RunnableLambda.from(() => 1) }],
    ["a nesting beyond the stack", deep],
    [
      "a getter that throws",
      Object.defineProperty({}, "a", {
        enumerable: true,
        get: () => {
          throw new Error("no");
        },
      }),
    ],
  ])("cannot be made of %s, and the error says whose it is and what to do", (_, input) => {
    expect(() => cache.keyOf(input)).toThrow(
      expect.objectContaining({ code: "CONFIG", message: expect.stringMatching(/^summarize: .*cache option "key"/) }),
    );
  });

  it("is what the option says, of which only the digest is kept", () => {
    const { cache: byId } = made({ key: (input) => (input as { id: string }).id });
    const key = byId.keyOf({ id: "order-17", run: () => 1 });
    expect(key).toBe(byId.keyOf({ id: "order-17", other: true }));
    expect(key).not.toBe(byId.keyOf({ id: "order-18" }));
    expect(key).not.toContain("order-17");
  });

  it("cannot be what is no text", () => {
    const { cache: byId } = made({ key: ((input: { id: unknown }) => input.id) as never });
    expect(() => byId.keyOf({ id: 17 })).toThrow(/summarize: the cache option "key" gave a value of type number/);
  });
});

describe("an answer kept in the process", () => {
  it("is given back at once, with its age, while it is fresh", async () => {
    const { cache, clock } = made();
    expect(cache.fresh("k")).toBeUndefined();
    expect(cache.put("k", { text: "yes" })).toBeUndefined();
    expect(cache.fresh("k")).toEqual({ value: { text: "yes" }, ageMs: 0 });
    await clock.advance(TTL - 1);
    expect(cache.fresh("k")).toEqual({ value: { text: "yes" }, ageMs: TTL - 1 });
    await clock.advance(1);
    expect(cache.fresh("k")).toBeUndefined();
  });

  it("is no stale one unless that is asked for", async () => {
    const { cache } = made();
    cache.put("k", 1);
    expect(cache.stale("k")).toBeUndefined();
  });

  it("stands in for a failure for as long as the option says, fresh or not", async () => {
    const { cache, clock } = made({ staleIfErrorMs: 500 });
    expect(cache.stale("k")).toBeUndefined();
    cache.put("k", 1);
    expect(cache.stale("k")).toEqual({ value: 1, ageMs: 0 });
    await clock.advance(TTL);
    expect(cache.fresh("k")).toBeUndefined();
    expect(cache.stale("k")).toEqual({ value: 1, ageMs: TTL });
    await clock.advance(499);
    expect(cache.stale("k")).toEqual({ value: 1, ageMs: TTL + 499 });
    await clock.advance(1);
    expect(cache.stale("k")).toBeUndefined();
  });

  it("begins anew when it is put again", async () => {
    const { cache, clock } = made();
    cache.put("k", "old");
    await clock.advance(TTL - 1);
    cache.put("k", "new");
    await clock.advance(TTL - 1);
    expect(cache.fresh("k")).toEqual({ value: "new", ageMs: TTL - 1 });
  });

  it("has no negative age, though the clock was set back", async () => {
    const { cache, clock } = made();
    cache.put("k", 1);
    await clock.advance(-5000);
    expect(cache.fresh("k")).toEqual({ value: 1, ageMs: 0 });
  });

  it("is one of at most so many, those used last", () => {
    const { cache } = made({ maxEntries: 3 });
    for (const key of ["a", "b", "c"]) cache.put(key, key);
    cache.fresh("a");
    cache.put("b", "b again");
    cache.put("d", "d");
    cache.put("e", "e");
    expect(["a", "b", "c", "d", "e"].filter((key) => cache.fresh(key) !== undefined)).toEqual(["b", "d", "e"]);
  });

  it("is changed by nobody's change: not to what was put, and not to what was given back", () => {
    const { cache } = made();
    const put = { list: [1], map: new Map([["a", { b: 1 }]]), day: new Date(0), bytes: new Uint8Array([1]) };
    const kept = structuredClone(put);
    cache.put("k", put);
    for (const held of [put, (cache.fresh("k") as { value: typeof put }).value]) {
      held.list.push(2);
      held.map.get("a")!.b = 2;
      held.day.setTime(1);
      held.bytes[0] = 2;
    }
    expect(cache.fresh("k")).toEqual({ value: kept, ageMs: 0 });
  });

  it("may be undefined, and hold what JSON cannot", () => {
    const { cache } = made();
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    for (const value of [undefined, null, Number.NaN, 1n, [undefined], new Set([1]), cycle]) {
      cache.put("k", value);
      expect(cache.fresh("k")).toEqual({ value, ageMs: 0 });
    }
    expect(warnings).toEqual([]);
  });

  it.each<[string, unknown]>([
    ["a function", { run: () => 1 }],
    ["an instance of AIMessage", { messages: [new AIMessage("yes")] }],
    ["an instance of Error", new Error("no")],
    ["an instance of Sub", new (class Sub extends Map {})()],
    ["a key that is a symbol", { [Symbol("s")]: 1 }],
  ])("cannot hold %s: it is not kept, which is said once", (what, value) => {
    const { cache } = made();
    cache.put("k", value);
    cache.put("k", value);
    expect(cache.fresh("k")).toBeUndefined();
    expect(warnings).toEqual([
      `summarize: an answer holds ${what}, which a copy would not keep, and was not cached. This is said once`,
    ]);
  });

  it("is not put by a getter that throws, and the call goes on", () => {
    const { cache } = made();
    cache.put(
      "k",
      Object.defineProperty({}, "a", {
        enumerable: true,
        get: () => {
          throw new Error("no getting");
        },
      }),
    );
    expect(cache.fresh("k")).toBeUndefined();
    expect(warnings).toEqual([
      expect.stringContaining("summarize: an answer could not be copied and was not cached: no getting"),
    ]);
  });

  it("may hold instances where a codec packs them", () => {
    const codec: CacheCodec = {
      pack: (value) => ({ content: (value as AIMessage).content }),
      unpack: (packed) => new AIMessage(packed as { content: string }),
    };
    const { cache } = made({}, codec);
    cache.put("k", new AIMessage("yes"));
    const found = cache.fresh("k") as { value: AIMessage };
    expect(found.value).toBeInstanceOf(AIMessage);
    expect(found.value.content).toBe("yes");
    expect(warnings).toEqual([]);
  });
});

describe("an answer kept in a shared store", () => {
  it("is there for all who share it, fresh and then stale", async () => {
    const { cache, clock } = made({ store: "shared", staleIfErrorMs: 500 });
    const { cache: another } = made({ store: "shared", staleIfErrorMs: 500 });
    const store = sharedStore(clock);
    await cache.put("k", { text: "yes" }, store);
    expect(await another.fresh("k", store)).toEqual({ value: { text: "yes" }, ageMs: 0 });
    await clock.advance(TTL);
    expect(await another.fresh("k", store)).toBeUndefined();
    expect(await another.stale("k", store)).toEqual({ value: { text: "yes" }, ageMs: TTL });
    await clock.advance(500);
    expect(await another.stale("k", store)).toBeUndefined();
  });

  it("is as old as the store says, whoever's clock runs ahead", async () => {
    const { cache, clock } = made({ store: "shared" });
    const store = { ...sharedStore(clock), get: async () => ({ value: { v: 1, value: "x" }, ageMs: TTL - 1 }) };
    await clock.advance(1_000_000);
    expect(await cache.fresh("k", store)).toEqual({ value: "x", ageMs: TTL - 1 });
    expect(
      await cache.fresh("k", { ...store, get: async () => ({ value: { v: 1, value: "x" }, ageMs: TTL }) }),
    ).toBeUndefined();
  });

  it("is not looked for after a failure where stale ones are not asked for", async () => {
    const { cache } = made({ store: "shared" });
    expect(cache.stale("k", failing)).toBeUndefined();
  });

  it("may be undefined and null", async () => {
    const { cache, clock } = made({ store: "shared" });
    const store = sharedStore(clock);
    for (const value of [undefined, null]) {
      await cache.put("k", value, store);
      expect(await cache.fresh("k", store)).toEqual({ value, ageMs: 0 });
    }
  });

  it.each<[string, unknown]>([
    ["an instance of Date", { day: new Date(0) }],
    ["an instance of Map", new Map()],
    ["the number NaN", [Number.NaN]],
    ["undefined in a list", { list: [1, undefined] }],
    ["a bigint", 1n],
  ])("cannot hold %s, of which JSON makes something else: it is not kept, which is said once", async (what, value) => {
    const { cache, clock } = made({ store: "shared" });
    const store = sharedStore(clock);
    await cache.put("k", value, store);
    await cache.put("k", value, store);
    expect(store.kept.size).toBe(0);
    expect(warnings).toEqual([
      `summarize: an answer holds ${what}, which a copy would not keep, and was not cached. This is said once`,
    ]);
  });

  it("that another version wrote in another form is a miss", async () => {
    const { cache, clock } = made({ store: "shared" });
    const store = sharedStore(clock);
    for (const value of [{ v: 2, value: "x" }, "x", null]) {
      await store.put("k", value, 10_000);
      expect(await cache.fresh("k", store)).toBeUndefined();
    }
    expect(warnings).toEqual([]);
  });

  it("is missed by nobody's call when the store fails, which is said once for reading and once for writing", async () => {
    const { cache } = made({ store: "shared", staleIfErrorMs: 500 });
    for (const _ of [1, 2]) {
      await cache.put("k", 1, failing);
      expect(await cache.fresh("k", failing)).toBeUndefined();
      expect(await cache.stale("k", failing)).toBeUndefined();
    }
    expect(warnings).toEqual([
      "summarize: the shared cache could not be written, and an answer was not cached: connect ECONNREFUSED. This is said once",
      "summarize: the shared cache could not be read and counts as empty: connect ECONNREFUSED. This is said once",
    ]);
  });

  it("is one of the process where there is no store to share", () => {
    const { cache } = made({ store: "shared" });
    cache.put("k", 1);
    expect(cache.fresh("k")).toEqual({ value: 1, ageMs: 0 });
  });

  it("is not put into the store by a cache of the process", async () => {
    const { cache, clock } = made();
    const store = sharedStore(clock);
    cache.put("k", 1, store);
    expect(store.kept.size).toBe(0);
    expect(cache.fresh("k", store)).toEqual({ value: 1, ageMs: 0 });
  });
});
