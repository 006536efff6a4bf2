/**
 * A script of the tests with all it imports in one file: a process that runs it is up in half the time that it takes to
 * load a thousand small ones.
 */
import { existsSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * @param {string} script path of a TypeScript file
 * @param {string} folder for what is made; may be one that was given before
 * @param {"bundled" | "installed"} dependencies whether it holds those too, or loads them as a user's program does
 * @returns {Promise<string>} what Node is to run
 */
export async function bundle(script, folder, dependencies = "bundled") {
  // tsx brings it.
  const esbuild = createRequire(createRequire(import.meta.url).resolve("tsx/package.json"))("esbuild");
  const outfile = join(folder, basename(script).replace(/\.ts$/, ".mjs"));
  await esbuild.build({
    entryPoints: [script],
    outfile,
    absWorkingDir: root,
    tsconfig: join(root, "tsconfig.json"),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    // What is CommonJS asks for Node's own modules by this.
    banner: {
      js: `import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);`,
    },
    // Of these some are not installed, and one reads files beside its own.
    external: ["@electric-sql/pglite", "pg-native", "pg-cloudflare"],
    ...(dependencies === "installed" ? { packages: "external" } : {}),
    logLevel: "error",
  });
  const modules = join(folder, "node_modules");
  if (!existsSync(modules)) symlinkSync(join(root, "node_modules"), modules, "junction");
  return outfile;
}
