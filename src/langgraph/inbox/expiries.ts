/** The default actions that a process does: a few at a time, for each begins a run. */

export interface Expiries {
  /** Has it done, now or when those before it have been. */
  add(id: string): void;
  /** Whether it waits to be done, or its run is under way. */
  has(id: string): boolean;
  /** Resolves when none waits and no run is under way. */
  settled(): Promise<void>;
}

const atOnce = 4;

/**
 * @param work does one, and never rejects; it calls `taken` once the answer is taken in: its run may go on for long, and
 * must not keep the next waiting
 * @param signal none is begun any more
 */
export function createExpiries(work: (id: string, taken: () => void) => Promise<void>, signal: AbortSignal): Expiries {
  const waiting = new Set<string>();
  const underWay = new Map<string, Promise<void>>();
  let taking = 0;
  const begin = (id: string): void => {
    let isTaken = false;
    const taken = () => {
      if (isTaken) return;
      isTaken = true;
      taking -= 1;
      beginNext();
    };
    taking += 1;
    const done = work(id, taken).finally(() => {
      underWay.delete(id);
      taken();
    });
    underWay.set(id, done);
  };
  const beginNext = (): void => {
    for (const id of waiting) {
      if (taking >= atOnce || signal.aborted) return;
      waiting.delete(id);
      begin(id);
    }
  };
  return {
    add(id) {
      if (signal.aborted || underWay.has(id)) return;
      waiting.add(id);
      beginNext();
    },
    has: (id) => waiting.has(id) || underWay.has(id),
    async settled() {
      while (underWay.size > 0) await Promise.all(underWay.values());
    },
  };
}
