/** Laws of the storage format: whatever text is taken apart comes back as it was, and no damage goes unnoticed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readHeader, writeHeader } from "../../src/persistence/native/header.js";
import { putTogether, takeApart } from "../../src/persistence/native/skeleton.js";
import { hashOf, type StoredObject } from "../../src/persistence/native/stored-object.js";
import {
  isInline,
  MissingObject,
  readInline,
  readValue,
  type StandingValue,
  storeValue,
} from "../../src/persistence/native/stored-value.js";
import { checksumOfWrites, readWrites, rowsOfWrites } from "../../src/persistence/native/task-writes.js";
import { changeBetween } from "../../src/persistence/native/text-change.js";
import { typedValue, valueText } from "../../src/persistence/native/value-text.js";

/** Texts that look like the format's own signs, like JSON, like LangChain's messages, and very long ones. */
const phrase = fc.constantFrom(
  '{"lc":1,"type":"constructor","id":["langchain_core","messages","',
  'Message"],"kwargs":{"content":',
  '"additional_kwargs":{},"response_metadata":{}',
  "additional_kwargs",
  '"',
  "\\",
  '\\"',
  "\u{1F600}",
  "s",
  "\uFDD0",
);
const anyText = fc
  .array(
    fc.oneof(
      phrase,
      fc.string({ unit: "grapheme" }),
      fc.nat(700).map((length) => "x".repeat(length)),
    ),
    {
      maxLength: 12,
    },
  )
  .map((parts) => parts.join(""));
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: "small" },
    anyText,
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("any"), { maxLength: 6 }),
    fc.dictionary(anyText, tie("any"), { maxKeys: 4 }),
  ),
})).any;
const json = value.map((one) => JSON.stringify(one));

/** Whether every surrogate is half of a pair. */
const isWellFormed = (text: string) => !/\p{Surrogate}/u.test(text);

class Store {
  readonly objects = new Map<string, StoredObject>();
  add(objects: readonly StoredObject[]): void {
    for (const object of objects) this.objects.set(object.hash, object);
  }
  readonly find = (hash: string) => this.objects.get(hash);
}
const nothingKnown = () => undefined;

describe("the text of a value", () => {
  it("comes back as type and bytes, JSON or not", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("json", "bytes", "json+aes", ""),
        fc.uint8Array({ maxLength: 300 }),
        (type, bytes) => {
          const [readType, read] = typedValue(valueText(type, bytes));
          expect([readType, Buffer.from(read)]).toEqual([type, Buffer.from(bytes)]);
        },
      ),
    );
  });

  it("is put together as it was taken apart", () => {
    fc.assert(
      fc.property(fc.oneof(json, anyText), (text) => {
        const { text: skeleton, strings } = takeApart(text);
        expect(putTogether(skeleton, (n) => strings[n]?.body ?? "")).toBe(text);
      }),
    );
  });

  it("holds no long string where the string is stored apart", () => {
    const { text, strings } = takeApart(JSON.stringify({ a: "y".repeat(500), b: ["z".repeat(500), "short"] }));
    expect(strings).toHaveLength(2);
    expect(text.length).toBeLessThan(40);
  });
});

it("what changed between two texts gives the second from the first, and never half a surrogate pair", () => {
  const near = fc
    .tuple(anyText, anyText, anyText, anyText)
    .map(([begin, one, other, end]) => [begin + one + end, begin + other + end] as const);
  fc.assert(
    fc.property(near, ([before, after]) => {
      const { prefix, suffix, middle } = changeBetween(before, after);
      expect(before.slice(0, prefix) + middle + before.slice(before.length - suffix)).toBe(after);
      if (isWellFormed(after)) expect(isWellFormed(middle)).toBe(true);
    }),
  );
});

describe("values of a channel", () => {
  /** What happens to a list: it grows, is cut, is edited, is replaced. */
  const edits = fc.array(
    fc.record({ keepFrom: fc.nat(30), keepTo: fc.nat(30), at: fc.nat(30), add: fc.array(value, { maxLength: 3 }) }),
    { maxLength: 25 },
  );

  it("read back as they were, each from what it stands on", () => {
    fc.assert(
      fc.property(edits, (history) => {
        const store = new Store();
        let list: unknown[] = [];
        let earlier: StandingValue | { text: string } | undefined;
        const written: { text: string; read: () => string }[] = [];
        for (const { keepFrom, keepTo, at, add } of history) {
          list = list.slice(Math.min(keepFrom, list.length >> 2), list.length - Math.min(keepTo, list.length >> 2));
          list.splice(Math.min(at, list.length), 0, ...add);
          const text = JSON.stringify(list);
          const stored = storeValue(text, earlier);
          store.add(stored.objects);
          const links = stored.objects.map(({ hash }) => hash);
          written.push({
            text,
            read: isInline(stored)
              ? () => readInline(stored.skeleton, links, store.find)
              : () => readValue(stored.hash, store.find, nothingKnown).text,
          });
          earlier = isInline(stored) ? { text } : stored;
        }
        for (const { text, read } of written) expect(read()).toBe(text);
      }),
      { numRuns: 60 },
    );
  });

  it("of a list that grows cost what it grew, however long it is", () => {
    const store = new Store();
    let earlier: StandingValue | undefined;
    const list: unknown[] = [];
    const sizes: number[] = [];
    for (let n = 0; n < 400; n += 1) {
      list.push({ id: n, content: "w".repeat(100) });
      const stored = storeValue(JSON.stringify(list), earlier);
      if (isInline(stored)) continue;
      sizes.push(stored.objects.reduce((sum, { body }) => sum + body.length, 0));
      store.add(stored.objects);
      earlier = stored;
    }
    expect(Math.max(...sizes.slice(10))).toBeLessThan(200);
    expect(readValue(earlier?.hash ?? "", store.find, nothingKnown).text).toBe(JSON.stringify(list));
  });

  it("are stored in full again before a read of one goes through much more than its text", () => {
    const store = new Store();
    let earlier: StandingValue | undefined;
    let longest = 0;
    for (let n = 0; n < 2000; n += 1) {
      const stored = storeValue(
        JSON.stringify({ counter: n, text: "t".repeat(150), list: Array(60).fill("entry") }),
        earlier,
      );
      if (isInline(stored)) continue;
      store.add(stored.objects);
      longest = Math.max(longest, stored.weight);
      earlier = stored;
    }
    expect(longest).toBeLessThan(12_000);
  });

  it("that lack an object say which", () => {
    const stored = storeValue(JSON.stringify(["q".repeat(700), ..."abcdefghijklmnopqrstuvwxyz".repeat(20)]), undefined);
    if (isInline(stored)) throw new Error("too short to try");
    const [own, string] = stored.objects;
    const find = (hash: string) => (hash === own?.hash ? own : undefined);
    expect(() => readValue(stored.hash, find, nothingKnown)).toThrow(new MissingObject(string?.hash ?? ""));
  });
});

describe("a checkpoint's row", () => {
  const place = {
    threadId: "t",
    namespace: "",
    checkpointId: "c2",
    parentId: "c1",
    metadata: { step: 1, b: { z: 1, a: [] } },
  };
  const versions = fc.dictionary(anyText, fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string()));
  const header = fc.record({
    checkpoint: fc.record({
      v: fc.constant(4),
      ts: fc.string(),
      channel_versions: versions,
      versions_seen: fc.dictionary(anyText, versions),
    }),
    inline: fc.dictionary(
      anyText,
      fc.record({ skeleton: fc.constantFrom("null", "12", '"\x02"'), links: fc.constant([]) }),
    ),
    objects: fc.dictionary(anyText, fc.constant("0123456789abcdef0123456789abcdef")),
  });
  const withLinks = header.map(({ inline, ...rest }) => ({
    ...rest,
    inline: Object.fromEntries(
      Object.entries(inline).map(([channel, { skeleton }]) => [
        channel,
        { skeleton, links: skeleton.includes("\x02") ? ["fedcba9876543210fedcba9876543210"] : [] },
      ]),
    ),
  }));

  it("reads back as it was written, whatever order the database gives the metadata's keys", () => {
    fc.assert(
      fc.property(withLinks, (given) => {
        const text = writeHeader(given as never, place);
        const read = readHeader(text, { ...place, metadata: { b: { a: [], z: 1 }, step: 1 } });
        expect(JSON.parse(JSON.stringify(read))).toEqual(JSON.parse(JSON.stringify(given)));
      }),
    );
  });

  it("that has any bit flipped is refused", () => {
    fc.assert(
      fc.property(withLinks, fc.nat(), fc.nat(7), (given, at, bit) => {
        const bytes = Buffer.from(writeHeader(given as never, place));
        const n = at % bytes.length;
        bytes[n] = (bytes[n] ?? 0) ^ (1 << bit);
        expect(() => readHeader(bytes.toString("latin1"), place)).toThrow(/checksum/);
      }),
    );
  });
});

describe("the writes of a task", () => {
  const writes = fc.array(
    fc.tuple(fc.oneof(anyText, fc.constantFrom("__error__", "__interrupt__", "__resume__")), json),
    {
      minLength: 1,
      maxLength: 6,
    },
  );

  it("read back as they were, the last of each special kind", () => {
    fc.assert(
      fc.property(anyText, writes, (path, given) => {
        const store = new Store();
        const rows = rowsOfWrites(
          "task",
          path,
          given as never,
          given.map(([, text]) => text),
        );
        for (const row of rows) store.add(row.objects);
        const read = rows.map((row) => readWrites(row, store.find));
        expect(read.every(({ taskPath }) => taskPath === path)).toBe(true);
        const specials = new Set(["__error__", "__interrupt__", "__resume__"]);
        const expected = [
          ...new Map(given.filter(([channel]) => specials.has(channel))),
          ...given.filter(([channel]) => !specials.has(channel)),
        ].map(([channel, text]) => ({ channel, text }));
        const got = read.flatMap((row) => row.writes.map(({ channel, text }) => ({ channel, text })));
        const order = (list: typeof got) => list.map((one) => JSON.stringify(one)).sort();
        expect(order(got)).toEqual(order(expected));
      }),
    );
  });

  it("have a checksum that no flipped bit of their body keeps", () => {
    fc.assert(
      fc.property(writes, fc.nat(), fc.nat(7), (given, at, bit) => {
        const [row] = rowsOfWrites(
          "task",
          "",
          given as never,
          given.map(([, text]) => text),
        );
        if (row === undefined) return;
        const bytes = Buffer.from(row.body);
        bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ (1 << bit);
        const damaged = { ...row, body: bytes.toString("latin1") };
        expect(checksumOfWrites("key", damaged)).not.toBe(checksumOfWrites("key", row));
      }),
    );
  });
});

it("a content with any bit flipped, or another link, has another hash", () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[0-9a-f]{32}$/), { maxLength: 3 }),
      anyText,
      fc.nat(),
      (links, body, at) => {
        const damaged = `${body.slice(0, at % (body.length + 1))}\x7f${body.slice((at % (body.length + 1)) + 1)}`;
        fc.pre(damaged !== body);
        expect(hashOf(links, damaged)).not.toBe(hashOf(links, body));
        expect(hashOf([...links, "0".repeat(32)], body)).not.toBe(hashOf(links, body));
      },
    ),
  );
});
