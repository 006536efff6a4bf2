/**
 * One process per data folder. Two embedded databases on one folder corrupt it without any error, so the owner writes
 * its identity into `<folder>.lock`, a file that only one process can create. The lock of a process that died is taken
 * over; the file lies beside the folder because the database wants the folder for itself.
 *
 * Nothing can delete a file on the condition that it is still the one that was read, and between the two another
 * starter may have taken it over. So a lock left behind is only ever deleted by whoever holds the takeover of that very
 * lock: a second file of the same kind, `<folder>.lock.takeover-<nonce of the lock>`. Nonces do not come again, so
 * while the holder lives, the lock it has read again is the lock it deletes. Should it die, its own file is left
 * behind, and is cleared in the same way under its own nonce.
 */
import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { systemClock } from "../core/clock.js";
import { isRunning, isVisible, processIdentity, processIdentitySchema } from "../core/process-identity.js";
import { redactText } from "../core/redact.js";
import { OwnedElsewhereError } from "../errors/own-errors.js";

/** Command lines hold whole documents at times, and passwords. */
const maxCommandLength = 100;

const ownerSchema = processIdentitySchema.extend({
  /** Becomes part of a file name. */
  nonce: z.string().regex(/^[\w-]{1,64}$/),
  command: z.string().transform(presentable),
  since: z.string(),
});
type Owner = z.output<typeof ownerSchema>;

/** What a lock file says: who holds it, or that no owner can be read from it. */
type Found =
  | { readonly kind: "none" }
  | { readonly kind: "owned"; readonly nonce: string; readonly owner: Owner }
  | { readonly kind: "unreadable"; readonly nonce: string };

/** What keeps a starter from the lock: a process that runs, or a file that may be just being written. */
interface Obstacle {
  readonly file: string;
  readonly owner?: Owner;
}

/** Waits before a file without an owner in it counts as left behind, and a takeover by another process as stuck. */
const maxWaits = 40;
const waitMs = 25;

/**
 * @param folder its real path; it need not exist, its parent must
 * @returns a function that gives the folder up; the end of the process does so, too
 * @throws OwnedElsewhereError naming the process that has it
 */
export async function acquireFolderLock(folder: string): Promise<() => void> {
  const lock = `${folder}.lock`;
  const mine: Owner = {
    ...processIdentity(),
    nonce: randomUUID(),
    command: presentable(process.argv.slice(1).join(" ") || process.title),
    since: new Date(systemClock.now()).toISOString(),
  };
  for (let waits = 0; !created(lock, mine); ) {
    const patient = waits < maxWaits;
    const obstacle = clear(lock, lock, mine, patient);
    if (obstacle === undefined) continue;
    const { file, owner } = obstacle;
    if (owner !== undefined && (file === lock || !patient)) throw ownedElsewhere(folder, file, owner);
    waits += 1;
    await systemClock.sleep(waitMs);
  }
  const release = () => {
    process.off("exit", release);
    removeOwn(lock, mine);
  };
  process.on("exit", release);
  return release;
}

/**
 * Deletes `file` if it was left behind; what tells that is read again once the takeover is held.
 *
 * @param lock the lock itself, where `file` may be a takeover of it
 * @param patient whether a file without an owner in it may still get one
 * @returns what is in the way, if anything is
 */
function clear(lock: string, file: string, mine: Owner, patient: boolean): Obstacle | undefined {
  const found = read(file);
  if (found.kind === "none") return undefined;
  if (found.kind === "owned" && isRunning(found.owner)) return { file, owner: found.owner };
  if (found.kind === "unreadable" && patient) return { file };
  const takeover = `${lock}.takeover-${found.nonce}`;
  if (!created(takeover, mine)) return clear(lock, takeover, mine, patient);
  try {
    const now = read(file);
    if (now.kind === found.kind && now.nonce === found.nonce) rmSync(file, { force: true });
  } finally {
    removeOwn(takeover, mine);
  }
  return undefined;
}

/** @returns whether `file` is there now with `owner` in it; false when there is one already */
function created(file: string, owner: Owner): boolean {
  const text = `${JSON.stringify(owner)}\n`;
  const draft = `${file}.${randomUUID()}`;
  try {
    // A link puts the file there with all that is in it: no one ever sees it half-written.
    writeFileSync(draft, text, { flag: "wx", mode: 0o600 });
    linkSync(draft, file);
  } catch (error) {
    const { code, syscall } = error as { code?: unknown; syscall?: unknown };
    if (syscall !== "link") throw error;
    if (code !== "EEXIST" && !createdInPlace(file, text)) return false;
  } finally {
    rmSync(draft, { force: true });
  }
  const found = read(file);
  return found.kind === "owned" && found.nonce === owner.nonce;
}

/** For file systems without hard links; who finds the file empty gives its writer {@link maxWaits} to finish. */
function createdInPlace(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === "EEXIST") return false;
    throw error;
  }
}

function read(file: string): Found {
  try {
    const { ino, mtimeNs } = statSync(file, { bigint: true });
    const owner = parseOwner(readFileSync(file, "utf8"));
    return owner === undefined
      ? { kind: "unreadable", nonce: `${ino}-${mtimeNs}` }
      : { kind: "owned", nonce: owner.nonce, owner };
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return { kind: "none" };
    throw error;
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    // Empty or half-written: no owner that can be named.
    return undefined;
  }
}

function removeOwn(file: string, mine: Owner): void {
  const found = read(file);
  if (found.kind === "owned" && found.nonce === mine.nonce) rmSync(file, { force: true });
}

function presentable(command: string): string {
  const line = redactText(command).replace(/\s+/g, " ").trim();
  return line.length <= maxCommandLength ? line : `${line.slice(0, maxCommandLength - 1)}…`;
}

function ownedElsewhere(folder: string, file: string, owner: Owner): OwnedElsewhereError {
  const here = processIdentity();
  const visible = isVisible(owner);
  const whoElse = visible && owner.pid === here.pid ? "another thread of this process, " : "";
  const place = owner.host === here.host ? "in another container (PID namespace)" : `on host "${owner.host}"`;
  const elsewhere = visible
    ? ""
    : ` It runs ${place}, where it cannot be seen from here; if you are sure that it is gone, delete ${file}.`;
  return new OwnedElsewhereError(
    `The data folder ${folder} is in use by ${whoElse}process ${owner.pid} (${owner.command}) since ${owner.since}, and an embedded Postgres has one owner at a time. Stop that process, or set DATABASE_URL to a PostgreSQL server, which many processes can share.${elsewhere}`,
    { details: { folder, pid: owner.pid, command: owner.command, since: owner.since, host: owner.host } },
  );
}
