/** How large a question of the inbox may be, and what is left of one that is larger. The rest is in the suite for plugins. */
import { describe, expect, it } from "vitest";
import type { InboxItem } from "../../../src/core/inbox-ports.js";
import { storableInboxItem } from "../../../src/persistence/inbox-rules.js";
import { newInboxItem } from "../../../src/testing/samples.js";

const textOf = (length: number) => "e".repeat(length);
const bytesOf = (item: InboxItem) => JSON.stringify(item).length;

describe("a question that is to be stored", () => {
  it("keeps everything up to a million bytes, the last of them included", () => {
    const without = bytesOf(newInboxItem({ request: { text: "" } }));
    const largest = newInboxItem({ request: { text: textOf(1_000_000 - without) } });
    expect(storableInboxItem(largest)).toEqual(largest);
    const larger = newInboxItem({ request: { text: textOf(1_000_001 - without) } });
    expect(bytesOf(storableInboxItem(larger))).toBeLessThan(20_000);
  });

  it("counts bytes, not characters", () => {
    const item = newInboxItem({ request: { text: "日".repeat(400_000) } });
    expect(bytesOf(storableInboxItem(item))).toBeLessThan(20_000);
  });

  it("is shortened no more than it must be", () => {
    const long = textOf(9_000);
    const once = storableInboxItem(newInboxItem({ request: { long, list: [textOf(1_000_000)] } }));
    expect(once.request).toMatchObject({ long, list: [expect.stringContaining("more characters]")] });
    const many = Array.from({ length: 200 }, () => long);
    const twice = storableInboxItem(newInboxItem({ summary: long, request: { many, short: "kept" } }));
    expect(twice.request).toMatchObject({ short: "kept" });
    expect((twice.request as { many: string[] }).many.at(-1)).toBe("[150 more]");
    expect(twice.summary).toMatch(/^e{500}… \[8500 more characters\]$/);
  });

  it("comes out the same when it is stored again", () => {
    const request = { text: textOf(2_000_000), apiKey: "abc", url: "postgres://u:hunter2@db/x", say: "Bearer abcdef" };
    const stored = storableInboxItem(newInboxItem({ summary: textOf(20_000), request }));
    expect(storableInboxItem(stored)).toEqual(stored);
  });

  it("is refused with its size when it is too large however much is shortened", () => {
    const schema = { description: textOf(1_100_000) };
    const item = newInboxItem({ request: { actions: [{ action: "retry", schema }] } });
    expect(() => storableInboxItem(item)).toThrow(
      expect.objectContaining({
        code: "INVALID_INPUT",
        message: expect.stringMatching(new RegExp(`"${item.id}" cannot be stored: it has 11\\d{5} bytes`)),
      }),
    );
  });

  it("has the fields of a question and no others", () => {
    const item = newInboxItem();
    const claim = { by: "Ada", until: 1, note: "x" };
    expect(storableInboxItem({ ...item, claim, version: 7 } as InboxItem)).toEqual({
      ...item,
      claim: { by: "Ada", until: 1 },
    });
  });

  it("may ask anything, also without actions", () => {
    for (const request of ["a text", null, [1], { actions: "none" }, { actions: [null, "x", { action: "retry" }] }])
      expect(storableInboxItem(newInboxItem({ request })).request).toEqual(request);
  });
});
