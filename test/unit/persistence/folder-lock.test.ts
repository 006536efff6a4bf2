import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isRunning, processIdentity } from "../../../src/core/process-identity.js";
import { acquireFolderLock } from "../../../src/persistence/folder-lock.js";

describe("the lock of a data folder", () => {
  let parent: string;
  let folder: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "lgr-lock-"));
    folder = join(parent, "data");
  });
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  const leaveLock = (owner: object, suffix = "") => {
    const { host, pidNamespace } = processIdentity();
    const rest = { host, pidNamespace, nonce: "n", command: "lgr run q3", since: "2026-01-01T00:00:00.000Z" };
    writeFileSync(`${folder}.lock${suffix}`, JSON.stringify({ ...rest, ...owner }));
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

  it("is not taken from another PID namespace of this host, whose processes cannot be seen", async () => {
    leaveLock({ pid: 2 ** 22, startedAt: "this boot 1", pidNamespace: "pid:[1]" });
    await expect(acquireFolderLock(folder)).rejects.toThrow(/another container.*if you are sure.*delete .*data\.lock/);
    expect(readdirSync(parent)).toEqual(["data.lock"]);
  });

  it("is not taken from a process whose start is not known, as long as one has its number", async () => {
    leaveLock({ pid: process.pid });
    await expect(acquireFolderLock(folder)).rejects.toMatchObject({ code: "OWNED_ELSEWHERE" });
  });

  it("is taken over when the process that was to take it over has died, too", async () => {
    const gone = { pid: process.pid, startedAt: "another boot 1" };
    leaveLock({ ...gone, nonce: "a" });
    leaveLock({ ...gone, nonce: "b" }, ".takeover-a");
    leaveLock({ ...gone, nonce: "c" }, ".takeover-b");
    (await acquireFolderLock(folder))();
    expect(readdirSync(parent)).toEqual([]);
  });

  it("is left to a takeover in another container, and the message says which file that one holds", async () => {
    leaveLock({ pid: process.pid, startedAt: "another boot 1", nonce: "a" });
    leaveLock({ pid: 7, pidNamespace: "pid:[1]", nonce: "b" }, ".takeover-a");
    await expect(acquireFolderLock(folder)).rejects.toThrow(/process 7 .*delete .*data\.lock\.takeover-a/);
  });

  it("shows the beginning of the owner's command, without its secrets", async () => {
    const json = JSON.stringify({ env: { key: "x".repeat(5000) } });
    leaveLock({ ...processIdentity(), command: `lgr run --db postgres://me:hunter2@db/app\n${json}` });
    const error = await acquireFolderLock(folder).catch((refusal) => refusal);
    expect(error.details.command).toMatch(/^lgr run --db postgres:\/\/me:\[redacted\]@db\/app \{"env".*…$/);
    expect(error.details.command).toHaveLength(100);
    expect(error.message).toContain(`(${error.details.command})`);
    expect(error.message.length).toBeLessThan(500);
  });

  it("is written without the secrets of its owner's command", async () => {
    const argv = process.argv;
    process.argv = ["node", "lgr", "--db", "postgres://me:hunter2@db/app"];
    try {
      const unlock = await acquireFolderLock(folder);
      expect(readFileSync(`${folder}.lock`, "utf8")).not.toContain("hunter2");
      unlock();
    } finally {
      process.argv = argv;
    }
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
