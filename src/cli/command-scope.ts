/** What each command needs: the project, the persistence, the output; opened and closed in one place. */
import type { Persistence } from "../core/ports.js";
import { threadIdOf } from "../core/thread-id.js";
import { ConfigError, ThreadError } from "../errors/own-errors.js";
import type { GraphLike } from "../langgraph/threads/graph.js";
import { openPersistence } from "../persistence/open.js";
import { commandName } from "./command-name.js";
import { databaseOf } from "./database.js";
import { createOutput, type Output } from "./output.js";
import { loadGraph, openProject, type Project } from "./project.js";

export interface GlobalOptions {
  readonly config?: string;
  readonly db?: string;
  readonly json?: boolean;
}

export interface CommandScope {
  readonly project: Project;
  readonly persistence: Persistence;
  readonly output: Output;
  graph(name: string): Promise<GraphLike>;
  /** The graph a stored thread belongs to, or the one given. */
  graphOfThread(
    thread: string,
    given: string | undefined,
  ): Promise<{ readonly name: string; readonly graph: GraphLike }>;
}

export async function withScope<T>(options: GlobalOptions, work: (scope: CommandScope) => Promise<T>): Promise<T> {
  const project = openProject(options.config);
  const persistence = openPersistence(databaseOf(project, options));
  const loaded = new Map<string, Promise<GraphLike>>();
  const graph = (name: string): Promise<GraphLike> => {
    const known = loaded.get(name) ?? loadGraph(project, name, persistence);
    loaded.set(name, known);
    return known;
  };
  const scope: CommandScope = {
    project,
    persistence,
    output: createOutput(options.json === true),
    graph,
    graphOfThread: async (thread, given) => {
      const name = given ?? (await storedGraph(persistence, thread)) ?? onlyGraph(project, thread);
      return { name, graph: await graph(name) };
    },
  };
  try {
    await persistence.ready();
    return await work(scope);
  } finally {
    await persistence.close();
  }
}

async function storedGraph(persistence: Persistence, thread: string): Promise<string | undefined> {
  const record =
    (await persistence.threads.findByName(thread)) ??
    (await persistence.threads.get(thread)) ??
    (await persistence.threads.get(threadIdOf(thread)));
  if (record === undefined) {
    throw new ThreadError(
      "THREAD_NOT_FOUND",
      `Nothing is stored for thread "${thread}" in ${persistence.description}: it was never started there, or its process died before anything was written. Start it with: ${commandName()} run <graph> --thread ${thread} --input '{…}'`,
    );
  }
  return record.graph;
}

function onlyGraph(project: Project, thread: string): string {
  const [name, ...others] = Object.keys(project.graphs);
  if (name === undefined) throw new ConfigError("langgraph.json names no graph");
  if (others.length > 0)
    throw new ConfigError(
      `It is not stored which graph thread "${thread}" belongs to; say it with --graph (${[name, ...others].join(", ")})`,
    );
  return name;
}
