import type { Persistence } from "../core/ports.js";
import { threadIdOf } from "../core/thread-id.js";
import { ThreadError } from "../errors/own-errors.js";

/**
 * The ID of a stored thread, by its name or its ID.
 *
 * @throws ThreadError THREAD_NOT_FOUND
 */
export async function storedThread({ threads, description }: Persistence, thread: string): Promise<string> {
  const record =
    (await threads.findByName(thread)) ?? (await threads.get(thread)) ?? (await threads.get(threadIdOf(thread)));
  if (record === undefined)
    throw new ThreadError("THREAD_NOT_FOUND", `Nothing is stored for thread "${thread}" in ${description}`);
  return record.threadId;
}
