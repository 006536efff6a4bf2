/** A fenced block of a Markdown page. */
export interface CodeBlock {
  readonly page: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
  readonly language: string;
  /**
   * The words after the language on the fence: "continued" joins a block to the one before it, "run" has it run, and
   * "file=parse.ts" makes it a module that the others of its page can import.
   */
  readonly flags: readonly string[];
  readonly code: string;
}

/** The fenced blocks of a page, in order. @throws when a fence is not closed */
export function codeBlocks(page: string, markdown: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: { line: number; fence: string; indent: number; info: string[]; code: string[] } | undefined;
  for (const [index, line] of markdown.split(/\r?\n/).entries()) {
    const fence = /^(\s*)(`{3,}|~{3,})\s*(.*)$/.exec(line);
    if (open === undefined) {
      if (fence === null) continue;
      const [, indent = "", marks = "", info = ""] = fence;
      open = {
        line: index + 1,
        fence: marks,
        indent: indent.length,
        info: info.split(/[\s,]+/).filter(Boolean),
        code: [],
      };
    } else if (fence !== null && fence[3] === "" && fence[2]?.startsWith(open.fence) === true) {
      const [language = "", ...flags] = open.info;
      blocks.push({ page, line: open.line, language, flags, code: open.code.join("\n") });
      open = undefined;
    } else {
      open.code.push(line.slice(Math.min(open.indent, line.length - line.trimStart().length)));
    }
  }
  if (open !== undefined) throw new Error(`${page}:${open.line} opens a code block that is never closed`);
  return blocks;
}

/** The name that a block gives itself among the modules of its page. */
export function fileOf({ flags }: CodeBlock): string | undefined {
  return flags.find((flag) => flag.startsWith("file="))?.slice("file=".length);
}
