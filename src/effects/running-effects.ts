/** What this process is doing to the outside world right now, so that a second call for the same waits for the first. */

export interface RunningCall {
  readonly inputHash: string;
  readonly receipt: Promise<unknown>;
}

/** By key of the effect. */
export class RunningEffects {
  /** Being performed: from the first look into the ledger to the last write. */
  readonly #performed = new Map<string, RunningCall>();
  /** Calls that were given up on and have not ended yet. */
  readonly #late = new Map<string, Promise<unknown>>();

  readonly #turns = new Map<string, Promise<void>>();
  /** Receipts by idempotency key that could not be written yet: the ledger knows less than this process. */
  readonly #unsaved = new Map<string, { readonly receipt: unknown }>();

  performed(key: string): RunningCall | undefined {
    return this.#performed.get(key);
  }

  /** Notes the work as long as it lasts. */
  perform(key: string, inputHash: string, work: () => Promise<unknown>): Promise<unknown> {
    const call: RunningCall = { inputHash, receipt: work() };
    this.#performed.set(key, call);
    const ended = () => {
      if (this.#performed.get(key) === call) this.#performed.delete(key);
    };
    call.receipt.then(ended, ended);
    return call.receipt;
  }

  unsaved(idempotencyKey: string): { readonly receipt: unknown } | undefined {
    return this.#unsaved.get(idempotencyKey);
  }

  keepUnsaved(idempotencyKey: string, receipt: unknown): void {
    this.#unsaved.set(idempotencyKey, { receipt });
  }

  saved(idempotencyKey: string): void {
    this.#unsaved.delete(idempotencyKey);
  }

  /** One after the other for each name. */
  async inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(name) ?? Promise.resolve();
    const turn = before.then(work);
    const ended = turn.then(
      () => {},
      () => {},
    );
    this.#turns.set(name, ended);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(name) === ended) this.#turns.delete(name);
    }
  }

  /** The call of this key that was given up on and may still have its effect. */
  late(key: string): Promise<unknown> | undefined {
    return this.#late.get(key);
  }

  /** @param settled resolves, and never rejects, when the call and all that is made of it has ended */
  noteLate(key: string, settled: Promise<unknown>): void {
    this.#late.set(key, settled);
    settled.then(() => {
      if (this.#late.get(key) === settled) this.#late.delete(key);
    });
  }
}

const all = Symbol.for("langgraph-resilience.runningEffects");

/** One for the process, however often the database, or this module, was opened: keys are unique beyond both. */
export function runningEffects(): RunningEffects {
  const home = globalThis as { [all]?: RunningEffects };
  home[all] ??= new RunningEffects();
  return home[all];
}
