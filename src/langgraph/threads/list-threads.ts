import { persistenceOf } from "../../core/persistence-of.js";
import type { Persistence, ThreadFilter, ThreadRecord } from "../../core/ports.js";
import { ConfigError } from "../../errors/own-errors.js";
import type { GraphLike } from "./graph.js";

/**
 * The threads of a persistence, newest activity first; those run in Studio included.
 *
 * @param source a persistence, or a graph compiled with the checkpointer of one
 * @throws ConfigError for a graph whose checkpointer is not from `openPersistence`: it keeps no list
 */
export async function listThreads(source: GraphLike | Persistence, filter: ThreadFilter = {}): Promise<ThreadRecord[]> {
  const persistence = "threads" in source ? source : persistenceOf(source.checkpointer);
  if (persistence === undefined)
    throw new ConfigError(
      "listThreads(): the graph's checkpointer is not from openPersistence(), so there is no list of threads",
    );
  return await persistence.threads.list(filter);
}
