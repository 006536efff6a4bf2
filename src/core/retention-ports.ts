/** What a persistence may do about old checkpoints. Nothing is deleted unless it was asked for. */

export interface RetentionRule {
  /** Newest checkpoints that each thread keeps, from 1; default 100. `false`: all of them. */
  readonly keepLast?: number | false;
  /** A thread goes this long after its last activity, in milliseconds; default 7 days. `false`: never. */
  readonly ttlMs?: number | false;
}

export interface PruneOptions extends RetentionRule {
  /** Only this thread, by its ID. */
  readonly threadId?: string;
  /** Deletes nothing and says what would go; default false. */
  readonly dryRun?: boolean;
  /** Told of each thread of which something goes, or that is passed over. */
  readonly onThread?: (thread: PrunedThread) => void;
  /** Ends it between two threads, or between two parts of a large one. What is done by then is done. */
  readonly signal?: AbortSignal;
}

export interface PrunedThread {
  readonly threadId: string;
  readonly name?: string;
  /** `pruned`: some checkpoints went; `deleted`: the thread did; `kept`: nothing had to go; `skipped`: see `why`. */
  readonly outcome: "pruned" | "deleted" | "kept" | "skipped";
  /** Why it was skipped. */
  readonly why?: string;
  /** That went, in all namespaces. */
  readonly checkpoints: number;
  /** That went, of all tables. */
  readonly rows: number;
  /** That these rows took, as they are stored (compressed), without indexes. */
  readonly bytes: number;
  /** Checkpoints that stay, in all namespaces. */
  readonly left: number;
  readonly pinned: number;
}

export interface PruneSummary {
  readonly dryRun: boolean;
  /** Those told to `onThread`; the thread that was asked for in any case. */
  readonly threads: readonly PrunedThread[];
  readonly checkpoints: number;
  readonly rows: number;
  readonly bytes: number;
}

export interface Pin {
  readonly threadId: string;
  readonly checkpointId: string;
  readonly reason?: string;
  readonly pinnedAt: Date;
}

export interface Retention {
  /**
   * Deletes what the rule does not keep, and whatever nothing kept stands on. Whatever is kept reads back as before.
   * Safe to call at any time, from any number of processes, and to end at any point.
   */
  prune(options?: PruneOptions): Promise<PruneSummary>;
  /**
   * Keeps a checkpoint and its thread until it is unpinned; pinned again it gets the new reason.
   * @returns false when there is no such checkpoint
   */
  pin(threadId: string, checkpointId: string, reason?: string): Promise<boolean>;
  /** @returns false when it was not pinned */
  unpin(threadId: string, checkpointId: string): Promise<boolean>;
  /** In the order they were pinned in. */
  pins(threadId?: string): Promise<readonly Pin[]>;
}

/** What `openPersistence` does about it by itself, in the background. */
export interface RetentionOptions extends RetentionRule {
  /**
   * What becomes of a thread when a run of it through `runThread` or `resumeThread` in this process has succeeded;
   * default "keep". "compact" leaves its newest checkpoint and what that needs, "delete" nothing.
   */
  readonly onComplete?: "keep" | "compact" | "delete";
  /** How often old checkpoints are looked for, in milliseconds, by one process at a time; default 10 minutes. */
  readonly everyMs?: number;
}
