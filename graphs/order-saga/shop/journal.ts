/**
 * The shop's journal: a file of JSON lines that is only ever appended to, by any number of processes at once and without
 * a lock. That rests on two things: one small write to a file opened for appending is not mixed with another's on a local
 * file system (NFS does not promise it), and what counts is settled by the order of the lines, see books.ts.
 */
import { closeSync, fstatSync, fsyncSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** Makes a line that was torn off, by a full disk or a loss of power, unreadable for good: it must not come to count later. */
const SEAL = " #torn\n";

/**
 * Writes one line and returns when it is on the disk. Nothing waits in it, so that a process writes one after the other.
 *
 * @throws Error when the line could not be written as a whole; then it does not count
 */
export function appendLine(path: string, entry: object): void {
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, "a+");
  try {
    const line = Buffer.from(`${endsTorn(file) ? SEAL : ""}${JSON.stringify(entry)}\n`);
    const written = writeSync(file, line);
    if (written !== line.length)
      throw new Error(`${path}: only ${written} of ${line.length} bytes were written; is the disk full?`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** The lines that are whole, in their order, parsed. A torn one, also at the end, is passed over. */
export function readLines(path: string): unknown[] {
  const lines = textOf(path).split("\n");
  // What follows the last line break is being written, or never will be.
  return lines.slice(0, -1).flatMap((line) => {
    try {
      return [JSON.parse(line) as unknown];
    } catch {
      return [];
    }
  });
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

function endsTorn(file: number): boolean {
  const { size } = fstatSync(file);
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  readSync(file, last, 0, 1, size - 1);
  return last.toString() !== "\n";
}
