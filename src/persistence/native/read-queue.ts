/** Checkpoints that concurrent threads ask for in the same turn of the event loop are read in one statement. */
import type { CheckpointRows } from "./checkpoint-rows.js";

export interface Wanted {
  readonly threadId: string;
  readonly namespace: string;
  /** Default the newest. */
  readonly checkpointId: string | undefined;
}

/** Reads several; rows by the place of who wants them, from 1. */
export type ReadTogether = (wanted: readonly Wanted[]) => Promise<CheckpointRows>;

/** Large enough for a burst, small enough that one slow answer does not hold up hundreds. */
const maxTogether = 100;

interface Waiting {
  readonly wanted: Wanted;
  found(rows: CheckpointRows, place: number): void;
  fail(error: unknown): void;
}

export class ReadQueue {
  #waiting: Waiting[] = [];
  readonly #read: ReadTogether;

  constructor(read: ReadTogether) {
    this.#read = read;
  }

  /** @returns the rows, and at which place of them it is; undefined when it is not stored */
  find(wanted: Wanted): Promise<{ readonly rows: CheckpointRows; readonly n: number } | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        wanted,
        found: (rows, place) => {
          const n = rows.placeOf(place);
          resolve(n === undefined ? undefined : { rows, n });
        },
        fail: reject,
      });
      if (this.#waiting.length === 1) setImmediate(() => this.#readAll());
    });
  }

  #readAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let at = 0; at < waiting.length; at += maxTogether) void this.#readSome(waiting.slice(at, at + maxTogether));
  }

  async #readSome(some: readonly Waiting[]): Promise<void> {
    try {
      const rows = await this.#read(some.map(({ wanted }) => wanted));
      for (const [n, one] of some.entries()) one.found(rows, n + 1);
    } catch (error) {
      for (const one of some) one.fail(error);
    }
  }
}
