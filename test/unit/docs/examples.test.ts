/** The examples of the guides, and of other pages where they are marked, run as they stand and print what they show. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { format } from "node:util";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { codeBlocks } from "./code-blocks.js";
import { markdownPages } from "./markdown-pages.js";
import { type Example, examplesIn, runModule } from "./run-blocks.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const isGuide = (page: string) => page === "docs/rungs.md" || page.startsWith("docs/policies/");

afterEach(() => void vi.restoreAllMocks());
// An example defines prices and rules for its whole process, which other test files share with it.
afterAll(() => void vi.resetModules());

/** What the example prints, line by line. @throws what it throws */
async function outputOf({ code, files }: Example): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "lgr-docs-"));
  const printed: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((...values) => void printed.push(format(...values)));
  try {
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    for (const [name, text] of files) writeFileSync(join(folder, name), text);
    await runModule(code, pathToFileURL(join(folder, "example.ts")).href, (specifier) => import(specifier));
  } finally {
    log.mockRestore();
    rmSync(folder, { recursive: true });
  }
  return printed.join("\n");
}

const pages = markdownPages(root)
  .map(({ page, markdown }) => ({
    page,
    examples: examplesIn(codeBlocks(page, markdown), ({ flags }) => isGuide(page) || flags.includes("run")),
  }))
  .filter(({ page, examples }) => isGuide(page) || examples.length > 0);

describe.each(pages)("$page", ({ examples }) => {
  it.each(examples)("runs and prints what it shows: $where", async (example) => {
    expect(await outputOf(example)).toBe(example.prints);
  });
});

it("every guide has an example, and shows what it prints", () => {
  const guides = pages.filter(({ page }) => isGuide(page));
  const silent = guides.filter(({ examples }) => examples.every(({ prints }) => prints === ""));
  expect(silent.map(({ page }) => page)).toEqual([]);
});

describe("an example at fault is found", () => {
  const examplesOf = (...lines: string[]) => examplesIn(codeBlocks("page.md", lines.join("\n")), () => true);

  it("by what it throws", async () => {
    const [example] = examplesOf("```ts", "await Promise.reject(new Error('no such service'));", "```");
    await expect(outputOf(example as Example)).rejects.toThrow("no such service");
  });

  it("by what it prints, over joined blocks and with the files of its page", async () => {
    const [example, ...others] = examplesOf(
      "```ts file=twice.ts",
      "export const twice = (n: number) => 2 * n;",
      "```",
      "```ts",
      'import { readFileSync } from "node:fs";',
      "const total: number = 1;",
      "```",
      "```ts continued",
      'const text = readFileSync(new URL("./twice.ts", import.meta.url), "utf8");',
      "console.log(text.length, total);",
      "```",
      "```text",
      "what it does not print",
      "```",
    );
    expect(others).toEqual([]);
    expect(example).toMatchObject({ where: "page.md:4", prints: "what it does not print" });
    expect(await outputOf(example as Example)).toBe("42 1");
  });
});
