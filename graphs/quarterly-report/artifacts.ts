import { createHash, randomUUID } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";

/** The thread's own folder: by its name where it has one, so that people find it. */
export function threadFolder(outputDir: string | undefined, config: LangGraphRunnableConfig): string {
  return resolve(outputDir ?? "reports", safeName(threadName(config)));
}

export function threadName({ configurable }: LangGraphRunnableConfig): string {
  const name: unknown = configurable?.thread_name ?? configurable?.thread_id;
  return typeof name === "string" && name !== "" ? name : "no-thread";
}

/** Writes a file as a whole or not at all: a reader, or a crash, never meets half of it. */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFile(temporary, content);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  return path;
}

/** A thread's name may hold anything; a folder's may not. Names that had to be changed stay apart by a hash. */
function safeName(name: string): string {
  const safe = name
    .replace(/[^\p{L}\p{N}._-]+/gu, "_")
    .replace(/^\.+/, "_")
    .slice(0, 100);
  return safe === name ? name : `${safe}-${createHash("sha256").update(name).digest("hex").slice(0, 8)}`;
}
