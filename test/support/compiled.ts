/**
 * The sources as JavaScript, as a vitest globalSetup: a process that runs them is up in a third of the time that it takes
 * through tsx. They lie in a folder of their own as in the published package, with graphs/ and test/ beside src/, so that
 * `langgraph-resilience` means the same modules by name and by path.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** Holds `bin/lgr.js` and `dist/`. */
    readonly compiledFolder: string;
  }
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Each vitest project loads this file anew, so what they share hangs on the process. */
const sharedKey = Symbol.for("lgr.test-compiled");
interface Shared {
  users: number;
  readonly folder: string;
}
const holder = globalThis as { [sharedKey]?: Shared };

export default async function provideCompiled(project: TestProject): Promise<() => void> {
  if (holder[sharedKey] === undefined) {
    holder[sharedKey] = { users: 0, folder: mkdtempSync(join(tmpdir(), "lgr-compiled-")) };
    await compile(holder[sharedKey].folder);
  }
  const shared = holder[sharedKey];
  shared.users += 1;
  project.provide("compiledFolder", shared.folder);
  project.onTestsRerun(() => compile(shared.folder));
  return () => {
    shared.users -= 1;
    if (shared.users > 0) return;
    delete holder[sharedKey];
    rmSync(shared.folder, { recursive: true, force: true });
  };
}

/** The part of esbuild that is wanted here; tsx brings it, and compiles with it what runs uncompiled. */
interface Esbuild {
  build(options: object): Promise<unknown>;
}

async function compile(folder: string): Promise<void> {
  const ofTsx = createRequire(createRequire(import.meta.url).resolve("tsx/package.json"));
  const esbuild: Esbuild = ofTsx("esbuild");
  rmSync(folder, { recursive: true, force: true });
  const dist = join(folder, "dist");
  const files = filesToCompile();
  const entryPoints = files.filter((file) => file.endsWith(".ts"));
  await esbuild.build({
    entryPoints,
    outdir: dist,
    absWorkingDir: root,
    outbase: root,
    format: "esm",
    target: "node20",
  });
  for (const file of files.filter((other) => !other.endsWith(".ts"))) cpSync(join(root, file), join(dist, file));
  for (const file of files.filter((other) => other.endsWith("langgraph.json")))
    writeFileSync(join(dist, file), readFileSync(join(root, file), "utf8").replaceAll(".ts:", ".js:"));
  for (const path of ["package.json", "bin"]) cpSync(join(root, path), join(folder, path), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
}

/** All but the tests themselves. The one package.json that is left is the package's, whose name every file may import. */
function filesToCompile(): string[] {
  const files = ["src", "nodes", "graphs", "test"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name))),
  );
  const leftOut = /(\.test|\.d)\.ts$|(tsconfig|package)\.json$|(^|[\\/])\./;
  return ["langgraph.json", ...files.filter((file) => !leftOut.test(file))];
}
