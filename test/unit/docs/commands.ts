import type { CodeBlock } from "./code-blocks.js";

/** A command of ours that a page shows. */
export interface ShownCommand {
  /** `README.md:12` */
  readonly where: string;
  readonly program: "lgr" | "npm";
  /** `["resume", "q3"]`, `["run", "verify"]`: what comes before the first option. */
  readonly words: readonly string[];
  /** Long and short options by name, without their values. */
  readonly options: readonly string[];
}

const shells = new Set(["bash", "sh", "shell", "console"]);

/** The `lgr` and `npm` commands in the shell blocks of a page and, as inline code, in its text. */
export function shownCommands(page: string, markdown: string, blocks: readonly CodeBlock[]): ShownCommand[] {
  const commands: ShownCommand[] = [];
  for (const block of blocks.filter(({ language }) => shells.has(language))) {
    const prompts = /^\s*\$ /m.test(block.code);
    let continued = "";
    for (const [index, raw] of block.code.split("\n").entries()) {
      // where a block shows a prompt, the lines without one are output
      if (prompts && continued === "" && !/^\s*\$ /.test(raw)) continue;
      const line = continued + raw.replace(/^\s*\$ /, "");
      if (line.endsWith("\\")) {
        continued = line.slice(0, -1);
        continue;
      }
      continued = "";
      commands.push(...commandsOf(`${page}:${block.line + 1 + index}`, line));
    }
  }
  let inBlock = false;
  for (const [index, line] of markdown.split("\n").entries()) {
    if (/^\s*(`{3,}|~{3,})/.test(line)) inBlock = !inBlock;
    if (inBlock) continue;
    for (const [, code = ""] of line.matchAll(/`([^`]+)`/g)) commands.push(...commandsOf(`${page}:${index + 1}`, code));
  }
  return commands;
}

function commandsOf(where: string, line: string): ShownCommand[] {
  return line
    .replace(/(^|\s)#.*$/, "")
    .replace(/'[^']*'|"[^"]*"/g, "VALUE")
    .split(/&&|\|\||[;|&]/)
    .flatMap((part): ShownCommand[] => {
      const found = /^\s*(?:[A-Z][A-Z0-9_]*=\S*\s+)*(?:(?:npx )?(lgr)|node bin\/(lgr)\.js|(npm))(?:\s+(.*))?$/.exec(
        part,
      );
      if (found === null) return [];
      const program = found[3] === undefined ? "lgr" : "npm";
      const all = (found[4] ?? "").split(/\s+/).filter(Boolean);
      const end = all.indexOf("--");
      const given = program === "npm" && end >= 0 ? all.slice(0, end) : all;
      const firstOption = given.findIndex((word) => word.startsWith("-"));
      const words = firstOption < 0 ? given : given.slice(0, firstOption);
      // `lgr …` and `lgr <command>` stand for any command
      if (words[0] === undefined || /^[…<[]/.test(words[0]) || words[0] === "...") return [];
      const options = given.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.replace(/=.*/, ""));
      return [{ where, program, words, options }];
    });
}
