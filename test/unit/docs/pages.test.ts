import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { codeBlocks } from "./code-blocks.js";
import { type ShownCommand, shownCommands } from "./commands.js";
import { markdownPages } from "./markdown-pages.js";
import { typeCheckBlocks } from "./type-check.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const ambient = fileURLToPath(new URL("taken-for-granted.d.ts", import.meta.url));

const pages = markdownPages(root).map(({ page, markdown }) => {
  const blocks = codeBlocks(page, markdown);
  return { page, markdown, blocks, commands: shownCommands(page, markdown, blocks) };
});

describe("the pages", () => {
  it("hold TypeScript that type-checks against the sources", { timeout: 120_000 }, () => {
    const blocks = pages.flatMap((page) => page.blocks).filter(({ language }) => /^(ts|typescript)$/.test(language));
    expect(typeCheckBlocks(root, blocks, ambient)).toEqual([]);
  });

  it("hold JSON that parses", () => {
    const faults: string[] = [];
    for (const { page, line, code } of pages.flatMap((page) => page.blocks.filter((b) => b.language === "json"))) {
      try {
        JSON.parse(code);
      } catch (error) {
        faults.push(`${page}:${line} ${String(error)}`);
      }
    }
    expect(faults).toEqual([]);
  });

  it("name npm scripts that exist", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const missing = pages
      .flatMap((page) => page.commands)
      .filter(({ program }) => program === "npm")
      .map(({ where, words: [verb, name] }) => ({ where, script: verb === "run" ? name : verb }))
      .filter(({ script }) => !["ci", "install", "pack", undefined].includes(script) && !(`${script}` in scripts))
      .map(({ where, script }) => `${where} npm script "${script}"`);
    expect(missing).toEqual([]);
  });

  it("name commands and options that lgr knows", { timeout: 120_000 }, () => {
    const commands = pages.flatMap((page) => page.commands).filter(({ program }) => program === "lgr");
    const helps = helpsOf(["", ...new Set(commands.map(({ words: [command = ""] }) => command))]);
    expect(helps.get("")).toContain("Usage: lgr");
    expect(commands.flatMap((command) => unknownToLgr(command, helps))).toEqual([]);
  });

  it("link to files that exist", () => {
    const broken: string[] = [];
    for (const { page, markdown } of pages) {
      for (const [, target = ""] of markdown.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        if (!existsSync(resolve(root, dirname(page), target))) broken.push(`${page} → ${target}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it("link to headings that exist", () => {
    const broken: string[] = [];
    const anchors = new Map(pages.map(({ page, markdown }) => [page, anchorsIn(markdown)]));
    for (const { page, markdown } of pages) {
      for (const [, target = "", anchor = ""] of markdown.matchAll(/\]\(([^)\s#]*)#([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const linked = target === "" ? page : relative(root, resolve(root, dirname(page), target));
        if (anchors.get(linked)?.has(anchor) !== true) broken.push(`${page} → ${target}#${anchor}`);
      }
    }
    expect(broken).toEqual([]);
  });
});

/** What GitHub makes of a page's headings. */
function anchorsIn(markdown: string): ReadonlySet<string> {
  const headings = [...markdown.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replace(/ /g, "-"),
    ),
  );
}

describe("a page at fault is found", () => {
  const page = [
    "Run `lgr resume` first.",
    "```ts",
    "const total: number = 1;",
    "```",
    "then",
    "```ts continued",
    "const sum: string = total;",
    "```",
    "```bash",
    "$ DATABASE_URL=x npx lgr run report --thread q3 \\",
    "    --input '{\"a\": 1}' && npm run nothing -- --calm  # a comment",
    "some output of lgr run",
    "```",
  ].join("\n");
  const blocks = codeBlocks("page.md", page);

  it("by file and line, over joined blocks", { timeout: 120_000 }, () => {
    const code = blocks.filter(({ language }) => language === "ts");
    expect(typeCheckBlocks(root, code, ambient)).toEqual([
      "page.md:7 Type 'number' is not assignable to type 'string'.",
    ]);
  });

  it("by its commands, with their options", () => {
    expect(shownCommands("page.md", page, blocks)).toEqual([
      { where: "page.md:11", program: "lgr", words: ["run", "report"], options: ["--thread", "--input"] },
      { where: "page.md:11", program: "npm", words: ["run", "nothing"], options: [] },
      { where: "page.md:1", program: "lgr", words: ["resume"], options: [] },
    ]);
  });

  it("by what it imports of a block that is a file of its own", { timeout: 120_000 }, () => {
    const joined = codeBlocks(
      "page.md",
      [
        "```ts file=twice.ts",
        "export const twice = (n: number) => 2 * n;",
        "```",
        "```ts",
        'import { twice } from "./twice.js";',
        'export const four: number = twice("2");',
        "```",
      ].join("\n"),
    );
    expect(typeCheckBlocks(root, joined, ambient)).toEqual([
      "page.md:6 Argument of type 'string' is not assignable to parameter of type 'number'.",
    ]);
  });

  it("when it leaves a fence open", () => {
    expect(() => codeBlocks("page.md", "text\n```ts\nlet a = 1;")).toThrow("page.md:2 opens a code block");
  });
});

/** Of `lgr` ("") and of its commands, asked in one process, since most of what a command takes is its start. */
function helpsOf(commands: readonly string[]): ReadonlyMap<string, string> {
  const script = fileURLToPath(new URL("helps.child.ts", import.meta.url));
  const asked = spawnSync(process.execPath, ["--import", "tsx", script, ...commands], { cwd: root, encoding: "utf8" });
  if (asked.status !== 0) throw new Error(`lgr --help failed:\n${asked.stdout}${asked.stderr}`);
  const helps: Record<string, string> = JSON.parse(asked.stdout);
  return new Map(Object.entries(helps));
}

function unknownToLgr({ where, words, options }: ShownCommand, helps: ReadonlyMap<string, string>): string[] {
  const [command = ""] = words;
  const help = helps.get(command) ?? "";
  if (!new RegExp(`^Usage: lgr ${command}\\b`, "m").test(help)) return [`${where} lgr ${command}`];
  // the options of lgr itself may follow any command
  const known = new Set(`${help}${helps.get("")}`.match(/(?<![\w-])--?[a-zA-Z][\w-]*/g));
  return options.filter((option) => !known.has(option)).map((option) => `${where} lgr ${command} ${option}`);
}
