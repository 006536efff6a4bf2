/**
 * A data folder of the embedded Postgres as its first start leaves it, as a vitest globalSetup. That start takes seconds
 * and comes to the same each time, so it is made once for a version of PGlite, and tests work on copies.
 */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** To be copied; nobody opens it. */
    readonly embeddedTemplate: string;
  }
}

const kept = fileURLToPath(new URL("../../node_modules/.cache/langgraph-resilience", import.meta.url));

export default async function provideTemplate({ provide }: TestProject): Promise<void> {
  const template = join(kept, `pglite-${versionOfPglite()}`);
  if (!isComplete(template)) await make(template);
  provide("embeddedTemplate", template);
}

function versionOfPglite(): string {
  const main = createRequire(import.meta.url).resolve("@electric-sql/pglite");
  const manifest: { version: string } = JSON.parse(readFileSync(join(dirname(main), "../package.json"), "utf8"));
  return manifest.version;
}

const isComplete = (template: string) => {
  try {
    return readFileSync(join(template, "PG_VERSION"), "utf8") !== "";
  } catch {
    return false;
  }
};

/** Under another name at first: a run that is stopped leaves no half of one, and of two runs at once both find a whole one. */
async function make(template: string): Promise<void> {
  const { PGlite } = await import("@electric-sql/pglite");
  mkdirSync(kept, { recursive: true });
  const draft = mkdtempSync(join(kept, "draft-"));
  try {
    const db = await PGlite.create(join(draft, "data"));
    await db.close();
    renameSync(join(draft, "data"), template);
  } catch (error) {
    if (!isComplete(template)) throw error;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}
