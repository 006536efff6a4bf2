/**
 * Puts this package's own command into node_modules/.bin of a clone, so that `npx lgr` runs it at once: npm links the
 * commands of dependencies only, and npx would first set up a copy of the package in its cache.
 * Runs as the `prepare` script: on `npm ci` and `npm install` in a clone, never for those who install the package.
 */
import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const modules = join(root, "node_modules");
if (existsSync(modules)) {
  const bin = join(modules, ".bin");
  mkdirSync(bin, { recursive: true });
  if (process.platform === "win32") {
    writeFileSync(join(bin, "lgr.cmd"), '@node "%~dp0\\..\\..\\bin\\lgr.js" %*\r\n');
  } else {
    const target = join(root, "bin", "lgr.js");
    chmodSync(target, 0o755);
    rmSync(join(bin, "lgr"), { force: true });
    symlinkSync("../../bin/lgr.js", join(bin, "lgr"));
  }
}
