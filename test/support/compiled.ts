/**
 * The sources as JavaScript, as a vitest globalSetup: a process that runs them is up in a sixth of the time that it takes
 * through tsx. They lie in a folder of their own as in the published package, with graphs/ and test/ beside src/. What is
 * started or loaded by its path is where it was; what those share, LangChain above all, is joined into a few large files,
 * since half of a start goes by in opening a thousand small ones.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
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

interface Asked {
  readonly path: string;
  readonly importer: string;
  readonly kind: string;
}
interface Build {
  onResolve(filter: { readonly filter: RegExp }, resolve: (asked: Asked) => object | undefined): void;
}

/** What nearly every process loads; of all else the one that is installed. */
const bundled =
  /^(@langchain\/(core|langgraph|langgraph-checkpoint|langgraph-checkpoint-postgres|openai)|langchain|zod|pg|commander|eventsource-parser)(\/|$)/;

/** Names files beside it. */
const startsOwnFiles = (file: string) => readFileSync(file, "utf8").includes("import.meta");

/** Is loaded by its path and not by an import; the rest is in what imports it. */
const isStarted = (file: string) =>
  /(^|[\\/])((main|graph|start|isolated-worker|isolated-start|.+\.child)\.ts|isolated[\\/][^\\/]+)$/.test(file) ||
  startsOwnFiles(join(root, file));

/** Leaves alone what is named by its own address, and the packages but for those above. */
const keptApart = (dist: string) => ({
  name: "kept-apart",
  setup(build: Build) {
    build.onResolve({ filter: /./ }, ({ path, importer, kind }) => {
      if (kind === "entry-point" || importer.includes("node_modules")) return undefined;
      if (path.startsWith(".")) {
        const source = join(dirname(importer), path).replace(/\.js$/, ".ts");
        if (!startsOwnFiles(source)) return undefined;
        const made = join(dist, relative(root, source)).replace(/\.ts$/, ".js");
        return { path: pathToFileURL(made).href, external: true };
      }
      const isOurs = /^langgraph-resilience(\/|$)/.test(path);
      return isOurs || bundled.test(path) ? undefined : { path, external: true };
    });
  },
});

async function compile(folder: string): Promise<void> {
  const ofTsx = createRequire(createRequire(import.meta.url).resolve("tsx/package.json"));
  const esbuild: Esbuild = ofTsx("esbuild");
  rmSync(folder, { recursive: true, force: true });
  const dist = join(folder, "dist");
  const files = filesToCompile();
  const sources = files.filter((file) => file.endsWith(".ts"));
  const options = {
    outdir: dist,
    absWorkingDir: root,
    outbase: root,
    format: "esm",
    target: "node20",
    tsconfig: join(root, "tsconfig.json"),
    logLevel: "silent",
  };
  const joined = {
    ...options,
    entryPoints: sources.filter(isStarted),
    platform: "node",
    bundle: true,
    splitting: true,
    chunkNames: "shared/[hash]",
    plugins: [keptApart(dist)],
    // What is CommonJS asks for Node's own modules by this.
    banner: {
      js: `import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);`,
    },
    external: ["pg-native", "pg-cloudflare"],
  };
  // Where a file lacks what another one imports of it, only the tests fail that load the two.
  await esbuild.build(joined).catch((error: Error) => {
    console.warn(`What the tests start is compiled file by file, and starts slowly: ${error.message.slice(0, 500)}`);
    return esbuild.build({ ...options, logLevel: "error", entryPoints: sources });
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
