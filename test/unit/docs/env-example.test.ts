import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** The variables that are set by LangGraph's own tools, by tsx, or by a shell, and not ours to explain. */
const notOurs = new Set([
  "LANGGRAPH_CLI_NO_ANALYTICS",
  "LANGSMITH_TRACING",
  "TSX_TSCONFIG_PATH",
  "HOME",
  "PATH",
  "TERM",
  "CI",
  "NO_COLOR",
  "FORCE_COLOR",
]);

function variablesRead(): Map<string, string> {
  const found = new Map<string, string>();
  for (const folder of ["src", "nodes", "graphs"].filter((name) => existsSync(join(root, name)))) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".ts")) continue;
      const code = readFileSync(join(root, folder, name), "utf8");
      for (const [, dotted, quoted] of code.matchAll(/\benv(?:\.([A-Z][A-Z0-9_]+)|\["([A-Z][A-Z0-9_]+)"\])/g)) {
        found.set(dotted ?? quoted ?? "", `${folder}/${name}`);
      }
    }
  }
  return found;
}

it(".env.example explains every variable the code reads", () => {
  const example = readFileSync(join(root, ".env.example"), "utf8");
  const explained = new Set([...example.matchAll(/^#?\s?([A-Z][A-Z0-9_]+)=/gm)].map(([, name]) => name));
  const missing = [...variablesRead()].filter(([name]) => !explained.has(name) && !notOurs.has(name));
  expect(missing).toEqual([]);
});
