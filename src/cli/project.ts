/** The user's project: langgraph.json, its environment, its graphs. */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, extname, isAbsolute, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseEnv } from "node:util";
import type { BaseCheckpointSaver, BaseStore } from "@langchain/langgraph-checkpoint";
import { z } from "zod";
import { ConfigError } from "../errors/own-errors.js";
import type { GraphLike } from "../langgraph/threads/graph.js";

export interface Project {
  /** Folder of langgraph.json; paths in it are relative to this. */
  readonly directory: string;
  /** Graph name → "path:export". */
  readonly graphs: Readonly<Record<string, string>>;
}

const configSchema = z.looseObject({
  graphs: z.record(
    z.string(),
    z.union([z.string(), z.looseObject({ path: z.string() }).transform((entry) => entry.path)]),
  ),
  env: z.union([z.string(), z.record(z.string(), z.string()), z.array(z.string())]).optional(),
});

/**
 * Reads langgraph.json and puts its environment under the one that is there already.
 *
 * @throws ConfigError naming the file and what is wrong with it
 */
export function openProject(path = "langgraph.json"): Project {
  const file = resolve(path);
  if (!existsSync(file)) {
    throw new ConfigError(`${path} was not found in ${process.cwd()}; run lgr where it is, or name it with --config`);
  }
  const config = parseConfig(path, readFileSync(file, "utf8"));
  const directory = dirname(file);
  loadEnvironment(directory, config.env);
  return { directory, graphs: config.graphs };
}

function parseConfig(path: string, text: string): z.output<typeof configSchema> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const parsed = configSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new ConfigError(
    `${path}: ${parsed.error.issues.map((issue) => `${issue.path.join(".") || "file"}: ${issue.message}`).join("; ")}`,
  );
}

function loadEnvironment(directory: string, env: z.output<typeof configSchema>["env"]): void {
  const values =
    typeof env === "string" ? fromFile(resolve(directory, env)) : Array.isArray(env) || env === undefined ? {} : env;
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined) process.env[key] ??= value;
  }
}

function fromFile(file: string): Record<string, string | undefined> {
  return existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {};
}

/** A graph compiled afresh on a persistence, so that what its module does to its own copy has no say. */
export async function loadGraph(
  project: Project,
  name: string,
  persistence: { checkpointer: BaseCheckpointSaver; store: BaseStore },
): Promise<GraphLike> {
  const builder = await loadBuilder(project, name);
  return builder.compile({
    checkpointer: persistence.checkpointer,
    store: persistence.store,
    name,
    ...builder.interrupts,
  }) as GraphLike;
}

interface LoadedBuilder {
  compile(options: object): unknown;
  readonly interrupts: object;
}

async function loadBuilder(project: Project, name: string): Promise<LoadedBuilder> {
  const entry = Object.hasOwn(project.graphs, name) ? project.graphs[name] : undefined;
  if (entry === undefined) {
    const known = Object.keys(project.graphs).join(", ");
    throw new ConfigError(`There is no graph "${name}" in langgraph.json; it names: ${known === "" ? "none" : known}`);
  }
  const [path = "", exported = "graph"] = splitEntry(entry);
  const file = isAbsolute(path) ? path : resolve(project.directory, path);
  if (!existsSync(file)) throw new ConfigError(`Graph "${name}": ${path} does not exist`);
  await ensureTypeScript(file);
  const module = await importGraph(name, file);
  const value = module[exported];
  const made: unknown = typeof value === "function" ? await value() : value;
  const graph = made as
    | { builder?: { compile?: unknown }; compile?: unknown; interruptBefore?: unknown; interruptAfter?: unknown }
    | undefined;
  const builder = graph?.builder ?? graph;
  if (typeof builder?.compile !== "function") {
    throw new ConfigError(
      `Graph "${name}": "${exported}" in ${basename(file)} is no StateGraph and no compiled one; export it as \`export const ${exported} = builder.compile(…)\``,
    );
  }
  const interrupts = {
    ...(graph?.interruptBefore === undefined ? {} : { interruptBefore: graph.interruptBefore }),
    ...(graph?.interruptAfter === undefined ? {} : { interruptAfter: graph.interruptAfter }),
  };
  const compile = builder.compile as (options: object) => unknown;
  return { compile: (options) => compile.call(builder, options), interrupts };
}

async function importGraph(name: string, file: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    throw new ConfigError(`Graph "${name}": ${file} cannot be loaded: ${(error as Error).message}`, { cause: error });
  }
}

/** "./graph.ts:graph", where a Windows drive letter has a colon too. */
function splitEntry(entry: string): [string, string?] {
  const colon = entry.lastIndexOf(":");
  return colon <= 1 ? [entry] : [entry.slice(0, colon), entry.slice(colon + 1)];
}

/** Set by bin/lgr.js in a checkout, where the command itself runs through tsx. */
const REGISTERED = Symbol.for("langgraph-resilience.tsx");

async function ensureTypeScript(file: string): Promise<void> {
  const global = globalThis as { [REGISTERED]?: boolean };
  if (![".ts", ".mts", ".cts", ".tsx"].includes(extname(file)) || global[REGISTERED] === true) return;
  global[REGISTERED] = true;
  try {
    const { register } = await import("tsx/esm/api");
    register();
  } catch (error) {
    // Node that strips types by itself loads plain TypeScript; only without either is there nothing to be done.
    if ((process.features as { typescript?: unknown }).typescript) return;
    throw new ConfigError("To load graphs written in TypeScript, install tsx: npm install --save-dev tsx", {
      cause: error,
    });
  }
}
