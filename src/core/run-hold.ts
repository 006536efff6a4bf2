/**
 * What a run started by `runThread`, `resumeThread` or a worker carries in its config, for the checkpointer to see with
 * each write: under which lease it may write, and how to end it when something it stands on could not be stored.
 */
import type { RunnableConfig } from "@langchain/core/runnables";

/** In `config.configurable`; LangGraph hands it on to subgraphs and to each write, and keeps it out of metadata. */
export const RUN_HOLD = "__lgr_run";

/** A lease as its holder knows it: a write under it counts only while the stored row has this token and is not over. */
export interface HeldLease {
  readonly name: string;
  readonly token: number;
}

export interface RunHold {
  /** Absent where the thread is not locked. */
  readonly lease?: HeldLease;
  /** Ends the run with this reason; later calls change nothing. */
  abort(reason: Error): void;
}

export function runHoldOf(config: Pick<RunnableConfig, "configurable"> | undefined): RunHold | undefined {
  return config?.configurable?.[RUN_HOLD] as RunHold | undefined;
}

/** The name of the lease on a thread. */
export function threadLease(threadId: string): string {
  return `thread/${threadId}`;
}
