/** What all parts stand on: databases of their own, and a payment server in a process of its own. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { bundle } from "../../test/crash/bundle.mjs";
import { onServer } from "../on-server.mjs";

/**
 * @typedef {object} World
 * @property {string} folder
 * @property {string} serverUrl a PostgreSQL on which databases may be created
 * @property {AbortSignal} signal
 * @property {(line: string) => void} progress
 */

/** @typedef {{ name: string, title: string, url: (world: World) => Promise<{ url: string, drop: () => Promise<void> }> }} Database */

/** @type {readonly Database[]} */
export const DATABASES = [
  { name: "postgres", title: "PostgreSQL", url: ({ serverUrl }) => createDatabase(serverUrl) },
  {
    name: "pglite",
    title: "PGlite (embedded)",
    url: async ({ folder }) => ({ url: `pglite:${join(folder, randomUUID())}`, drop: async () => {} }),
  },
];

/** @param {string} serverUrl */
export async function createDatabase(serverUrl) {
  const name = `lgr_bench_${randomUUID().replaceAll("-", "")}`;
  await onServer(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => onServer(serverUrl, `drop database if exists ${name} with (force)`) };
}

/**
 * The payment server of the tests, with its durable log.
 *
 * @param {World} world
 * @param {boolean} honoursKeys
 */
export async function startPayments({ folder }, honoursKeys) {
  const script = await compiled(new URL("../../test/support/payment-server.child.ts", import.meta.url), folder);
  const log = join(folder, `${randomUUID()}.log`);
  const server = spawn(process.execPath, [script, honoursKeys ? "honours-keys" : "does-them-again", log], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(server, "exit");
  const [url] = await Promise.race([
    once(createInterface(server.stdout), "line"),
    ended.then(([code]) => Promise.reject(new Error(`The payment server ended with exit code ${code}`))),
  ]);
  return {
    url: String(url),
    async close() {
      server.stdin.end();
      await ended;
    },
  };
}

/** @param {URL} script @param {string} folder @param {"bundled" | "installed"} [dependencies] */
export function compiled(script, folder, dependencies) {
  return bundle(fileURLToPath(script), folder, dependencies);
}

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}

/**
 * The smallest of the values that so many percent of them do not exceed.
 *
 * @param {readonly number[]} values
 * @param {number} percent above 0 to 100
 */
export function percentile(values, percent) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? Number.NaN;
}
