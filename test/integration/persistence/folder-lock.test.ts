import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { processIdentity } from "../../../src/core/process-identity.js";
import { acquireFolderLock } from "../../../src/persistence/folder-lock.js";
import { createFolder, type TestFolder } from "../../support/databases.js";
import { toRun } from "../../support/start-script.js";
import { type Child, runChild } from "./child.js";

const inNamespace = ["--user", "--map-root-user", "--pid", "--fork", "--kill-child"];
const canUnshare = spawnSync("unshare", [...inNamespace, "--mount-proc", "true"]).status === 0;

describe("the lock of a data folder between processes", { timeout: 60_000 }, () => {
  let parent: TestFolder;
  const children: Child[] = [];
  beforeEach(() => {
    parent = createFolder();
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => child.kill()));
    parent.remove();
  });

  it("goes to exactly one of eight processes that find the same one left behind", async () => {
    for (let n = 0; n < 8; n += 1) children.push(runChild("./lock-starter.child.ts", []));
    for (const child of children) expect(await child.line()).toBe("ready");
    const stale = { ...processIdentity(), startedAt: "another boot 1", command: "lgr run", since: "2026-01-01" };
    for (let round = 0; round < 25; round += 1) {
      const folder = `${parent.path}/data${round}`;
      writeFileSync(`${folder}.lock`, JSON.stringify({ ...stale, nonce: `n${round}` }));
      const at = Date.now() + 20;
      for (const child of children) child.process.stdin?.write(`${at} ${folder}\n`);
      const outcomes = await Promise.all(children.map((child) => child.line()));
      expect(outcomes.sort()).toEqual([...Array(7).fill("OWNED_ELSEWHERE"), "owner"]);
    }
  });

  it.runIf(canUnshare).each([
    ["with a /proc of its own", ["--mount-proc"]],
    ["that sees the /proc of this one", []],
  ])("stays with its owner in another PID namespace %s", async (_, proc) => {
    const folder = `${parent.path}/data`;
    const script = toRun(new URL("./lock-starter.child.ts", import.meta.url));
    const owner = spawn("unshare", [...inNamespace, ...proc, process.execPath, ...script]);
    try {
      owner.stdin.write(`0 ${folder}\n`);
      let said = "";
      for await (const chunk of owner.stdout) {
        said += chunk;
        if (said.includes("ready\nowner\n")) break;
      }
      expect(said).toBe("ready\nowner\n");
      await expect(acquireFolderLock(folder)).rejects.toThrow(/another container.*delete .*data\.lock/);
    } finally {
      owner.kill("SIGKILL");
      await once(owner, "close").catch(() => {});
    }
  });
});
