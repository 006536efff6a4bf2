/**
 * Embedded databases by folder. One folder has one database in a process, shared by all who open it (a graph module and
 * the command line both may), and one process on the machine.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { importOptional } from "../core/optional-import.js";
import { ConfigError } from "../errors/own-errors.js";
import { acquireFolderLock } from "./folder-lock.js";
import { createPglitePool, nodePostgresParsers } from "./pglite-pool.js";
import type { SqlPool } from "./sql-pool.js";

interface SharedDatabase {
  users: number;
  readonly pool: Promise<SqlPool>;
  /** Set once the last user has gone; whoever opens the folder next waits for it. */
  closing?: Promise<void>;
}

/** On the global object, because a process may load this module twice (a bundle and its source, two package versions). */
const registryKey = Symbol.for("langgraph-resilience.pglite-folders");
const holder = globalThis as { [registryKey]?: Map<string, SharedDatabase> };
holder[registryKey] ??= new Map();
const registry = holder[registryKey];

/**
 * @throws OwnedElsewhereError when another process has the folder open
 * @throws ConfigError when it is no folder, or one that holds something else than a database
 */
export async function openFolder(folder: string): Promise<SqlPool> {
  const path = realPathOf(resolve(folder));
  let shared = registry.get(path);
  while (shared?.closing !== undefined) {
    await shared.closing.catch(() => {});
    shared = registry.get(path);
  }
  if (shared === undefined) {
    shared = { users: 0, pool: openDatabase(path) };
    registry.set(path, shared);
  }
  const mine = shared;
  mine.users += 1;
  try {
    const pool = await mine.pool;
    return { ...pool, end: once(() => leave(path, mine)) };
  } catch (error) {
    if (registry.get(path) === mine) registry.delete(path);
    throw error;
  }
}

export async function openInMemory(): Promise<SqlPool> {
  return startDatabase("memory://", async () => {});
}

async function leave(path: string, shared: SharedDatabase): Promise<void> {
  shared.users -= 1;
  if (shared.users > 0) return;
  shared.closing = shared.pool
    .then((pool) => pool.end())
    .finally(() => {
      if (registry.get(path) === shared) registry.delete(path);
    });
  await shared.closing;
}

async function openDatabase(path: string): Promise<SqlPool> {
  const unlock = await acquireFolderLock(path);
  try {
    if (existsSync(path)) refuseForeign(path);
    else mkdirSync(path, { mode: 0o700 });
    return await startDatabase(path, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

/** The one name that all who mean this folder agree on, before it exists, too. Makes what is above it. */
function realPathOf(folder: string): string {
  const blocking = [...above(folder)].reverse().find((path) => isThere(path) && !isFolder(path));
  if (blocking !== undefined) {
    const what =
      lstatSync(blocking).isSymbolicLink() && !existsSync(blocking) ? "a link to nothing" : "a file and no folder";
    throw new ConfigError(
      `The embedded Postgres keeps its data in a folder, and ${blocking} is ${what}; name another place, as in pglite:.lgr/pglite`,
    );
  }
  if (isThere(folder)) return realpathSync(folder);
  mkdirSync(dirname(folder), { recursive: true, mode: 0o700 });
  return join(realpathSync(dirname(folder)), basename(folder));
}

function* above(path: string): Generator<string> {
  yield path;
  if (dirname(path) !== path) yield* above(dirname(path));
}

/** Also for a symbolic link to nothing, which is in the way like a file. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** What a first start writes; one that was killed halfway leaves some of it, `pg_wal` first and no PG_VERSION yet. */
const databaseEntry = /^(pg_[a-z_]+(\.conf)?|base|global|postgresql(\.auto)?\.conf)$/;

function refuseForeign(path: string): void {
  const entries = readdirSync(path);
  if (entries.length === 0 || entries.includes("PG_VERSION")) return;
  if (entries.includes("pg_wal") && entries.every((entry) => databaseEntry.test(entry))) return;
  throw new ConfigError(
    `The folder ${path} is not empty and holds no database (no PG_VERSION in it), so nothing was changed; name a folder that is empty or yet to be made, as in pglite:${join(path, ".lgr/pglite")}`,
  );
}

async function startDatabase(dataDir: string, closed: () => void | Promise<void>): Promise<SqlPool> {
  const { PGlite } = await importOptional(() => import("@electric-sql/pglite"), "@electric-sql/pglite");
  const db = await PGlite.create(dataDir, { parsers: nodePostgresParsers });
  return createPglitePool(db, async () => {
    try {
      await db.close();
    } finally {
      await closed();
    }
  });
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= work();
    return done;
  };
}
