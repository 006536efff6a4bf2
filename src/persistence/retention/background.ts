/** Retention that nobody has to think of: every so often, and when a run has succeeded. Its failures harm nothing else. */
import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "../../core/clock.js";
import type { EventBus } from "../../core/events.js";
import { redactText } from "../../core/redact.js";
import type { LeaseStore } from "../../core/store-ports.js";
import { asError } from "../../errors/own-errors.js";
import type { RetentionSettings } from "./retention-options.js";
import type { SqlRetention } from "./sql-retention.js";

/** One process at a time: more would do no harm, and no good. */
const leaseName = "retention";
const leaseMs = 60_000;

/** A run that has succeeded gives its thread back a moment later; how long that is waited for, in milliseconds. */
const giveBack = { firstMs: 20, longestMs: 1_000, totalMs: 10_000 };

export interface BackgroundRetention {
  /** From now on, every so often. */
  start(): void;
  /** Resolves when what is due for runs that have succeeded is done. */
  settled(): Promise<void>;
  /** Ends it after the transaction under way. */
  stop(): Promise<void>;
}

export interface BackgroundOptions {
  readonly settings: RetentionSettings;
  readonly retention: Pick<SqlRetention, "complete" | "pruneChanged">;
  readonly locks: LeaseStore;
  readonly events: EventBus;
  readonly clock?: Clock;
}

export function backgroundRetention(options: BackgroundOptions): BackgroundRetention {
  const { settings, retention, locks, events, clock = systemClock } = options;
  const { onComplete, everyMs, keepLast, ttlMs } = settings;
  const holder = `retention of process ${process.pid} (${randomUUID()})`;
  const stopping = new AbortController();
  const { signal } = stopping;
  const completing = new Set<Promise<void>>();
  let round: Promise<void> | undefined;
  let cancel = (): void => {};

  const failed = (threadId: string | undefined, error: unknown): void => {
    if (signal.aborted) return;
    const message = redactText(asError(error).message);
    events.emit("retention.failed", threadId === undefined ? {} : { threadId }, { message });
  };

  const prune = async (): Promise<void> => {
    const lease = await locks.acquire(leaseName, holder, leaseMs);
    if (lease.kind === "busy") return;
    let cancelRenewal = (): void => {};
    const renewLater = (): void => {
      cancelRenewal = clock.after(
        leaseMs / 3,
        () => void locks.renew(leaseName, lease.token, leaseMs).then(renewLater, renewLater),
        false,
      );
    };
    renewLater();
    try {
      const { threads, checkpoints, bytes } = await retention.pruneChanged({ keepLast, ttlMs }, signal);
      const changed = threads.filter(({ rows }) => rows > 0).length;
      if (changed > 0) events.emit("retention.pruned", {}, { threads: changed, checkpoints, bytes });
    } finally {
      cancelRenewal();
      await locks.release(leaseName, lease.token);
    }
  };

  const again = (): void => {
    cancel = clock.after(
      everyMs,
      () => {
        round = prune()
          .catch((error: unknown) => failed(undefined, error))
          .then(() => (signal.aborted ? undefined : again()));
      },
      false,
    );
  };

  const complete = async (threadId: string, how: "compact" | "delete"): Promise<void> => {
    const until = clock.now() + giveBack.totalMs;
    for (let waitMs = giveBack.firstMs; ; waitMs = Math.min(waitMs * 2, giveBack.longestMs)) {
      const { outcome, why } = await retention.complete(threadId, how);
      if (outcome !== "skipped" || why !== "in use" || clock.now() >= until) return;
      await clock.sleep(waitMs, signal);
    }
  };

  const unsubscribe =
    onComplete === "keep"
      ? undefined
      : events.subscribe((event) => {
          if (event.type !== "run.finished" || event.outcome !== "succeeded" || event.threadId === undefined) return;
          const { threadId } = event;
          const work = complete(threadId, onComplete).catch((error: unknown) => failed(threadId, error));
          completing.add(work);
          void work.then(() => completing.delete(work));
        });

  return {
    start: again,
    async settled() {
      await Promise.all(completing);
    },
    async stop() {
      unsubscribe?.();
      cancel();
      stopping.abort();
      await Promise.all([...completing, round]);
    },
  };
}
