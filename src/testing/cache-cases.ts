/** What the cache of answers must do. */
import { randomUUID } from "node:crypto";
import type { ResultCache } from "../core/store-ports.js";
import type { Contract } from "./contract.js";
import { contains, equals, eventually, isTrue, rejects } from "./expectations.js";
import { oddTexts } from "./odd-texts.js";

const aMinute = 60_000;

export function cacheCases({ describe, it, opened }: Contract): void {
  const store = () => opened().cache as ResultCache;

  describe("cached answers", () => {
    it("are not there for a key that was never put", async () => {
      equals(await store().get(randomUUID()), undefined);
      await store().delete(randomUUID());
    });

    it("are given back with their age, until they are deleted", async () => {
      const key = randomUUID();
      await store().put(key, { text: "yes" }, aMinute);
      const found = await store().get(key);
      contains(found, { value: { text: "yes" } });
      const ageMs = found?.ageMs ?? Number.NaN;
      isTrue(ageMs >= 0 && ageMs < aMinute, `the answer is ${ageMs} ms old`);
      await store().delete(key);
      equals(await store().get(key), undefined);
    });

    it("grow older with time", async () => {
      const key = randomUUID();
      await store().put(key, 1, aMinute);
      await eventually("it is older than 0 ms", async () => ((await store().get(key))?.ageMs ?? 0) > 0);
    });

    it("are not there once their time is over", async () => {
      const key = randomUUID();
      await store().put(key, 1, 0);
      equals(await store().get(key), undefined);
      await store().put(key, 2, 20);
      await eventually("the answer is gone", async () => (await store().get(key)) === undefined);
    });

    it("take the place of earlier ones, and their time that of the earlier", async () => {
      const key = randomUUID();
      await store().put(key, "old", aMinute);
      await store().put(key, "new", aMinute);
      contains(await store().get(key), { value: "new" });
      await store().put(key, "gone", 0);
      equals(await store().get(key), undefined);
      await store().put(key, "back", aMinute);
      contains(await store().get(key), { value: "back" });
    });

    it("are copies that nobody's change reaches", async () => {
      const key = randomUUID();
      const given = { items: [1] };
      await store().put(key, given, aMinute);
      given.items.push(2);
      const found = (await store().get(key)) as { value: typeof given };
      found.value.items.push(3);
      contains(await store().get(key), { value: { items: [1] } });
    });

    for (const text of oddTexts) {
      it(`keep null, ${JSON.stringify(text)} in keys, odd texts, and the order of an object's keys`, async () => {
        const value = { z: null, a: oddTexts, "NUL \0": "\ud800" };
        const key = `${randomUUID()}${text}`;
        await store().put(key, value, aMinute);
        const found = (await store().get(key))?.value as typeof value;
        equals(found, value);
        equals(Object.keys(found), Object.keys(value));
      });
    }

    it("are refused where they have no JSON", async () => {
      await rejects(store().put(randomUUID(), undefined, aMinute), { code: "INVALID_INPUT" });
    });

    it("are kept when 60 come at once, those that are over among them", async () => {
      const keys = Array.from({ length: 30 }, () => randomUUID());
      const over = (key: string) => `${key} is over`;
      await Promise.all(keys.map((key) => store().put(over(key), key, 0)));
      await Promise.all(keys.flatMap((key) => [store().put(key, key, aMinute), store().put(over(key), key, 0)]));
      equals(await Promise.all(keys.map(async (key) => (await store().get(key))?.value)), keys);
      const left = await Promise.all(keys.map((key) => store().get(over(key))));
      equals(
        left.filter((answer) => answer !== undefined),
        [],
      );
    });
  });
}
