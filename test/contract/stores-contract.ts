/** What the stores of every persistence plugin must do: attempts, versioned state, cached answers and generated texts. */
import { randomUUID } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { type CrashPoint, onCrashPoint } from "../../src/core/crash-points.js";
import type { Persistence } from "../../src/core/ports.js";
import type { AttemptRecord } from "../../src/core/records.js";
import type {
  AttemptScope,
  AttemptStore,
  ResultCache,
  StreamStore,
  VersionedStore,
} from "../../src/core/store-ports.js";
import { oddTexts } from "./odd-texts.js";
import { newStream, part, streamsContract } from "./streams-contract.js";

export interface Stores {
  readonly attempts: AttemptStore;
  readonly breakers: VersionedStore;
  readonly cache: ResultCache;
  readonly streams: StreamStore;
}

/** @throws when the plugin lacks one of them */
export function storesOf({ attempts, breakers, cache, streams }: Persistence): Stores {
  if (attempts === undefined || breakers === undefined || cache === undefined || streams === undefined)
    throw new Error("The plugin lacks attempts, breakers, cache or streams");
  return { attempts, breakers, cache, streams };
}

export const failed = (number: number, message = `attempt ${number} failed`): AttemptRecord => ({
  number,
  step: "node",
  startedAt: 1_700_000_000_000 + number,
  durationMs: 12.5,
  report: { category: "server_error", retryable: true, status: 503, message, cause: ["Error: upstream"] },
  delayMs: 1000,
});

const newScope = (): AttemptScope => ({ threadId: randomUUID(), step: "plan" });

export function storesContract(opened: () => Persistence): void {
  attemptsContract(opened);
  versionedContract(() => storesOf(opened()).breakers);
  cacheContract(() => storesOf(opened()).cache);
  streamsContract(() => storesOf(opened()).streams, opened);
  crashContract(() => storesOf(opened()));
}

function attemptsContract(opened: () => Persistence): void {
  const store = () => storesOf(opened()).attempts;
  const numbers = async (scope: AttemptScope) => (await store().load(scope))?.attempts.map(({ number }) => number);
  const state = async (scope: AttemptScope) => (await store().load(scope))?.state;

  describe("attempts", () => {
    it("gives back each failed attempt as it was, by number, and leaves the step open", async () => {
      const scope = newScope();
      expect(await store().load(scope)).toBeUndefined();
      for (const number of [2, 10, 1]) await store().append(scope, failed(number));
      expect(await store().load(scope)).toEqual({ attempts: [failed(1), failed(2), failed(10)], state: "open" });
    });

    it("adds a number once, whatever is said the second time, and then changes no state either", async () => {
      const scope = newScope();
      await store().append(scope, failed(1, "first report"));
      await store().append(scope, failed(1, "second report"));
      await store().mark(scope, "paused");
      await store().append(scope, failed(1, "third report"));
      expect(await store().load(scope)).toEqual({ attempts: [failed(1, "first report")], state: "paused" });
    });

    it("adds each of many attempts told at once, and one of them told many times at once", async () => {
      const scope = newScope();
      const told = Array.from({ length: 20 }, (_, at) => failed(at + 1));
      await Promise.all([...told, ...told, ...Array(20).fill(failed(7))].map((one) => store().append(scope, one)));
      expect((await store().load(scope))?.attempts).toEqual(told);
    });

    it("keeps how the step was left, until another attempt opens it again", async () => {
      const scope = newScope();
      await store().append(scope, failed(1));
      for (const left of ["paused", "ended", "open", "ended"] as const) {
        await store().mark(scope, left);
        expect(await state(scope)).toBe(left);
      }
      await store().append(scope, failed(2));
      expect(await state(scope)).toBe("open");
      await store().mark(scope, "paused");
      expect(await state(scope)).toBe("paused");
    });

    it("is opened also by an attempt with a lower number than those before", async () => {
      const scope = newScope();
      await store().append(scope, failed(5));
      await store().mark(scope, "ended");
      await store().append(scope, failed(4));
      expect(await state(scope)).toBe("open");
    });

    it("marks nothing where there are no attempts", async () => {
      const scope = newScope();
      await store().mark(scope, "ended");
      expect(await store().load(scope)).toBeUndefined();
    });

    it("clears one step, which then counts from the beginning", async () => {
      const scope = newScope();
      await store().clear(scope);
      await store().append(scope, failed(1));
      await store().append(scope, failed(2));
      await store().mark(scope, "ended");
      await store().clear(scope);
      expect(await store().load(scope)).toBeUndefined();
      await store().append(scope, failed(1));
      expect(await store().load(scope)).toEqual({ attempts: [failed(1)], state: "open" });
    });

    it("tells apart threads and steps", async () => {
      const [one, other] = [randomUUID(), randomUUID()];
      const scopes = [one, other].flatMap((threadId) => ["a", "b"].map((step): AttemptScope => ({ threadId, step })));
      for (const [at, scope] of scopes.entries()) await store().append(scope, failed(at + 1));
      await store().mark({ threadId: one, step: "b" }, "ended");
      await store().clear({ threadId: one, step: "a" });
      expect(await Promise.all(scopes.map(numbers))).toEqual([undefined, [2], [3], [4]]);
      expect(await Promise.all(scopes.map(state))).toEqual([undefined, "ended", "open", "open"]);
    });

    it("forgets the attempts of a deleted thread, and of no other", async () => {
      const [gone, kept] = [newScope(), newScope()];
      for (const scope of [gone, { ...gone, step: "other" }, kept]) await store().append(scope, failed(1));
      await opened().checkpointer.deleteThread(gone.threadId);
      expect(await store().load(gone)).toBeUndefined();
      expect(await store().load({ ...gone, step: "other" })).toBeUndefined();
      expect(await numbers(kept)).toEqual([1]);
    });

    it.each(oddTexts)("keeps %j in threads, steps and messages", async (text) => {
      const scope = { threadId: `${randomUUID()}${text}`, step: text };
      await store().append(scope, failed(1, text));
      await store().mark(scope, "paused");
      expect(await store().load(scope)).toEqual({ attempts: [failed(1, text)], state: "paused" });
      await store().clear(scope);
      expect(await store().load(scope)).toBeUndefined();
    });

    it("keeps no secret that a message repeats", async () => {
      const scope = newScope();
      const { report, ...rest } = failed(1, "401 for Bearer abcdef123456");
      await store().append(scope, { ...rest, report: { ...report, cause: ["Error: postgres://u:hunter2@db/x"] } });
      const [kept] = (await store().load(scope))?.attempts ?? [];
      expect(kept?.report).toEqual({
        ...report,
        message: "401 for Bearer [redacted]",
        cause: ["Error: postgres://u:[redacted]@db/x"],
      });
    });
  });
}

function versionedContract(store: () => VersionedStore): void {
  describe("versioned state", () => {
    it("reads a key that nobody wrote as version 0, with the time", async () => {
      const found = await store().read(randomUUID());
      expect(found).toEqual({ value: undefined, version: 0, nowMs: expect.any(Number) });
      expect(Number.isInteger(found.nowMs)).toBe(true);
      // Whichever clock it is, it counts milliseconds since 1970 and not seconds or microseconds.
      expect(new Date(found.nowMs).getUTCFullYear()).toBeGreaterThan(2020);
      expect(new Date(found.nowMs).getUTCFullYear()).toBeLessThan(2200);
    });

    it("tells a time that never falls behind what was read before", async () => {
      const key = randomUUID();
      const before = (await store().read(key)).nowMs;
      await store().write(key, 1, 0);
      expect((await store().read(key)).nowMs).toBeGreaterThanOrEqual(before);
    });

    it("writes over the version that was read, and gives each write the next", async () => {
      const key = randomUUID();
      for (const version of [1, 2, 3]) {
        expect(await store().write(key, { kind: "open", n: version }, version - 1)).toBe(version);
        expect(await store().read(key)).toMatchObject({ value: { kind: "open", n: version }, version });
      }
    });

    it("writes nothing over another version than the one expected", async () => {
      const key = randomUUID();
      expect(await store().write(key, "of nothing", 3)).toBeUndefined();
      expect(await store().read(key)).toMatchObject({ version: 0 });
      await store().write(key, "kept", 0);
      for (const wrong of [0, 2, 7]) expect(await store().write(key, "lost", wrong)).toBeUndefined();
      expect(await store().read(key)).toMatchObject({ value: "kept", version: 1 });
    });

    it.each([0, 1])(
      "lets one of many writers at once win over version %d, and stores what that one wrote",
      async (expected) => {
        const key = randomUUID();
        if (expected === 1) await store().write(key, "before", 0);
        const won = await Promise.all(
          Array.from({ length: 25 }, (_, writer) => store().write(key, { writer }, expected)),
        );
        expect(won.filter((version) => version !== undefined)).toEqual([expected + 1]);
        const winner = won.findIndex((version) => version !== undefined);
        expect(await store().read(key)).toMatchObject({ value: { writer: winner }, version: expected + 1 });
      },
    );

    it("loses no step of many that count at once", async () => {
      const key = randomUUID();
      const add = async (): Promise<void> => {
        const { value, version } = await store().read(key);
        if ((await store().write(key, ((value as number | undefined) ?? 0) + 1, version)) === undefined) await add();
      };
      await Promise.all(Array.from({ length: 12 }, add));
      expect(await store().read(key)).toMatchObject({ value: 12, version: 12 });
    });

    it("holds a copy that nobody's change reaches", async () => {
      const key = randomUUID();
      const given = { counts: [1] };
      await store().write(key, given, 0);
      given.counts.push(2);
      ((await store().read(key)).value as typeof given).counts.push(3);
      expect((await store().read(key)).value).toEqual({ counts: [1] });
    });

    it("stores whatever JSON can say, null and odd texts included", async () => {
      const values = [null, false, 0, "", [], {}, 1e300, 5e-324, oddTexts, { "NUL \0": { "\ud800": "\udfff" } }];
      for (const value of values) {
        const key = randomUUID();
        expect(await store().write(key, value, 0)).toBe(1);
        expect(await store().read(key)).toMatchObject({ value, version: 1 });
      }
    });

    it("refuses what has no JSON, and keeps what was there", async () => {
      const key = randomUUID();
      await store().write(key, "kept", 0);
      for (const value of [undefined, () => {}, 1n])
        await expect(store().write(key, value, 1)).rejects.toMatchObject({ code: "INVALID_INPUT" });
      expect(await store().read(key)).toMatchObject({ value: "kept", version: 1 });
    });

    it("lists every key with its value, in the order of the keys", async () => {
      const prefix = randomUUID();
      const keys = oddTexts.map((text) => `${prefix}${text}`);
      for (const [at, key] of keys.entries()) await store().write(key, { at }, 0);
      await store().write(keys[0] ?? "", { at: 0, again: true }, 1);
      const listed = (await store().list()).filter(({ key }) => key.startsWith(prefix));
      const expected = keys.map((key, at) => ({
        key,
        value: at === 0 ? { at, again: true } : { at },
        version: at === 0 ? 2 : 1,
        nowMs: expect.any(Number),
      }));
      expect(listed).toEqual(expected.sort((a, b) => (a.key < b.key ? -1 : 1)));
    });
  });
}

function cacheContract(store: () => ResultCache): void {
  const aMinute = 60_000;

  describe("cached answers", () => {
    it("knows nothing of a key that was never put", async () => {
      expect(await store().get(randomUUID())).toBeUndefined();
      await store().delete(randomUUID());
    });

    it("gives back an answer with its age, until it is deleted", async () => {
      const key = randomUUID();
      await store().put(key, { text: "yes" }, aMinute);
      const found = await store().get(key);
      expect(found).toEqual({ value: { text: "yes" }, ageMs: expect.any(Number) });
      expect(found?.ageMs).toBeGreaterThanOrEqual(0);
      expect(found?.ageMs).toBeLessThan(aMinute);
      await store().delete(key);
      expect(await store().get(key)).toBeUndefined();
    });

    it("grows older with time", async () => {
      const key = randomUUID();
      await store().put(key, 1, aMinute);
      await expect.poll(async () => (await store().get(key))?.ageMs).toBeGreaterThan(0);
    });

    it("knows nothing of an answer whose time is over", async () => {
      const key = randomUUID();
      await store().put(key, 1, 0);
      expect(await store().get(key)).toBeUndefined();
      await store().put(key, 2, 20);
      await expect.poll(() => store().get(key)).toBeUndefined();
    });

    it("puts an answer in place of an earlier one, and its time in place of the earlier", async () => {
      const key = randomUUID();
      await store().put(key, "old", aMinute);
      await store().put(key, "new", aMinute);
      expect(await store().get(key)).toMatchObject({ value: "new" });
      await store().put(key, "gone", 0);
      expect(await store().get(key)).toBeUndefined();
      await store().put(key, "back", aMinute);
      expect(await store().get(key)).toMatchObject({ value: "back" });
    });

    it("holds a copy that nobody's change reaches", async () => {
      const key = randomUUID();
      const given = { items: [1] };
      await store().put(key, given, aMinute);
      given.items.push(2);
      const found = (await store().get(key)) as { value: typeof given };
      found.value.items.push(3);
      expect(await store().get(key)).toMatchObject({ value: { items: [1] } });
    });

    it("keeps null, odd texts, and the order of an object's keys", async () => {
      const value = { z: null, a: oddTexts, "NUL \0": "\ud800" };
      for (const text of oddTexts) {
        const key = `${randomUUID()}${text}`;
        await store().put(key, value, aMinute);
        const found = (await store().get(key))?.value as typeof value;
        expect(found).toEqual(value);
        expect(Object.keys(found)).toEqual(Object.keys(value));
      }
    });

    it("refuses what has no JSON", async () => {
      await expect(store().put(randomUUID(), undefined, aMinute)).rejects.toMatchObject({ code: "INVALID_INPUT" });
    });

    it("takes 60 answers at once, those that are over among them, and keeps each that is not", async () => {
      const keys = Array.from({ length: 30 }, () => randomUUID());
      const over = (key: string) => `${key} is over`;
      await Promise.all(keys.map((key) => store().put(over(key), key, 0)));
      await Promise.all(keys.flatMap((key) => [store().put(key, key, aMinute), store().put(over(key), key, 0)]));
      expect(await Promise.all(keys.map(async (key) => (await store().get(key))?.value))).toEqual(keys);
      expect(await Promise.all(keys.map((key) => store().get(over(key))))).toEqual(keys.map(() => undefined));
    });
  });
}

function crashContract(stores: () => Stores): void {
  const scope = newScope();
  const key = randomUUID();
  const stream = newStream();
  const laterStep = { ...stream, step: "checkpoint-2" };
  const parts = async () => (await stores().streams.load(stream))?.parts ?? 0;
  const writes: readonly (readonly [name: string, write: () => Promise<unknown>, done: () => Promise<unknown>])[] = [
    ["attempts.append", () => stores().attempts.append(scope, failed(1)), () => stores().attempts.load(scope)],
    [
      "attempts.mark",
      () => stores().attempts.mark(scope, "ended"),
      async () => (await stores().attempts.load(scope))?.state === "ended",
    ],
    [
      "attempts.clear",
      () => stores().attempts.clear(scope),
      async () => (await stores().attempts.load(scope)) === undefined,
    ],
    [
      "breakers.write",
      () => stores().breakers.write(key, 1, 0),
      async () => (await stores().breakers.read(key)).version,
    ],
    ["cache.put", () => stores().cache.put(key, 1, 60_000), () => stores().cache.get(key)],
    ["cache.delete", () => stores().cache.delete(key), async () => (await stores().cache.get(key)) === undefined],
    ["streams.append", () => stores().streams.append(stream, part(0)), parts],
    ["streams.append", () => stores().streams.append(stream, part(1)), async () => (await parts()) === 2],
    ["streams.truncate", () => stores().streams.truncate(stream, 1, "w"), async () => (await parts()) === 1],
    ["streams.clearOtherSteps", () => stores().streams.clearOtherSteps(laterStep), async () => (await parts()) === 0],
    ["streams.append", () => stores().streams.append(stream, part(0)), parts],
    ["streams.clear", () => stores().streams.clear(stream), async () => (await parts()) === 0],
  ];

  describe("a process that dies at a write of a store", () => {
    afterEach(() => onCrashPoint(undefined));

    // In this order each write has something to change.
    it.each(writes)("%s: has written nothing before it, and all of it after", async (name, write, done) => {
      const passed: CrashPoint[] = [];
      onCrashPoint((point) => {
        passed.push(point);
        throw new Error("the process died");
      });
      expect(await done()).toBeFalsy();
      await expect(write()).rejects.toThrow("the process died");
      expect(await done()).toBeFalsy();
      onCrashPoint((point) => {
        passed.push(point);
        if (point.endsWith(".after")) throw new Error("the process died");
      });
      await expect(write()).rejects.toThrow("the process died");
      expect(await done()).toBeTruthy();
      expect(passed).toEqual([`${name}.before`, `${name}.before`, `${name}.after`]);
    });
  });
}
