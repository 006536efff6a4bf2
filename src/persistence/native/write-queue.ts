/**
 * Group commit: whatever concurrent threads have waiting goes in one statement and one commit. What belongs to one
 * thread is stored in the order it came, one statement after the other; threads do not wait for each other.
 */
import type { HeldLease } from "../../core/run-hold.js";
import { isConnectionLost } from "../connection-errors.js";
import type { Parcel } from "./write-statement.js";

/** What the database said of one parcel; a rejection says that the parcel may not have been stored. */
export type Outcome = "stored" | "lease lost" | "orphan";

/** Stores parcels together and gives an outcome for each. Must be harmless when repeated. */
export type StoreParcels = (parcels: readonly Parcel[]) => Promise<readonly Outcome[]>;

/** More flights make smaller batches; one would leave the database idle while an answer is on its way. */
const maxFlights = 3;
const maxParcels = 100;
/** Characters of a statement; beyond that a long statement of one thread would hold up the others. */
const maxCharacters = 4 * 1024 * 1024;

interface Waiting {
  readonly parcel: Parcel;
  readonly size: number;
  settle(outcome: Outcome): void;
  fail(error: unknown): void;
}

export class WriteQueue {
  #waiting: Waiting[] = [];
  readonly #busy = new Set<string>();
  readonly #store: StoreParcels;
  #flights = 0;
  #scheduled = false;

  constructor(store: StoreParcels) {
    this.#store = store;
  }

  add(parcel: Parcel): Promise<Outcome> {
    return new Promise((settle, fail) => {
      this.#waiting.push({ parcel, size: sizeOf(parcel), settle, fail });
      this.#schedule();
    });
  }

  /** After this turn of the event loop, in which other threads may have something to store as well. */
  #schedule(): void {
    if (this.#scheduled || this.#flights >= maxFlights || this.#waiting.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const batch = this.#take();
      if (batch.length > 0) void this.#fly(batch);
    });
  }

  #take(): Waiting[] {
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    const passedOver = new Set<string>();
    const leases = new Map<string, HeldLease | undefined>();
    const rows = new Set<string>();
    let size = 0;
    for (const one of this.#waiting) {
      const { threadKey, lease } = one.parcel;
      const otherLease = leases.has(threadKey) && leases.get(threadKey) !== lease;
      const full = batch.length >= maxParcels || (batch.length > 0 && size + one.size > maxCharacters);
      if (
        full ||
        this.#busy.has(threadKey) ||
        passedOver.has(threadKey) ||
        otherLease ||
        touchesAny(rows, one.parcel)
      ) {
        passedOver.add(threadKey);
        left.push(one);
        continue;
      }
      leases.set(threadKey, lease);
      batch.push(one);
      size += one.size;
    }
    for (const { parcel } of batch) this.#busy.add(parcel.threadKey);
    this.#waiting = left;
    return batch;
  }

  async #fly(batch: readonly Waiting[]): Promise<void> {
    this.#flights += 1;
    this.#schedule();
    try {
      await this.#storeTogether(batch);
    } finally {
      this.#flights -= 1;
      for (const { parcel } of batch) this.#busy.delete(parcel.threadKey);
      this.#schedule();
    }
  }

  /** A failure that is not the connection's may be that of one parcel: each is tried alone, and only that one fails. */
  async #storeTogether(batch: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await this.#store(batch.map(({ parcel }) => parcel));
      for (const [n, one] of batch.entries()) one.settle(outcomes[n] ?? "stored");
    } catch (error) {
      if (batch.length === 1 || !isRefusal(error)) for (const one of batch) one.fail(error);
      else for (const one of batch) await this.#storeTogether([one]);
    }
  }
}

/** The database answered with a SQLSTATE, so the connection is sound, and perhaps all but one parcel. */
function isRefusal(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && !isConnectionLost(error);
}

/** One statement cannot write a row twice: a second parcel for a row waits for the next one. */
function touchesAny(rows: Set<string>, { threadKey, checkpoint, writes }: Parcel): boolean {
  const keys = writes.map((row) => `${threadKey}${row.checkpointKey}${row.number}/${row.taskId}`);
  if (checkpoint !== undefined) keys.push(`${threadKey}${checkpoint.namespace}\x01${checkpoint.checkpointId}`);
  if (keys.some((key) => rows.has(key))) return true;
  for (const key of keys) rows.add(key);
  return false;
}

function sizeOf({ checkpoint, objects, writes }: Parcel): number {
  let size = checkpoint === undefined ? 0 : checkpoint.header.length + checkpoint.metadata.length;
  for (const object of objects) size += object.body.length;
  for (const row of writes) size += row.body.length;
  return size;
}
