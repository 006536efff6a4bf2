import { mkdir, readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { threadFolder, writeWhole } from "../../../../graphs/quarterly-report/artifacts.js";
import { temporaryFolder } from "./reported.js";

describe("writeWhole", () => {
  it("shows a reader the old file or the new one, never a part, and leaves nothing else", async () => {
    const folder = join(await temporaryFolder(), "made", "on", "the", "way");
    const path = join(folder, "report.md");
    expect(await writeWhole(path, "old")).toBe(path);
    const big = "x".repeat(16 * 1024 * 1024);
    let written = false;
    const lengths = new Set<number>();
    const writing = writeWhole(path, big).then(() => {
      written = true;
    });
    while (!written) lengths.add((await readFile(path)).length);
    await writing;
    lengths.add((await readFile(path)).length);
    expect([...lengths]).toEqual([3, big.length]);
    expect(await readdir(folder)).toEqual(["report.md"]);
  });

  it("cleans up after a write that fails", async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "report.md", "in the way"), { recursive: true });
    await expect(writeWhole(join(folder, "report.md"), "text")).rejects.toMatchObject({ syscall: "rename" });
    expect(await readdir(folder)).toEqual(["report.md"]);
  });

  it("keeps writers of the same file apart", async () => {
    const path = join(await temporaryFolder(), "report.md");
    const texts = ["a", "b", "c"].map((letter) => letter.repeat(100_000));
    await Promise.all(texts.map((text) => writeWhole(path, text)));
    expect(texts).toContain(await readFile(path, "utf8"));
  });
});

describe("threadFolder", () => {
  it.each([
    ["its name, where it has one", { thread_name: "q3", thread_id: "id" }, "q3"],
    ["its id", { thread_id: "5f0c" }, "5f0c"],
    ["no thread", {}, "no-thread"],
    ["an empty name", { thread_name: "" }, "no-thread"],
    ["a name in any script", { thread_name: "Bericht für 日本 2024" }, "Bericht_für_日本_2024-411cb1e3"],
    ["a name that would lead elsewhere", { thread_name: "../../etc/passwd" }, "__.._etc_passwd-3754d6cb"],
    ["a name of dots", { thread_name: ".." }, "_-5ec1f7e7"],
  ])("%s", (_what, configurable, name) => {
    expect(threadFolder("/out", { configurable })).toBe(`/out/${name}`);
  });

  it("keeps apart names that a folder cannot tell apart, and long ones", () => {
    const names = ["a/b", "a:b", "a_b", "x".repeat(300), `${"x".repeat(300)}y`];
    const folders = names.map((name) => threadFolder("/out", { configurable: { thread_name: name } }));
    expect(new Set(folders).size).toBe(names.length);
    for (const folder of folders) expect(folder.length).toBeLessThan(120);
  });

  it("lies under reports where nothing else is said", () => {
    expect(threadFolder(undefined, { configurable: { thread_id: "t" } })).toBe(resolve("reports", "t"));
  });
});
