import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../src/core/clock.js";
import { type CacheOptions, cacheSchema, createCache, type Found } from "../../src/policies/cache.js";
import { FakeClock } from "../support/fake-clock.js";

const made = (clock: Clock, options: Partial<CacheOptions> = {}) =>
  createCache("node", cacheSchema.parse({ ttlMs: 10, ...options }), { clock });

/** -0 is 0 to JSON. */
const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown);

/** The same value with the keys of every object the other way round. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, turned(member)]),
  );
}

describe("the key of an input", () => {
  const cache = made(new FakeClock());

  it("does not depend on the order of keys", () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(cache.keyOf(turned(value))).toBe(cache.keyOf(value));
      }),
    );
  });

  it("is one for equal inputs and two for different ones", () => {
    const alike = fc.oneof(json, fc.constantFrom(0, "0", [], {}, "", null, [null], [[]], { a: null }, "null"));
    fc.assert(
      fc.property(alike, alike, (one, other) => {
        expect(cache.keyOf(one) === cache.keyOf(other)).toBe(isDeepStrictEqual(one, other));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("the answers of a process", () => {
  type Step =
    | { readonly kind: "put"; readonly key: string; readonly value: unknown }
    | { readonly kind: "fresh" | "stale"; readonly key: string }
    | { readonly kind: "wait"; readonly ms: number };
  const key = fc.constantFrom("a", "b", "c", "d", "e");
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ kind: fc.constant("put" as const), key, value: json }),
    fc.record({ kind: fc.constantFrom("fresh" as const, "stale" as const), key }),
    fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 8 }) }),
  );

  it("are those that a list of the last uses, searched from end to end, would give", () => {
    const limits = fc.record({
      maxEntries: fc.integer({ min: 1, max: 4 }),
      staleIfErrorMs: fc.integer({ min: 1, max: 10 }),
    });
    fc.assert(
      fc.property(limits, fc.array(step, { maxLength: 60 }), (options, steps) => {
        let now = 0;
        const cache = made({ now: () => now, sleep: async () => {}, after: () => () => {} }, options);
        /** Used last at the end. */
        let model: { readonly key: string; readonly value: unknown; readonly at: number }[] = [];
        const within = { fresh: 10, stale: 10 + options.staleIfErrorMs };
        for (const one of steps) {
          switch (one.kind) {
            case "wait":
              now += one.ms;
              break;
            case "put":
              cache.put(one.key, one.value);
              model = [...model.filter((entry) => entry.key !== one.key), { key: one.key, value: one.value, at: now }];
              model = model.slice(-options.maxEntries);
              break;
            case "fresh":
            case "stale": {
              const entry = model.find((candidate) => candidate.key === one.key);
              const ageMs = now - (entry?.at ?? 0);
              const expected: Found | undefined =
                entry !== undefined && ageMs < within[one.kind] ? { value: entry.value, ageMs } : undefined;
              expect(cache[one.kind](one.key)).toEqual(expected);
              if (entry === undefined) break;
              model = model.filter((candidate) => candidate !== entry);
              if (ageMs < within.stale) model = [...model, entry];
              break;
            }
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it("are never changed through what was put or given back", () => {
    const spoil = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      for (const member of Object.values(value)) spoil(member);
      for (const name of Object.keys(value)) delete (value as Record<string, unknown>)[name];
      Object.assign(value, { spoilt: true });
    };
    fc.assert(
      fc.property(json, (value) => {
        const cache = made(new FakeClock());
        const original = structuredClone(value);
        cache.put("k", value);
        spoil(value);
        const first = cache.fresh("k") as Found;
        expect(first.value).toEqual(original);
        spoil(first.value);
        expect((cache.fresh("k") as Found).value).toEqual(original);
      }),
    );
  });
});
