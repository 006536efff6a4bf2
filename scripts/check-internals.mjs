/**
 * What dependency-cruiser cannot see: LangGraph's internals are touched in src/langgraph/internals.ts, attempt-internals.ts
 * and checkpoint-internals.ts alone, the system clock in src/core/clock.ts alone.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const rules = [
  {
    only: /^src\/langgraph\/(attempt-|checkpoint-)?internals\.ts$/,
    pattern: /["'`.]__pregel_|from ["']@langchain\/(langgraph|core)\/(pregel|dist)\b/,
    why: "touches LangGraph internals; go through src/langgraph/internals.ts, which has one test for each assumption",
  },
  {
    // a persistence reads them as data, in the tables that the checkpointer writes, and the suite for plugins checks that
    only: /^src\/langgraph\/(attempt-|checkpoint-)?internals\.ts$|^src\/(persistence|testing)\//,
    pattern: /["'`]__(interrupt|error|error_source_node|resume|no_writes|scheduled|return)__["'`]/,
    why: "names a reserved channel of LangGraph; go through src/langgraph/internals.ts",
  },
  {
    // an HTTP date is absolute, and errors/ imports nothing of ours
    only: /^src\/core\/clock\.ts$|^src\/errors\/retry-after\.ts$/,
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|\bset(Timeout|Interval)\(|["']node:timers/,
    why: "reads the system clock or sets a timer; take a Clock (src/core/clock.ts)",
  },
];

const root = fileURLToPath(new URL("..", import.meta.url));
const faults = [];
let files = 0;
for (const folder of ["src", "nodes"]) {
  for (const name of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
    if (!/\.tsx?$/.test(name)) continue;
    files++;
    const path = join(folder, name).split(sep).join("/");
    for (const [index, line] of readFileSync(join(root, path), "utf8").split("\n").entries()) {
      if (/^\s*(\/\/|\/?\*)/.test(line)) continue;
      for (const rule of rules) {
        if (!rule.only.test(path) && rule.pattern.test(line))
          faults.push(`${path}:${index + 1} ${rule.why}\n    ${line.trim()}`);
      }
    }
  }
}
if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exit(1);
}
console.log(`internals: ${files} files, each keeps to the seams`);
