/** A database of its own for each test file, and a folder of its own for each embedded one. */
import { randomUUID } from "node:crypto";
import { constants, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { describe, inject } from "vitest";
import { thorough } from "./depth.js";

const serverUrl = inject("postgresUrl");

/** `describe` for tests that need a real PostgreSQL; left out where there is none. */
export const describeOnPostgres = describe.skipIf(!serverUrl);
/** The same for what is left out by default. */
export const describeThoroughlyOnPostgres = describe.skipIf(!serverUrl || !thorough);
export const hasPostgres = serverUrl !== "";

export interface TestDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** An empty database; `drop()` ends whatever is still connected to it. */
export async function createDatabase(): Promise<TestDatabase> {
  const name = `lgr_test_${randomUUID().replaceAll("-", "")}`;
  await onServer(`create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => onServer(`drop database if exists ${name} with (force)`) };
}

/** Terminates every connection to the database but the one that asks. */
export async function terminateConnections(url: string): Promise<void> {
  await onServer("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [
    new URL(url).pathname.slice(1),
  ]);
}

async function onServer(sql: string, values?: unknown[]): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(sql, values);
  } finally {
    await client.end();
  }
}

export interface TestFolder {
  readonly path: string;
  remove(): void;
}

export function createFolder(): TestFolder {
  const path = mkdtempSync(join(tmpdir(), "lgr-test-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Of an embedded database in a folder that is yet to be made, past its first start, which takes seconds. */
export function embeddedAt(path: string): string {
  cpSync(inject("embeddedTemplate"), path, { recursive: true, mode: constants.COPYFILE_FICLONE });
  return `pglite:${path}`;
}
