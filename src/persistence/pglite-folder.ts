/**
 * Embedded databases by folder. One folder has one database in a process, shared by all who open it (a graph module and
 * the command line both may), and one process on the machine.
 */
import { chmodSync, mkdirSync, realpathSync } from "node:fs";
import { acquireFolderLock } from "./folder-lock.js";
import { importOptional } from "./optional-import.js";
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

/** @throws OwnedElsewhereError when another process has the folder open */
export async function openFolder(folder: string): Promise<SqlPool> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = realpathSync(folder);
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
  chmodSync(path, 0o700);
  const unlock = await acquireFolderLock(path);
  try {
    return await startDatabase(path, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
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
