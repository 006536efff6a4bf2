/** What the versioned state of circuits must do. */
import { randomUUID } from "node:crypto";
import type { VersionedStore } from "../core/store-ports.js";
import type { Contract } from "./contract.js";
import { contains, equals, isTrue, rejects } from "./expectations.js";
import { oddTexts } from "./odd-texts.js";

export function versionedCases({ describe, it, opened }: Contract): void {
  const store = () => opened().breakers as VersionedStore;

  describe("versioned state", () => {
    it("reads a key that nobody wrote as version 0, with the time", async () => {
      const found = await store().read(randomUUID());
      contains(found, { value: undefined, version: 0 });
      isTrue(Number.isInteger(found.nowMs), `the time ${found.nowMs} is no whole number`);
      // Whichever clock it is, it counts milliseconds since 1970 and not seconds or microseconds.
      const year = new Date(found.nowMs).getUTCFullYear();
      isTrue(year > 2020 && year < 2200, `the time ${found.nowMs} is no number of milliseconds since 1970`);
    });

    it("tells a time that never falls behind what was read before", async () => {
      const key = randomUUID();
      const before = (await store().read(key)).nowMs;
      await store().write(key, 1, 0);
      isTrue((await store().read(key)).nowMs >= before, "the time fell behind");
    });

    it("writes over the version that was read, and gives each write the next", async () => {
      const key = randomUUID();
      for (const version of [1, 2, 3]) {
        equals(await store().write(key, { kind: "open", n: version }, version - 1), version);
        contains(await store().read(key), { value: { kind: "open", n: version }, version });
      }
    });

    it("writes nothing over another version than the one expected", async () => {
      const key = randomUUID();
      equals(await store().write(key, "of nothing", 3), undefined);
      contains(await store().read(key), { version: 0 });
      await store().write(key, "kept", 0);
      for (const wrong of [0, 2, 7]) equals(await store().write(key, "lost", wrong), undefined);
      contains(await store().read(key), { value: "kept", version: 1 });
    });

    for (const expected of [0, 1]) {
      it(`lets one of many writers at once win over version ${expected}, and stores what that one wrote`, async () => {
        const key = randomUUID();
        if (expected === 1) await store().write(key, "before", 0);
        const writers = Array.from({ length: 25 }, (_, writer) => store().write(key, { writer }, expected));
        const won = await Promise.all(writers);
        equals(
          won.filter((version) => version !== undefined),
          [expected + 1],
        );
        const winner = won.findIndex((version) => version !== undefined);
        contains(await store().read(key), { value: { writer: winner }, version: expected + 1 });
      });
    }

    it("loses no step of many that count at once", async () => {
      const key = randomUUID();
      const add = async (): Promise<void> => {
        const { value, version } = await store().read(key);
        if ((await store().write(key, ((value as number | undefined) ?? 0) + 1, version)) === undefined) await add();
      };
      await Promise.all(Array.from({ length: 12 }, add));
      contains(await store().read(key), { value: 12, version: 12 });
    });

    it("holds a copy that nobody's change reaches", async () => {
      const key = randomUUID();
      const given = { counts: [1] };
      await store().write(key, given, 0);
      given.counts.push(2);
      ((await store().read(key)).value as typeof given).counts.push(3);
      equals((await store().read(key)).value, { counts: [1] });
    });

    it("stores whatever JSON can say, null and odd texts included", async () => {
      const values = [null, false, 0, "", [], {}, 1e300, 5e-324, oddTexts, { "NUL \0": { "\ud800": "\udfff" } }];
      for (const value of values) {
        const key = randomUUID();
        equals(await store().write(key, value, 0), 1);
        contains(await store().read(key), { value, version: 1 });
      }
    });

    it("refuses what has no JSON, and keeps what was there", async () => {
      const key = randomUUID();
      await store().write(key, "kept", 0);
      for (const value of [undefined, () => {}, 1n])
        await rejects(store().write(key, value, 1), { code: "INVALID_INPUT" });
      contains(await store().read(key), { value: "kept", version: 1 });
    });

    it("lists every key with its value, in the order of the keys", async () => {
      const prefix = randomUUID();
      const keys = oddTexts.map((text) => `${prefix}${text}`);
      for (const [at, key] of keys.entries()) await store().write(key, { at }, 0);
      await store().write(keys[0] ?? "", { at: 0, again: true }, 1);
      const listed = (await store().list()).filter(({ key }) => key.startsWith(prefix));
      isTrue(
        listed.every(({ nowMs }) => typeof nowMs === "number"),
        "an entry tells no time",
      );
      const expected = keys.map((key, at) => ({
        key,
        value: at === 0 ? { at, again: true } : { at },
        version: at === 0 ? 2 : 1,
      }));
      equals(
        listed.map(({ nowMs: _, ...entry }) => entry),
        expected.sort((a, b) => (a.key < b.key ? -1 : 1)),
      );
    });
  });
}
