/** What is made in one place and read in another, in order. Nothing is lost when the reader is slow; nobody waits for it. */
export interface Channel<T> extends AsyncIterable<T> {
  push(item: T): void;
  /** No more will come. */
  end(): void;
  /** The reader gets what is there, and then this. */
  fail(error: unknown): void;
}

type Ending = { readonly kind: "ended" } | { readonly kind: "failed"; readonly error: unknown };

/** For one reader. */
export function createChannel<T>(): Channel<T> {
  let items: T[] = [];
  let ending: Ending | undefined;
  let wake: (() => void) | undefined;
  const changed = () => {
    wake?.();
    wake = undefined;
  };
  const finish = (how: Ending) => {
    ending ??= how;
    changed();
  };
  return {
    push(item) {
      if (ending !== undefined) return;
      items.push(item);
      changed();
    },
    end: () => finish({ kind: "ended" }),
    fail: (error) => finish({ kind: "failed", error }),
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const ready = items;
        items = [];
        yield* ready;
        if (items.length > 0) continue;
        if (ending?.kind === "failed") throw ending.error;
        if (ending !== undefined) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
