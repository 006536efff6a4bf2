/**
 * The PostgreSQL that is measured: a server of this run's own in a temporary folder, with PostgreSQL's default durability
 * (fsync and synchronous_commit on), on loopback. DATABASE_URL names another one instead.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import pg from "pg";

/** Nothing here touches durability. No checkpoint is to fall into one contender's round and not into another's. */
const SETTINGS = [
  "fsync=on",
  "synchronous_commit=on",
  "max_connections=200",
  "checkpoint_timeout=1h",
  "max_wal_size=4GB",
];
const TMPFS = 0x01021994;

/**
 * @typedef {object} Server
 * @property {string} url
 * @property {string} description for the report; names no machine and no password
 * @property {() => Promise<void>} stop
 */

/**
 * @param {AbortSignal} signal
 * @returns {Promise<Server>}
 */
export async function startServer(signal) {
  const given = process.env.DATABASE_URL;
  if (given !== undefined && given !== "") {
    return { url: given, description: await describe(given, "the one in DATABASE_URL"), stop: async () => {} };
  }
  const binaries = findBinaries();
  if (binaries === undefined) {
    throw new Error("No PostgreSQL binaries found (initdb, postgres): install PostgreSQL or set DATABASE_URL");
  }
  const folder = mkdtempSync(join(tmpdir(), "lgr-bench-postgres-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const user = unprivilegedUser();
    if (user !== undefined) chownSync(folder, user.uid, user.gid);
    const data = join(folder, "data");
    // Detached: a Ctrl-C in the terminal reaches this process alone, which then stops the server in its turn.
    /** @type {import("node:child_process").SpawnOptions} */
    const asUser = { ...user, cwd: folder, stdio: ["ignore", "ignore", "pipe"], detached: true };
    const init = ["-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8"];
    await ended(spawn(join(binaries, "initdb"), init, asUser));
    const port = await freePort();
    const settings = [...SETTINGS, `unix_socket_directories=${folder}`].flatMap((setting) => ["-c", setting]);
    const args = ["-D", data, "-h", "127.0.0.1", "-p", String(port), ...settings];
    signal.throwIfAborted();
    const server = spawn(join(binaries, "postgres"), args, asUser);
    const killed = () => server.kill("SIGQUIT");
    process.once("exit", killed);
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    const stop = async () => {
      process.off("exit", killed);
      // SIGINT is PostgreSQL's fast shutdown.
      if (server.exitCode === null && server.kill("SIGINT")) await once(server, "exit");
      remove();
    };
    try {
      await accepting(server);
      const isRam = statfsSync(folder).type === TMPFS;
      const where = `of this run's own, ${isRam ? "IN MEMORY (tmpfs: fsync costs nothing there; set TMPDIR)" : "on disk"}`;
      return { url, description: await describe(url, where), stop };
    } catch (error) {
      await stop();
      throw error;
    }
  } catch (error) {
    remove();
    throw error;
  }
}

/** What a commit costs on this disk says more about the figures than the machine's name. */
async function describe(/** @type {string} */ url, /** @type {string} */ where) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const shown = async (/** @type {string} */ name) => (await client.query(`show ${name}`)).rows[0]?.[name];
    /** @type {number[]} */
    const times = [];
    for (let at = 0; at < 100; at += 1) {
      const began = performance.now();
      // Needs no table, is logged, and so makes its commit wait for the disk.
      await client.query("select pg_logical_emit_message(true, 'lgr-bench', 'commit')");
      times.push(performance.now() - began);
    }
    const median = times.toSorted((a, b) => a - b)[times.length / 2] ?? Number.NaN;
    return `PostgreSQL ${await shown("server_version")}, ${where}; fsync ${await shown("fsync")}, synchronous_commit ${await shown("synchronous_commit")}; a commit alone takes ${median.toFixed(2)} ms`;
  } finally {
    await client.end();
  }
}

function findBinaries() {
  const places = [bindirByPgConfig(), ...debianFolders(), ...(process.env.PATH ?? "").split(delimiter)];
  return places.find(
    (place) => place !== undefined && ["initdb", "postgres"].every((name) => existsSync(join(place, name))),
  );
}

function bindirByPgConfig() {
  try {
    return execFileSync("pg_config", ["--bindir"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}

function debianFolders() {
  const root = "/usr/lib/postgresql";
  if (!existsSync(root)) return [];
  const newestFirst = readdirSync(root).sort((a, b) => Number(b) - Number(a));
  return newestFirst.map((version) => join(root, version, "bin"));
}

/** PostgreSQL refuses to run as root. */
function unprivilegedUser() {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (/** @type {string} */ flag) =>
        Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: "pipe" }));
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // No user of that name here.
    }
  }
  throw new Error('PostgreSQL cannot run as root, and neither a user "postgres" nor "nobody" exists to run it as');
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("The system gave no port");
  return address.port;
}

/** @param {import("node:child_process").ChildProcess} initdb */
async function ended(initdb) {
  let said = "";
  initdb.stderr?.on("data", (/** @type {Buffer} */ chunk) => {
    said += chunk.toString();
  });
  const [code] = await once(initdb, "close");
  if (code !== 0) throw new Error(`initdb ended with code ${code}:\n${said}`);
}

/** @param {import("node:child_process").ChildProcess} server */
async function accepting(server) {
  let log = "";
  await new Promise((resolve, reject) => {
    server.stderr?.on("data", (/** @type {Buffer} */ chunk) => {
      // The log is read to its end all along, or the server would block on a full pipe.
      if (log.length < 20_000) log += chunk.toString();
      if (log.includes("database system is ready to accept connections")) resolve(undefined);
    });
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`PostgreSQL ended with code ${code}:\n${log}`)));
  });
}
