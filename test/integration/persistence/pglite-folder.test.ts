import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openPersistence } from "../../../src/persistence/open.js";
import { createFolder, type TestFolder } from "../../support/databases.js";
import { thorough } from "../../support/depth.js";
import { type Child, runChild } from "./child.js";

describe("the folder of an embedded Postgres", { timeout: 60_000 }, () => {
  let folder: TestFolder;
  let data: string;
  const children: Child[] = [];
  const child = (...args: string[]) => {
    const started = runChild("./pglite-writer.child.ts", [`pglite:${data}`, ...args]);
    children.push(started);
    return started;
  };

  // The first start on an empty folder takes seconds; each test gets a copy of one that has been through it.
  const prepared = createFolder();
  beforeAll(async () => {
    const first = openPersistence(`pglite:${prepared.path}/new/data`);
    await first.store.listNamespaces();
    await first.close();
  }, 60_000);
  afterAll(() => prepared.remove());

  beforeEach(() => {
    folder = createFolder();
    data = `${folder.path}/data`;
    cpSync(`${prepared.path}/new/data`, data, { recursive: true });
  });
  afterEach(async () => {
    for (const started of children.splice(0)) await started.kill();
    folder.remove();
  });

  it("has one owner: a second process is told who, since when and what to do", async () => {
    const owner = child();
    await owner.line();
    const second = openPersistence(`pglite:${data}`);
    await expect(second.ready()).rejects.toMatchObject({
      code: "OWNED_ELSEWHERE",
      details: { folder: data, pid: owner.process.pid, command: expect.stringContaining("pglite-writer.child") },
      message: expect.stringMatching(/in use by process \d+ .* since \d{4}-.*Stop that process, or set DATABASE_URL/),
    });
    await owner.kill();
    await second.ready();
    await second.close();
  });

  it("loses nothing that was acknowledged when its owner is killed in the middle of writing", async () => {
    const owner = child();
    await owner.line();
    const acknowledged: string[] = [];
    while (acknowledged.length < 40) acknowledged.push(await owner.line());
    await owner.kill();

    const reopened = openPersistence(`pglite:${data}`);
    for (const line of acknowledged) {
      const [thread_id, checkpoint_id] = line.split(" ");
      const tuple = await reopened.checkpointer.getTuple({ configurable: { thread_id, checkpoint_id } });
      expect(tuple?.checkpoint.channel_values.a).toHaveLength(2000);
      expect(tuple?.pendingWrites).toHaveLength(1);
    }
    expect(await reopened.threads.list()).toHaveLength(5);
    await reopened.close();
  });

  it("is given up on close, and the process ends at once", async () => {
    const owner = child("close");
    expect(await owner.line()).toBe("ready");
    expect(await owner.ended()).toMatchObject({ code: 0 });
    expect(existsSync(data)).toBe(true);
    expect(existsSync(`${data}.lock`)).toBe(false);
  });

  it("is shared within a process, kept until the last user closes it, and readable by its owner only", async () => {
    const first = openPersistence(`pglite:${data}`);
    const second = openPersistence(`pglite:${data}`);
    await Promise.all([first.ready(), second.ready()]);
    await first.threads.record({ threadId: "a", name: "alpha" });
    await first.close();
    expect(await second.threads.findByName("alpha")).toMatchObject({ threadId: "a" });
    expect(statSync(data).mode & 0o777).toBe(0o700);
    const closing = second.close();
    const third = openPersistence(`pglite:${data}`);
    expect(await third.threads.findByName("alpha")).toMatchObject({ threadId: "a" });
    await closing;
    await third.close();
    await expect(first.threads.list()).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("keeps the long-term store over a restart", async () => {
    const first = openPersistence(`pglite:${data}`);
    await first.store.put(["facts"], "sky", { color: "blue" });
    await first.close();
    const second = openPersistence(`pglite:${data}`);
    expect((await second.store.get(["facts"], "sky"))?.value).toEqual({ color: "blue" });
    await second.close();
  });

  const refusal = async (address: string): Promise<string> => {
    const persistence = openPersistence(address);
    const error = await persistence.ready().catch((thrown) => thrown);
    await persistence.close();
    expect(error).toMatchObject({ code: "CONFIG" });
    expect(error.message).not.toMatch(/server|user|address/);
    return error.message;
  };

  it("is left as it is when it holds something else than a database", async () => {
    const project = `${folder.path}/project`;
    mkdirSync(`${project}/base`, { recursive: true });
    writeFileSync(`${project}/package.json`, "{}");
    chmodSync(project, 0o755);
    expect(await refusal(`pglite:${project}`)).toMatch(/project is not empty and holds no database.*name a folder/);
    expect(statSync(project).mode & 0o777).toBe(0o755);
    expect(readdirSync(project)).toEqual(["base", "package.json"]);
    expect(readdirSync(folder.path).sort()).toEqual(["data", "project"]);
  });

  it("is not touched by one who has not got its lock", async () => {
    const owner = child();
    await owner.line();
    chmodSync(data, 0o750);
    await expect(openPersistence(`pglite:${data}`).ready()).rejects.toMatchObject({ code: "OWNED_ELSEWHERE" });
    expect(statSync(data).mode & 0o777).toBe(0o750);
  });

  it("is not taken for a file, a link to nothing or something below a file", async () => {
    writeFileSync(`${folder.path}/passwd`, "");
    symlinkSync(`${folder.path}/nothing`, `${folder.path}/link`);
    expect(await refusal(`pglite:${folder.path}/passwd`)).toMatch(/passwd is a file and no folder; name another place/);
    expect(await refusal(`pglite:${folder.path}/passwd/a/b`)).toMatch(/passwd is a file and no folder/);
    expect(await refusal(`pglite:${folder.path}/link`)).toMatch(/link is a link to nothing; name another place/);
    expect(readdirSync(folder.path).sort()).toEqual(["data", "link", "passwd"]);
  });

  it("says what to look at when it cannot be opened", async () => {
    writeFileSync(`${data}/PG_VERSION`, "");
    mkdirSync(`${data}.lock`);
    expect(await refusal(`pglite:${data}`)).toMatch(/^Cannot use the embedded Postgres in .*Check that the folder/);
  });

  it.runIf(thorough)("is made readable by its owner only, and is the same through a link", async () => {
    const first = openPersistence(`pglite:${folder.path}/made/data`);
    await first.ready();
    expect(statSync(`${folder.path}/made/data`).mode & 0o777).toBe(0o700);
    symlinkSync(`${folder.path}/made`, `${folder.path}/link`);
    const second = openPersistence(`pglite:${folder.path}/link/data`);
    await second.ready();
    await Promise.all([first.close(), second.close()]);
    expect(readdirSync(`${folder.path}/made`)).toEqual(["data"]);
  });

  it.runIf(thorough)("is gone on with when the first start was killed halfway", async () => {
    const half = `${folder.path}/half`;
    mkdirSync(`${half}/pg_wal`, { recursive: true });
    mkdirSync(`${half}/global`);
    const persistence = openPersistence(`pglite:${half}`);
    await persistence.ready();
    await persistence.close();
  });
});
