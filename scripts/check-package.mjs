/**
 * Is the package fit to publish? Builds it, checks that `exports` and the entry files name each other, and asks publint
 * and "are the types wrong" about the packed result.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** @type {string[]} */
const faults = [];
const subpaths = Object.keys(manifest.exports).filter((subpath) => subpath !== "./package.json");
for (const subpath of subpaths) {
  const source = manifest.exports[subpath].default.replace("./dist/", "").replace(/\.js$/, ".ts");
  if (!existsSync(join(root, source))) faults.push(`exports["${subpath}"] stands for ${source}, which does not exist`);
}
for (const file of readdirSync(join(root, "src/entries"))) {
  const subpath = `./${file.replace(/\.ts$/, "")}`;
  if (!subpaths.includes(subpath))
    faults.push(`src/entries/${file} is not reachable: add exports["${subpath}"] to package.json`);
}
if (faults.length > 0) fail(faults.join("\n"));

const folder = mkdtempSync(join(tmpdir(), "lgr-package-"));
try {
  // prepack builds; what comes before the JSON is its output
  const packed = run("npm", ["pack", "--json", "--pack-destination", folder]);
  const [tarball] = readdirSync(folder);
  if (tarball === undefined) fail(`npm pack left no tarball:\n${packed}`);
  const path = join(folder, /** @type {string} */ (tarball));
  run("npx", ["--no-install", "publint", "run", path, "--strict"]);
  run("npx", ["--no-install", "attw", path, "--profile", "esm-only"]);
  console.log(`package: ${subpaths.length} entry points, publint and attw found nothing`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const done = spawnSync(command, args, { cwd: root, encoding: "utf8", shell: process.platform === "win32" });
  if (done.status !== 0) fail(`${command} ${args.join(" ")}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(message);
  process.exit(1);
}
