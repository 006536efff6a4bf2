import ts from "typescript";
import { type CodeBlock, fileOf } from "./code-blocks.js";

/** What of a page is run as one module, and what it is shown to print. */
export interface Example {
  /** `docs/rungs.md:31` */
  readonly where: string;
  readonly code: string;
  /** The `text` block right after it; "" where there is none. */
  readonly prints: string;
  /** Modules of the same page that it may name by file. */
  readonly files: ReadonlyMap<string, string>;
}

const isTypeScript = ({ language }: CodeBlock) => /^(ts|typescript)$/.test(language);

/** @param isRun whether a block that begins an example is to be run */
export function examplesIn(blocks: readonly CodeBlock[], isRun: (block: CodeBlock) => boolean): Example[] {
  const files = new Map(
    blocks.flatMap((block) => {
      const file = fileOf(block);
      return file === undefined ? [] : [[file, block.code] as const];
    }),
  );
  const examples: Example[] = [];
  let current: { where: string; code: string; prints: string; files: typeof files } | undefined;
  for (const block of blocks) {
    const { page, line, language, flags, code } = block;
    if (isTypeScript(block) && flags.includes("continued")) {
      if (current !== undefined) current.code += `\n${code}`;
    } else if (isTypeScript(block) && fileOf(block) === undefined && isRun(block)) {
      current = { where: `${page}:${line}`, code, prints: "", files };
      examples.push(current);
    } else {
      if (language === "text" && current !== undefined) current.prints = code;
      current = undefined;
    }
  }
  return examples;
}

type Exports = Readonly<Record<string, unknown>>;

/** What TypeScript makes of a module for `System`: the one of its formats that may wait at the top level. */
interface SystemModule {
  readonly setters: readonly ((imported: Exports) => void)[];
  execute(): unknown;
}

/**
 * Runs TypeScript as a module.
 *
 * @param url what `import.meta.url` is in it
 * @param load what its imports are resolved by
 */
export async function runModule(code: string, url: string, load: (specifier: string) => Promise<Exports>) {
  const { outputText } = ts.transpileModule(`${code}\nexport {};`, {
    compilerOptions: { module: ts.ModuleKind.System, target: ts.ScriptTarget.ES2022 },
  });
  let registered: { specifiers: readonly string[]; declare: (...given: unknown[]) => SystemModule } | undefined;
  const register = (specifiers: readonly string[], declare: (...given: unknown[]) => SystemModule) => {
    registered = { specifiers, declare };
  };
  new Function("System", outputText)({ register });
  if (registered === undefined) throw new Error("TypeScript made no module of it");
  const { specifiers, declare } = registered;
  const imports = await Promise.all(specifiers.map(load));
  const { setters, execute } = declare((_: string, value: unknown) => value, { meta: { url } });
  for (const [index, imported] of imports.entries()) setters[index]?.(imported);
  await execute();
}
