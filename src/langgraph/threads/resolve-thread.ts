import { persistenceOf } from "../../core/persistence-of.js";
import { isUuid, threadIdOf } from "../../core/thread-id.js";
import { ConfigError } from "../../errors/own-errors.js";
import { isDamage } from "./damage.js";
import type { RunnableGraph } from "./graph.js";

export interface ThreadRef {
  readonly threadId: string;
  /** The alias, where the thread has one. */
  readonly name?: string;
}

/**
 * The thread a name or an ID stands for. A name that the threads table knows is that thread; a name under which some
 * other program has stored checkpoints is taken as the ID it is; any other name stands for its UUID.
 */
export async function resolveThread(graph: Pick<RunnableGraph, "checkpointer">, nameOrId: string): Promise<ThreadRef> {
  if (typeof nameOrId !== "string" || nameOrId.trim() === "")
    throw new ConfigError("A thread needs a name or an ID; got an empty one");
  const threads = persistenceOf(graph.checkpointer)?.threads;
  if (isUuid(nameOrId)) {
    const name = (await threads?.get(nameOrId.toLowerCase()))?.name;
    return { threadId: nameOrId.toLowerCase(), ...(name === undefined ? {} : { name }) };
  }
  const known = await threads?.findByName(nameOrId);
  if (known !== undefined) return { threadId: known.threadId, name: nameOrId };
  const isForeign = await graph.checkpointer.getTuple({ configurable: { thread_id: nameOrId } }).then(
    (tuple) => tuple !== undefined,
    (error: unknown) => isDamage(error) || Promise.reject(error),
  );
  return isForeign ? { threadId: nameOrId } : { threadId: threadIdOf(nameOrId), name: nameOrId };
}
