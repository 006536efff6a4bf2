import type { MemorySaver } from "@langchain/langgraph-checkpoint";
import { systemClock } from "../core/clock.js";
import { crashPoint } from "../core/crash-points.js";
import type { ThreadFilter, ThreadPatch, ThreadRecord, ThreadStore } from "../core/ports.js";
import { pendingOf } from "./pending.js";
import { defaultThreadLimit, knownStatus, nameTaken } from "./thread-rules.js";

type Row = Pick<ThreadRecord, "threadId" | "name" | "graph" | "status" | "error" | "createdAt" | "updatedAt">;

/** The threads of a MemorySaver. */
export class MemoryThreads implements ThreadStore {
  readonly #rows = new Map<string, Row>();
  readonly #saver: MemorySaver;

  constructor(saver: MemorySaver) {
    this.#saver = saver;
  }

  async record(patch: ThreadPatch): Promise<void> {
    const holder = [...this.#rows.values()].find((row) => patch.name !== undefined && row.name === patch.name);
    if (holder !== undefined && holder.threadId !== patch.threadId) throw nameTaken(holder.name ?? "", holder.threadId);
    crashPoint("thread.record.before");
    const { error, ...given } = patch;
    const { error: earlierError, ...earlier } = this.#touched(patch.threadId);
    const nextError = error === undefined ? earlierError : (error ?? undefined);
    this.#rows.set(patch.threadId, {
      ...earlier,
      ...withoutUndefined(given),
      ...(nextError === undefined ? {} : { error: nextError }),
    });
    crashPoint("thread.record.after");
  }

  async get(threadId: string): Promise<ThreadRecord | undefined> {
    const row = this.#rows.get(threadId);
    return row === undefined ? undefined : this.#described(row);
  }

  async findByName(name: string): Promise<ThreadRecord | undefined> {
    const row = [...this.#rows.values()].find((candidate) => candidate.name === name);
    return row === undefined ? undefined : this.#described(row);
  }

  async list(filter: ThreadFilter = {}): Promise<ThreadRecord[]> {
    const rows = [...this.#rows.values()]
      .filter((row) => filter.graph === undefined || row.graph === filter.graph)
      .sort((a, b) => b.updatedAt.getTime() - a.updatedAt.getTime());
    const records = await Promise.all(rows.map((row) => this.#described(row)));
    return records
      .filter((record) => filter.status === undefined || knownStatus(record) === filter.status)
      .slice(0, filter.limit ?? defaultThreadLimit);
  }

  /** A checkpoint of the thread was written; outside of a recorded run that makes the last run's status a thing of the past. */
  touch(threadId: string, graph: string | undefined): void {
    const { status, error, ...row } = this.#touched(threadId);
    const kept = status === "running" ? { status, ...(error === undefined ? {} : { error }) } : {};
    this.#rows.set(threadId, { ...row, ...kept, ...(graph === undefined ? {} : { graph }) });
  }

  forget(threadId: string): void {
    this.#rows.delete(threadId);
  }

  #touched(threadId: string): Row {
    const now = new Date(systemClock.now());
    return { createdAt: now, ...this.#rows.get(threadId), threadId, updatedAt: now };
  }

  async #described(row: Row): Promise<ThreadRecord> {
    const checkpoints = Object.keys(this.#saver.storage[row.threadId]?.[""] ?? {});
    if (checkpoints.length === 0) return { ...row, checkpoints: 0 };
    const newest = await this.#saver.getTuple({ configurable: { thread_id: row.threadId } });
    const pending = pendingOf(newest?.pendingWrites ?? []);
    return {
      ...row,
      checkpoints: checkpoints.length,
      ...(newest === undefined ? {} : { lastCheckpointId: newest.checkpoint.id }),
      ...(pending === undefined ? {} : { pending }),
    };
  }
}

function withoutUndefined<T extends object>(given: T): T {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T;
}
