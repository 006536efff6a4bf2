/**
 * The lock of a data folder when starters overtake each other. Other processes are played by calls from inside the
 * file system calls of the first: before the nth of them a second starter runs, before a later one a third.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { processIdentity } from "../../../src/core/process-identity.js";

const { beforeCall } = vi.hoisted(() => ({ beforeCall: { hook: (_path: string): void => {} } }));

vi.mock("node:fs", async (importOriginal) => {
  const real = await importOriginal<typeof import("node:fs")>();
  // Files that no one else knows of need no race.
  const ownFile = /\.[0-9a-f]{8}-[0-9a-f-]{27}$/;
  const intercepted = Object.entries(real).map(([name, value]) => [
    name,
    typeof value !== "function" || !name.endsWith("Sync")
      ? value
      : (...args: unknown[]) => {
          const [path] = args;
          if (typeof path === "string" && !(ownFile.test(path) && /^(write|rm)/.test(name))) beforeCall.hook(path);
          return (value as (...args: unknown[]) => unknown)(...args);
        },
  ]);
  return Object.fromEntries(intercepted);
});

// Files before this one have loaded the lock with the real file system in this process, and files after it want that.
let acquireFolderLock: typeof import("../../../src/persistence/folder-lock.js").acquireFolderLock;
beforeAll(async () => {
  vi.resetModules();
  ({ acquireFolderLock } = await import("../../../src/persistence/folder-lock.js"));
});
afterAll(() => {
  vi.doUnmock("node:fs");
  vi.resetModules();
});

let parent: string;
const maxListeners = process.getMaxListeners();
beforeEach(() => {
  process.setMaxListeners(0);
  parent = mkdtempSync(join(tmpdir(), "lgr-race-"));
});
afterEach(() => {
  beforeCall.hook = () => {};
  process.setMaxListeners(maxListeners);
  rmSync(parent, { recursive: true, force: true });
});

const stale = { ...processIdentity(), startedAt: "another boot 1", command: "lgr run", since: "2026-01-01" };

/** Starts one, then a second before the nth call on the folder's files, then a third before the mth. */
function race(name: string, leftBehind: readonly string[], nth: number, mth: number) {
  const folder = join(parent, name);
  writeFileSync(`${folder}.lock`, JSON.stringify({ ...stale, nonce: "lock" }));
  for (const nonce of leftBehind) {
    writeFileSync(`${folder}.lock.takeover-${nonce}`, JSON.stringify({ ...stale, nonce: `after-${nonce}` }));
  }
  const starters: Promise<() => void>[] = [];
  const start = () => {
    const starter = acquireFolderLock(folder);
    starter.catch(() => {});
    starters.push(starter);
  };
  let calls = 0;
  beforeCall.hook = (path) => {
    if (!path.startsWith(`${folder}.`)) return;
    calls += 1;
    const call = calls;
    if (call === nth) start();
    if (call === mth) start();
  };
  starters.unshift(acquireFolderLock(folder));
  starters[0]?.catch(() => {});
  beforeCall.hook = () => {};
  return { calls, outcome: Promise.allSettled(starters) };
}

it.each([
  ["a lock left behind", [], 1],
  ["a lock and a takeover left behind", ["lock"], 4],
])("has one owner wherever three starters on %s overtake each other", async (_, leftBehind, stride) => {
  const outcomes: Promise<string>[] = [];
  for (let nth = 1, reached = true; reached; nth += 1) {
    reached = false;
    for (let mth = nth + 1 + (nth % stride), more = true; more; mth += stride) {
      const { calls, outcome } = race(`${nth}-${mth}`, leftBehind, nth, mth);
      more = mth <= calls;
      reached ||= nth <= calls;
      outcomes.push(
        outcome.then((starters) => {
          const winners = starters.filter((starter) => starter.status === "fulfilled");
          for (const winner of winners) winner.value();
          return `${nth}-${mth}: ${winners.length} owner(s)`;
        }),
      );
    }
  }
  const results = await Promise.all(outcomes);
  expect(results.length).toBeGreaterThan(40);
  expect(results.filter((result) => !result.endsWith(": 1 owner(s)"))).toEqual([]);
  expect(readdirSync(parent)).toEqual([]);
});
