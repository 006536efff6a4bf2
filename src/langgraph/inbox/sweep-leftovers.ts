/** What a process can do nothing about stays the longest overdue: what it remembers so as not to read it at each sweep. */
import type { StoredInboxItem } from "../../core/inbox-ports.js";
import type { Paging } from "./each-page.js";

export interface SweepLeftovers {
  /** A sweep begins. @returns how far it reads, and whether it is a thorough one, that looks at everything again */
  begin(nowMs: number): Paging & { readonly isThorough: boolean };
  /** A thorough sweep has come to its end. */
  lookedThrough(nowMs: number): void;
  add(item: StoredInboxItem): void;
  /** Whether it was left as it is now. */
  has(item: StoredInboxItem): boolean;
  /** Whether to ask now how the thread of a question stands that is for others: a few at a time, in turn. */
  mayLook(id: string): boolean;
}

const pageSize = 50;
const thoroughEveryMs = 60_000;
/** Of others' questions a sweep that is not thorough reads past so many. */
const readPast = 150;
const looksAtOnce = 50;

export function createSweepLeftovers(): SweepLeftovers {
  /** Their versions, by ID. */
  let left = new Map<string, number>();
  let thoroughAt: number | undefined;
  let looked = new Set<string>();
  let looks = 0;
  return {
    begin(nowMs) {
      const size = left.size;
      const isThorough = thoroughAt === undefined || nowMs < thoroughAt || nowMs - thoroughAt >= thoroughEveryMs;
      if (!isThorough) return { isThorough, first: Math.min(size, readPast) + pageSize, most: readPast + pageSize };
      thoroughAt = undefined;
      left = new Map();
      // All have had their turn.
      if (looks > 0) looked = new Set();
      looks = looksAtOnce;
      return { isThorough, first: size + pageSize };
    },
    lookedThrough: (nowMs) => {
      thoroughAt = nowMs;
    },
    add: ({ id, version }) => left.set(id, version),
    has: ({ id, version }) => left.get(id) === version,
    mayLook(id) {
      if (looks === 0 || looked.has(id)) return false;
      looks -= 1;
      looked.add(id);
      return true;
    },
  };
}
