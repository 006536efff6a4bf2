import { existsSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { z } from "zod";
import { type Clock, systemClock } from "../core/clock.js";
import { ConfigError } from "../errors/own-errors.js";

export const isolatedSchema = z.strictObject({
  /** Limit of the worker's JavaScript heap, and again of its buffers, in MB (2^20 bytes). */
  maxMemoryMb: z.int().min(16).default(256),
  /** Names of the environment variables that the work may read. */
  env: z.array(z.string().min(1)).default([]),
  /** Limit for the thread to start and the module to load. */
  startTimeoutMs: z.number().positive().default(30_000),
  /** From an abort, or from the answer, to the end of the thread by force. */
  graceMs: z.number().min(0).default(500),
  /** Default: the system clock. Tests pass a fake one. */
  clock: z
    .custom<Clock>((value) => typeof value === "object" && value !== null, "must be a clock")
    .default(() => systemClock),
});

export type IsolatedOptions = z.input<typeof isolatedSchema>;
export type IsolatedPolicy = z.output<typeof isolatedSchema>;

export const targetSchema = z.strictObject({
  module: z.custom<URL | string>(
    (value) => value instanceof URL || (typeof value === "string" && URL.canParse(value)),
    'must be a URL, as new URL("./name.js", import.meta.url) is',
  ),
  export: z.string().min(1).default("default"),
});

/** The work by name: a function cannot be sent to a thread. */
export interface IsolatedTarget {
  /** `new URL("./parse-upload.js", import.meta.url)`, or what `import.meta.resolve` gives. */
  readonly module: URL | string;
  /** The function's name among the module's exports; default "default". */
  readonly export?: string;
}

/** The work, found. */
export interface FoundWork {
  readonly url: string;
  readonly exported: string;
  /** How messages and stack traces call it. */
  readonly label: string;
  /** File or URL, for messages. */
  readonly place: string;
  readonly isTypeScript: boolean;
  /** Of a TypeScript module: the tsconfig.json that is nearest above it. */
  readonly tsconfig?: string;
}

/** What a source may be called that its importers call by the name of the output. */
const SOURCES: Readonly<Record<string, readonly string[]>> = {
  ".js": [".ts", ".tsx"],
  ".mjs": [".mts"],
  ".cjs": [".cts"],
};

/** @throws ConfigError where the module is a file that does not exist, or neither `file:` nor `data:` */
export function findWork(target: z.output<typeof targetSchema>): FoundWork {
  const url = new URL(target.module);
  const exported = target.export;
  if (url.protocol === "data:") {
    const label = exported === "default" ? "data" : exported;
    return { url: url.href, exported, label, place: "the data: URL", isTypeScript: false };
  }
  if (url.protocol !== "file:") {
    throw new ConfigError(`isolated(${exported}): ${url.href} is no module of this machine; give a file: URL`);
  }
  const wanted = fileURLToPath(url);
  const file = sourceOf(wanted);
  if (file === undefined) {
    throw new ConfigError(
      `isolated(${exported}): the module ${wanted} does not exist; name it relative to the importing file: new URL("./name.js", import.meta.url)`,
    );
  }
  const label = exported === "default" ? basename(file, extname(file)) : exported;
  const isTypeScript = /\.[mc]?tsx?$/.test(file);
  const tsconfig = isTypeScript ? nearestTsconfig(dirname(file)) : undefined;
  return {
    url: `${pathToFileURL(file).href}${url.search}${url.hash}`,
    exported,
    label,
    place: file,
    isTypeScript,
    ...(tsconfig === undefined ? {} : { tsconfig }),
  };
}

function sourceOf(file: string): string | undefined {
  const extension = extname(file);
  const stem = file.slice(0, file.length - extension.length);
  return [file, ...(SOURCES[extension] ?? []).map((source) => `${stem}${source}`)].find((path) => existsSync(path));
}

function nearestTsconfig(folder: string): string | undefined {
  const file = join(folder, "tsconfig.json");
  if (existsSync(file)) return file;
  const above = dirname(folder);
  return above === folder ? undefined : nearestTsconfig(above);
}
