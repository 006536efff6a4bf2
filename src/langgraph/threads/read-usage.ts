import { USAGE_NOTE } from "../../core/checkpoint-notes.js";
import { ThreadError } from "../../errors/own-errors.js";
import { type Spending, totalUsage } from "../../policies/usage.js";
import { spendingInNote } from "../thread-usage.js";
import { type GraphLike, runnableGraph } from "./graph.js";
import { resolveThread, type ThreadRef } from "./resolve-thread.js";

/** What a thread has spent over all its runs, as its newest checkpoint says. */
export interface ThreadUsage extends ThreadRef, Spending {
  /** US dollars of `useful`, `wasted` and `inFlight` together; tokens without a known price are not in it. */
  readonly totalUsd: number;
}

/**
 * What a thread has cost so far: in attempts that succeeded (`useful`), in attempts that failed (`wasted`), and in
 * attempts that were under way when its newest checkpoint was written (`inFlight`). All zero for a thread that was never
 * metered, or whose checkpointer is not from `openPersistence`.
 *
 * @param nameOrId a thread name, or a thread ID
 * @throws ThreadError THREAD_NOT_FOUND when nothing is stored for it
 */
export async function threadUsage(graph: GraphLike, nameOrId: string): Promise<ThreadUsage> {
  const runnable = runnableGraph(graph, "threadUsage()");
  const ref = await resolveThread(runnable, nameOrId);
  const newest = await runnable.checkpointer.getTuple({ configurable: { thread_id: ref.threadId } });
  if (newest === undefined) {
    throw new ThreadError(
      "THREAD_NOT_FOUND",
      `Nothing is stored for thread "${nameOrId}"; check the name, or run it first`,
      { details: { ...ref } },
    );
  }
  const note = (newest.metadata as Record<string, unknown> | undefined)?.[USAGE_NOTE];
  const spending = spendingInNote(note, ref.threadId);
  return { ...ref, ...spending, totalUsd: totalUsage(spending).usd };
}
