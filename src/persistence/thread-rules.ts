/** What holds for the threads of every plugin. */
import { ThreadError } from "../errors/own-errors.js";

export const defaultThreadLimit = 50;

export function nameTaken(name: string, threadId: string): ThreadError {
  return new ThreadError(
    "THREAD_EXISTS",
    `The thread name "${name}" belongs to thread ${threadId} already; resume that thread or choose another name`,
    { details: { name, threadId } },
  );
}
