import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { type CodeBlock, fileOf } from "./code-blocks.js";

/**
 * Type-checks the TypeScript blocks of the pages as one program against the sources, each block a module of its own.
 *
 * @param root the package, whose tsconfig.json holds
 * @param ambient path of the declarations of what the prose takes for given, such as the reader's own `payments`
 * @returns one line an error: `README.md:31 Cannot find name 'paymets'.`
 */
export function typeCheckBlocks(root: string, blocks: readonly CodeBlock[], ambient: string): string[] {
  const parsed = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(root, "tsconfig.json"), (path) => readFileSync(path, "utf8")).config,
    { ...ts.sys, readDirectory: () => [] },
    root,
  );
  const modules = modulesOf(root, blocks);
  const options = { ...parsed.options, noEmit: true, noUnusedLocals: false };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => modules.has(path) || fileExists.call(host, path);
  host.readFile = (path) => modules.get(path)?.text ?? readFile.call(host, path);
  host.getSourceFile = (path, language, ...rest) => {
    const module = modules.get(path);
    if (module !== undefined) return ts.createSourceFile(path, module.text, language);
    return getSourceFile.call(host, path, language, ...rest);
  };
  const program = ts.createProgram([...modules.keys(), ambient], options, host);
  const errors: string[] = [];
  for (const [path, module] of modules) {
    const file = program.getSourceFile(path);
    for (const { start, messageText } of ts.getPreEmitDiagnostics(program, file)) {
      const line = file === undefined || start === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line;
      const message = ts.flattenDiagnosticMessageText(messageText, " ");
      errors.push(`${module.page}:${module.lines[line] ?? "?"} ${message}`);
    }
  }
  return errors;
}

interface Module {
  readonly page: string;
  readonly text: string;
  /** For each line of the text, the line of the page. */
  readonly lines: readonly number[];
}

function modulesOf(root: string, blocks: readonly CodeBlock[]): Map<string, Module> {
  const modules = new Map<string, Module>();
  let current: { page: string; path: string; text: string; lines: number[] } | undefined;
  for (const block of blocks) {
    const code = block.code.split("\n");
    const lines = code.map((_, index) => block.line + 1 + index);
    if (block.flags.includes("continued") && current?.page === block.page) {
      current.text += `${block.code}\n`;
      current.lines.push(...lines);
    } else {
      const name = fileOf(block) ?? `${block.page.replace(/[^\w]+/g, "-")}-line-${block.line}.ts`;
      current = { page: block.page, path: join(root, name), text: `${block.code}\n`, lines };
    }
    modules.set(current.path, { ...current, text: `${current.text}export {};\n` });
  }
  return modules;
}
