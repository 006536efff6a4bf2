import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appendLine, readLines } from "../../../../graphs/order-saga/shop/journal.js";

let folder: string;
let journal: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "order-saga-"));
  journal = join(folder, "deep", "shop.jsonl");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("the shop's journal", () => {
  it("is empty where there is none, and is made with its folder by the first line", () => {
    expect(readLines(journal)).toEqual([]);
    expect(existsSync(journal)).toBe(false);
    appendLine(journal, { n: 1 });
    appendLine(journal, { n: 2, text: "two\nlines" });
    expect(readLines(journal)).toEqual([{ n: 1 }, { n: 2, text: "two\nlines" }]);
    expect(readFileSync(journal, "utf8")).toBe('{"n":1}\n{"n":2,"text":"two\\nlines"}\n');
  });

  it("passes over a last line that was torn off, and what is written after it stands alone", () => {
    appendLine(journal, { n: 1 });
    appendFileSync(journal, '{"n":2,"te');
    expect(readLines(journal)).toEqual([{ n: 1 }]);
    appendLine(journal, { n: 3 });
    expect(readLines(journal)).toEqual([{ n: 1 }, { n: 3 }]);
  });

  it("never counts a line that lacks but its end, for it may have been taken for not there", () => {
    appendLine(journal, { n: 1 });
    appendFileSync(journal, '{"n":2}');
    expect(readLines(journal)).toEqual([{ n: 1 }]);
    appendLine(journal, { n: 3 });
    expect(readLines(journal)).toEqual([{ n: 1 }, { n: 3 }]);
  });
});
