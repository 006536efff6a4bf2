/**
 * Enters into package-lock.json the platform packages that npm left out of it, which it does where the registry at hand
 * does not carry them: without them `npm ci` refuses the lock file, on every platform. Run it after `npm install`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** @typedef {{ version?: string, dev?: boolean, peer?: boolean, optionalDependencies?: Record<string, string> } & Record<string, unknown>} Entry */

const path = fileURLToPath(new URL("../package-lock.json", import.meta.url));
const lock = JSON.parse(readFileSync(path, "utf8"));
/** @type {Record<string, Entry>} */
const packages = lock.packages;

const systems = ["android", "darwin", "freebsd", "linux", "openharmony", "win32"];
const processors = ["arm64", "arm", "ia32", "ppc64", "riscv64", "s390x", "wasm32", "x64"];
const added = [];
for (const [owner, entry] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (`${owner}/node_modules/${name}` in packages || `node_modules/${name}` in packages) continue;
    const words = (name.split("/").at(-1) ?? "").split("-");
    const os = systems.filter((system) => words.includes(system));
    const cpu = processors.filter((processor) => words.includes(processor));
    const libc = /-musl/.test(name) ? "musl" : /-linux-.*-gnu/.test(name) ? "glibc" : undefined;
    if ((os.length === 0 && cpu.length === 0) || !/^\d+\.\d+\.\d+$/.test(version)) {
      throw new Error(`${name}@${version}, wanted by ${owner}, is not in the lock file and names no platform`);
    }
    packages[`node_modules/${name}`] = {
      version,
      ...(cpu.length > 0 ? { cpu } : {}),
      ...(entry.dev === true ? { dev: true } : {}),
      ...(libc === undefined ? {} : { libc: [libc] }),
      optional: true,
      ...(os.length > 0 ? { os } : {}),
      ...(entry.peer === true ? { peer: true } : {}),
    };
    added.push(`${name}@${version}`);
  }
}
const names = Object.keys(packages).sort((a, b) => a.localeCompare(b, "en"));
lock.packages = Object.fromEntries(names.map((name) => [name, packages[name]]));
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
console.log(added.length === 0 ? "package-lock.json is complete" : `added ${added.join(", ")}`);
