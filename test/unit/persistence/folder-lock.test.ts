import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { acquireFolderLock } from "../../../src/persistence/folder-lock.js";
import { isRunning, processIdentity } from "../../../src/persistence/process-identity.js";

describe("the lock of a data folder", () => {
  let parent: string;
  let folder: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "lgr-lock-"));
    folder = join(parent, "data");
  });
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  const leaveLock = (owner: object) => {
    const rest = { host: hostname(), nonce: "n", command: "lgr run q3", since: "2026-01-01T00:00:00.000Z" };
    writeFileSync(`${folder}.lock`, JSON.stringify({ ...rest, ...owner }));
  };

  it("is held until it is given up", async () => {
    const unlock = await acquireFolderLock(folder);
    await expect(acquireFolderLock(folder)).rejects.toMatchObject({ code: "OWNED_ELSEWHERE" });
    unlock();
    expect(existsSync(`${folder}.lock`)).toBe(false);
    (await acquireFolderLock(folder))();
  });

  it("names its owner to whoever else wants it", async () => {
    const unlock = await acquireFolderLock(folder);
    leaveLock({ ...processIdentity() });
    await expect(acquireFolderLock(folder)).rejects.toMatchObject({
      message: expect.stringContaining(`process ${process.pid} (lgr run q3) since 2026-01-01T00:00:00.000Z`),
      details: { folder, pid: process.pid, command: "lgr run q3" },
    });
    unlock();
  });

  it("is not given up by one who no longer holds it", async () => {
    const unlock = await acquireFolderLock(folder);
    leaveLock({ ...processIdentity(), nonce: "another" });
    unlock();
    expect(existsSync(`${folder}.lock`)).toBe(true);
  });

  it.each([
    ["a process that has ended", { pid: spawnSync(process.execPath, ["-e", ""]).pid, startedAt: "gone" }],
    ["another process that had the same number", { pid: process.pid, startedAt: "another boot 1" }],
  ])("is taken over from %s", async (_, owner) => {
    leaveLock(owner);
    const unlock = await acquireFolderLock(folder);
    expect(JSON.parse(readFileSync(`${folder}.lock`, "utf8"))).toMatchObject({ pid: process.pid });
    unlock();
    expect(readdirSync(parent)).toEqual([]);
  });

  it("is taken over when the file names no owner", async () => {
    writeFileSync(`${folder}.lock`, "{");
    (await acquireFolderLock(folder))();
  });

  it("is not taken from another host, whose processes cannot be looked at", async () => {
    leaveLock({ pid: 1, host: "elsewhere" });
    await expect(acquireFolderLock(folder)).rejects.toThrow(/host "elsewhere".*delete .*data\.lock/);
  });

  it("goes to exactly one of many that find the same stale one", async () => {
    leaveLock({ pid: process.pid, startedAt: "another boot 1" });
    const tries = await Promise.allSettled(Array.from({ length: 10 }, () => acquireFolderLock(folder)));
    const winners = tries.filter((outcome) => outcome.status === "fulfilled");
    expect(winners).toHaveLength(1);
    winners[0]?.value();
  });

  it("knows this process as running", () => {
    expect(isRunning(processIdentity())).toBe(true);
  });
});
