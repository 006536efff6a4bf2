/**
 * One process per data folder. Two embedded databases on one folder corrupt it without any error, so the owner writes
 * its identity into `<folder>.lock`, a file that only one process can create. The lock of a process that died is taken
 * over; the file lies beside the folder because the database wants the folder for itself.
 */
import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { systemClock } from "../core/clock.js";
import { OwnedElsewhereError } from "../errors/own-errors.js";
import { isRunning, processIdentity, processIdentitySchema } from "./process-identity.js";

const ownerSchema = processIdentitySchema.extend({ nonce: z.string(), command: z.string(), since: z.string() });
type Owner = z.output<typeof ownerSchema>;

/** A lock file without an owner in it is one whose owner is writing this very moment, or died then. */
const unreadableTries = 20;
const unreadableWaitMs = 25;

/**
 * @returns a function that gives the folder up; the end of the process does so, too
 * @throws OwnedElsewhereError naming the process that has it
 */
export async function acquireFolderLock(folder: string): Promise<() => void> {
  const file = `${folder}.lock`;
  const mine: Owner = {
    ...processIdentity(),
    nonce: randomUUID(),
    command: process.argv.slice(1).join(" ") || process.title,
    since: new Date(systemClock.now()).toISOString(),
  };
  for (let unreadable = 0; ; ) {
    if (created(file, mine) && readOwner(file)?.nonce === mine.nonce) break;
    const owner = readOwner(file);
    if (owner === undefined && unreadable < unreadableTries) {
      unreadable += 1;
      await systemClock.sleep(unreadableWaitMs);
      continue;
    }
    if (owner !== undefined && isRunning(owner)) throw ownedElsewhere(folder, file, owner);
    removeStale(file, owner?.nonce);
  }
  const release = () => {
    process.off("exit", release);
    if (readOwner(file)?.nonce === mine.nonce) rmSync(file, { force: true });
  };
  process.on("exit", release);
  return release;
}

function created(file: string, owner: Owner): boolean {
  try {
    writeFileSync(file, `${JSON.stringify(owner)}\n`, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === "EEXIST") return false;
    throw error;
  }
}

function readOwner(file: string): Owner | undefined {
  try {
    return ownerSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    // Missing, empty or half-written: no owner that can be named.
    return undefined;
  }
}

/**
 * Renaming gives the stale file to one of several processes that want it. Should another one have replaced it in
 * between, its lock is put back.
 */
function removeStale(file: string, staleNonce: string | undefined): void {
  const aside = `${file}.${randomUUID()}`;
  try {
    if (readOwner(file)?.nonce !== staleNonce) return;
    renameSync(file, aside);
    const taken = readOwner(aside);
    if (taken !== undefined && taken.nonce !== staleNonce) linkSync(aside, file);
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code !== "ENOENT" && code !== "EEXIST") throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function ownedElsewhere(folder: string, file: string, owner: Owner): OwnedElsewhereError {
  const here = processIdentity();
  const whoElse = owner.pid === here.pid && owner.host === here.host ? "another thread of this process, " : "";
  const elsewhere =
    owner.host === here.host
      ? ""
      : ` It runs on host "${owner.host}", not here; if it is gone for good, delete ${file}.`;
  return new OwnedElsewhereError(
    `The data folder ${folder} is in use by ${whoElse}process ${owner.pid} (${owner.command}) since ${owner.since}, and an embedded Postgres has one owner at a time. Stop that process, or set DATABASE_URL to a PostgreSQL server, which many processes can share.${elsewhere}`,
    { details: { folder, pid: owner.pid, command: owner.command, since: owner.since, host: owner.host } },
  );
}
