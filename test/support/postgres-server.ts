/**
 * A PostgreSQL server for one run of the tests, as a vitest globalSetup: on loopback, in a temporary folder, gone when
 * the run ends. DATABASE_URL names another server instead. Without binaries the tests that need one are left out, and
 * a line says so; with REQUIRE_POSTGRES=1 that is an error.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** Address of a server on which databases may be created; empty when there is none. */
    readonly postgresUrl: string;
  }
}

export interface PostgresServer {
  readonly url: string;
  /** Ends it as a crash would, whatever its clients are doing. */
  crash(): Promise<void>;
  /** Starts it again at the same address. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Each vitest project loads this file anew, so what they share hangs on the process. */
const sharedKey = Symbol.for("lgr.test-postgres");
interface Shared {
  users: number;
  server?: Promise<PostgresServer | undefined>;
}
const holder = globalThis as { [sharedKey]?: Shared };
holder[sharedKey] ??= { users: 0 };
const shared = holder[sharedKey];

async function stopWhenUnused(): Promise<void> {
  shared.users -= 1;
  if (shared.users > 0) return;
  const server = await shared.server;
  delete shared.server;
  await server?.stop();
}

export default async function provideServer({ provide }: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env.DATABASE_URL;
  if (given !== undefined && given !== "") {
    provide("postgresUrl", given);
    return undefined;
  }
  shared.users += 1;
  shared.server ??= startPostgres();
  const server = await shared.server;
  provide("postgresUrl", server?.url ?? "");
  if (server !== undefined) return stopWhenUnused;
  const message = "No PostgreSQL binaries found (initdb, postgres): tests that need a real PostgreSQL are left out";
  if (process.env.REQUIRE_POSTGRES === "1") throw new Error(`REQUIRE_POSTGRES=1, but: ${message}`);
  console.warn(`${message}. Install PostgreSQL or set DATABASE_URL to run them.`);
  return undefined;
}

/** @returns undefined when the binaries are missing */
export async function startPostgres(): Promise<PostgresServer | undefined> {
  const binaries = findBinaries();
  if (binaries === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "lgr-postgres-"));
  const user = unprivilegedUser();
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, "data");
  const asUser = { ...user, cwd: folder };
  try {
    const init = ["-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"];
    execFileSync(join(binaries, "initdb"), init, { ...asUser, stdio: "pipe" });
    const port = await freePort();
    // It outlives no machine: its own crashes leave what it has handed to the system.
    const settings = [
      "fsync=off",
      "full_page_writes=off",
      "max_connections=200",
      "log_min_messages=log",
      `unix_socket_directories=${folder}`,
    ];
    const args = ["-D", data, "-h", "127.0.0.1", "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])];
    const start = async () => {
      const started = spawn(join(binaries, "postgres"), args, { ...asUser, stdio: ["ignore", "ignore", "pipe"] });
      await accepting(started);
      return started;
    };
    let server = await start();
    /** SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one, after which it has to recover. */
    const end = async (signal: "SIGINT" | "SIGQUIT") => {
      if (server.exitCode === null && server.kill(signal)) await once(server, "exit");
    };
    return {
      url: `postgres://postgres@127.0.0.1:${port}/postgres`,
      crash: () => end("SIGQUIT"),
      async start() {
        server = await start();
      },
      async stop() {
        await end("SIGINT");
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Whether a test can have a server of its own, to be ended and started again. */
export function canStartPostgres(): boolean {
  return findBinaries() !== undefined;
}

function findBinaries(): string | undefined {
  const places = [bindirByPgConfig(), ...debianFolders(), ...(process.env.PATH ?? "").split(delimiter)];
  return places.find(
    (place) => place !== undefined && ["initdb", "postgres"].every((name) => existsSync(join(place, name))),
  );
}

function bindirByPgConfig(): string | undefined {
  try {
    return execFileSync("pg_config", ["--bindir"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}

function debianFolders(): string[] {
  const root = "/usr/lib/postgresql";
  if (!existsSync(root)) return [];
  const newestFirst = readdirSync(root).sort((a, b) => Number(b) - Number(a));
  return newestFirst.map((version) => join(root, version, "bin"));
}

/** PostgreSQL refuses to run as root. */
function unprivilegedUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (flag: string) => Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: "pipe" }));
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // No user of that name here.
    }
  }
  throw new Error('PostgreSQL cannot run as root, and neither a user "postgres" nor "nobody" exists to run it as');
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("The system gave no port");
  return address.port;
}

async function accepting(server: ChildProcess): Promise<void> {
  let log = "";
  await new Promise<void>((resolve, reject) => {
    server.stderr?.on("data", (chunk: Buffer) => {
      // The log is read to its end all along, or the server would block on a full pipe.
      if (log.length < 20_000) log += chunk.toString();
      if (log.includes("database system is ready to accept connections")) resolve();
    });
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`PostgreSQL ended with code ${code}:\n${log}`)));
  });
}
