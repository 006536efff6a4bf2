/** Scripts of the tests (`….child.ts`), each to run in a process of its own. */
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const compiled = inject("compiledFolder");

/** What Node is to be given to run a TypeScript file: it as compiled, or, in a project that compiles nothing, tsx. */
export function toRun(script: URL): readonly string[] {
  const path = fileURLToPath(script);
  if (!compiled) return ["--import", "tsx", path];
  return [join(compiled, "dist", relative(root, path)).replace(/\.ts$/, ".js")];
}
