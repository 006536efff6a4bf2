import { describe, expect, it } from "vitest";
import { importOptional } from "../../../src/core/optional-import.js";
import type { PersistencePlugin } from "../../../src/core/ports.js";
import { openPersistence, registerPersistence } from "../../../src/persistence/open.js";

describe("openPersistence", () => {
  it.each([undefined, ""])("uses the embedded Postgres when the target is %j", (target) => {
    expect(openPersistence(target).description).toBe("embedded Postgres in .lgr/pglite");
  });

  it.each([
    ["memory:", "memory of this process (lost when it ends)"],
    ["pglite:data/here", "embedded Postgres in data/here"],
    ["pglite:/data/here", "embedded Postgres in /data/here"],
    ["pglite:memory", "embedded Postgres in memory (lost when the process ends)"],
    ["pglite:memory://", "embedded Postgres in memory (lost when the process ends)"],
    ["postgres://me:secret@localhost/app", "PostgreSQL at localhost:5432/app"],
    ["postgresql://db.example:6432/my%20app?sslmode=require", "PostgreSQL at db.example:6432/my app"],
    ["postgres:///app?host=/var/run/postgresql", "PostgreSQL at /var/run/postgresql/app"],
  ])("describes %s without its secrets", (target, description) => {
    expect(openPersistence(target).description).toBe(description);
  });

  it.each(["mysql://me:secret@host/app", "me:secret@host", "C:\\secret", "just-secret-words"])(
    "refuses %s, says which schemes there are, and repeats nothing of it",
    (target) => {
      const open = () => openPersistence(target);
      expect(open).toThrow(expect.objectContaining({ code: "CONFIG" }));
      expect(open).toThrow("known: memory:, pglite:, postgres:, postgresql:");
      expect(open).not.toThrow(/secret/);
    },
  );

  it.each([
    "postgres://me:se/cr@et@host:port/app",
    "postgres://me:se%cret@host/app",
    "postgres://me:secret@host:99999/app?password=secret",
    "postgres://me:secret",
  ])("refuses the malformed %s without its password", (target) => {
    const open = () => openPersistence(target);
    expect(open).toThrow(/is not a usable PostgreSQL URL/);
    expect(open).not.toThrow(/se\/cr|@et|se%cret|secret/);
  });

  it("names the option that is out of range", () => {
    expect(() => openPersistence("memory:", { maxConnections: 0 })).toThrow(/option "maxConnections" is 0/);
    expect(() => openPersistence("postgres://h/d", { schema: 'a"b' })).toThrow(/option "schema" is/);
  });

  it("refuses pglite: without a folder", () => {
    expect(() => openPersistence("pglite:")).toThrow(/names no folder/);
  });

  it("reports an address where nothing listens when asked to be ready", async () => {
    const persistence = openPersistence("postgres://me:secret@127.0.0.1:1/app");
    await expect(persistence.ready()).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringMatching(/^Cannot use the PostgreSQL at 127\.0\.0\.1:1\/app: ECONNREFUSED(?!.*secret)/),
    });
    await persistence.close();
  });
});

describe("a driver that is not installed", () => {
  it("is named with the command that installs it", async () => {
    const missing = Object.assign(new Error("Cannot find package 'pg'"), { code: "ERR_MODULE_NOT_FOUND" });
    await expect(importOptional(() => Promise.reject(missing), "pg")).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining("npm i pg"),
    });
    await expect(importOptional(() => Promise.reject(new Error("other")), "pg")).rejects.toThrow("other");
  });
});

describe("registerPersistence", () => {
  const plugin: PersistencePlugin = { open: (url) => ({ ...openPersistence("memory:"), description: url }) };

  it("adds a scheme", () => {
    registerPersistence("unit-test", plugin);
    registerPersistence("unit-test", plugin);
    expect(openPersistence("unit-test:anything").description).toBe("unit-test:anything");
  });

  it("refuses a scheme that is taken or malformed", () => {
    expect(() => registerPersistence("memory", plugin)).toThrow(/has a plugin already/);
    expect(() => registerPersistence("No Scheme", plugin)).toThrow(/no URL scheme/);
  });
});
