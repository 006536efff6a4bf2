/**
 * Installs the lowest versions that our peer ranges allow into a copy of the project, compiles the library against their
 * types and runs the unit and property tests there. Needs the registry; part of .ci/run, not of `npm test`.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const copy = mkdtempSync(join(tmpdir(), "lgr-lowest-"));
process.on("exit", () => rmSync(copy, { recursive: true, force: true }));

const files = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root });
for (const file of files.toString().split("\0").filter(Boolean)) {
  if (existsSync(join(root, file))) cpSync(join(root, file), join(copy, file));
}

const path = join(copy, "package.json");
const manifest = JSON.parse(readFileSync(path, "utf8"));
/** @type {Record<string, string>} */
const lowest = Object.fromEntries(
  Object.entries(/** @type {Record<string, string>} */ (manifest.peerDependencies)).map(([name, range]) => {
    const version = /^\^(\d+\.\d+\.\d+)$/.exec(range)?.[1];
    if (version === undefined) throw new Error(`peerDependencies["${name}"] is "${range}"; write it as ^x.y.z`);
    return [name, version];
  }),
);
// the dev server and the SDK client follow the newest LangGraph, and no unit test needs them
for (const name of ["@langchain/langgraph-api", "@langchain/langgraph-cli", "@langchain/langgraph-sdk"]) {
  delete manifest.devDependencies[name];
  delete manifest.peerDependencies[name];
  delete manifest.overrides?.[name];
  delete lowest[name];
}
Object.assign(manifest.devDependencies, lowest);
// nothing else may pull in a newer copy beside the lowest one
Object.assign(manifest.overrides, Object.fromEntries(Object.keys(lowest).map((name) => [name, `$${name}`])));
writeFileSync(path, JSON.stringify(manifest, null, 2));
rmSync(join(copy, "package-lock.json"), { force: true });

console.log(
  `lowest peers: ${Object.entries(lowest)
    .map(([name, version]) => `${name}@${version}`)
    .join(" ")}`,
);
run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]);
for (const [name, version] of Object.entries(lowest)) {
  const installed = JSON.parse(readFileSync(join(copy, "node_modules", name, "package.json"), "utf8")).version;
  if (installed !== version) throw new Error(`${name}: asked for ${version}, got ${installed}`);
}
run("npx", ["--no-install", "tsc", "-p", "tsconfig.build.json", "--noEmit"]);
run("npx", [
  "--no-install",
  "vitest",
  "run",
  "--project",
  "unit",
  "--project",
  "property",
  "--exclude",
  "test/unit/docs/**",
]);

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const done = spawnSync(command, args, { cwd: copy, stdio: "inherit", shell: process.platform === "win32" });
  if (done.status !== 0) process.exit(done.status ?? 1);
}
