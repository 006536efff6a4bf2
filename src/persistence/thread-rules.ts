/** What holds for the threads of every plugin. */
import type { ThreadRecord, ThreadStatus } from "../core/ports.js";
import { ThreadError } from "../errors/own-errors.js";

export const defaultThreadLimit = 50;

export function nameTaken(name: string, threadId: string): ThreadError {
  return new ThreadError(
    "THREAD_EXISTS",
    `The thread name "${name}" belongs to thread ${threadId} already; resume that thread or choose another name`,
    { details: { name, threadId } },
  );
}

/** What a record says of where the thread stands, without its graph. */
export function knownStatus({ status, pending }: Pick<ThreadRecord, "status" | "pending">): ThreadStatus | undefined {
  return status ?? (pending === "interrupt" ? "waiting_human" : pending === "error" ? "failed" : undefined);
}
