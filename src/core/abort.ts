/**
 * The end of one piece of work: by a limit of its own, or because whoever asked for it gave up. Pieces of work lie within
 * one another, and what must be known further out (an effect that was begun, an answer that is degraded) or further in
 * (a deadline, a service that is held) is found along that chain.
 *
 * An `AbortSignal` is made only for those who ask for one: on Node 20 it costs ten times the rest of a call.
 */

/** The work that a signal of this package belongs to. */
const works = new WeakMap<AbortSignal, Cancellation>();

export function cancellationOf(signal: AbortSignal | undefined): Cancellation | undefined {
  return signal === undefined ? undefined : works.get(signal);
}

export interface CancellationOptions {
  /** Aborts this too; {@link Cancellation.dispose} lets go of it. */
  readonly outer?: AbortSignal | undefined;
  /** The work that this is part of; default the one that `outer` belongs to. */
  readonly within?: Cancellation | undefined;
  /** Called once, at once. */
  readonly onAbort?: (reason: unknown) => void;
  /** When the work has to be done, in ms since the Unix epoch; an earlier one further out holds. */
  readonly deadlineAt?: number | undefined;
  /** The service that the work has been admitted to. */
  readonly holds?: object | undefined;
}

export class Cancellation {
  readonly #outer: AbortSignal | undefined;
  readonly #onAbort: ((reason: unknown) => void) | undefined;
  readonly #holds: object | undefined;
  #controller: AbortController | undefined;
  #aborted = false;
  #reason: unknown;
  #effects: Set<string> | undefined;
  #effectsOfItsOwn = 0;
  #degraded = false;
  readonly within: Cancellation | undefined;
  readonly deadlineAt: number | undefined;

  constructor({ outer, within = cancellationOf(outer), onAbort, deadlineAt, holds }: CancellationOptions = {}) {
    this.#outer = outer;
    this.#onAbort = onAbort;
    this.#holds = holds;
    this.within = within;
    const inherited = within?.deadlineAt;
    this.deadlineAt =
      inherited === undefined || deadlineAt === undefined ? (inherited ?? deadlineAt) : Math.min(inherited, deadlineAt);
    if (outer === undefined) return;
    if (outer.aborted) this.abort(outer.reason);
    else join(outer, this);
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      works.set(this.#controller.signal, this);
      if (this.#aborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Effects on the outside world that it, or work within it, has begun and that must not happen twice. */
  get effects(): ReadonlySet<string> | undefined {
    return this.#effects;
  }

  /** Whether work within it was answered by something simpler. */
  get degraded(): boolean {
    return this.#degraded;
  }

  /** How often it was told of an effect itself, and not through work within it. */
  get effectsOfItsOwn(): number {
    return this.#effectsOfItsOwn;
  }

  noteEffect(effect: string): void {
    this.#effectsOfItsOwn += 1;
    for (let work: Cancellation | undefined = this; work !== undefined; work = work.within) {
      work.#effects ??= new Set();
      work.#effects.add(effect);
    }
  }

  noteDegraded(): void {
    for (let work: Cancellation | undefined = this; work !== undefined; work = work.within) work.#degraded = true;
  }

  /** Whether it, or work that it is part of, has been admitted to the service. */
  holds(service: object): boolean {
    for (let work: Cancellation | undefined = this; work !== undefined; work = work.within)
      if (work.#holds === service) return true;
    return false;
  }

  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    this.dispose();
    this.#controller?.abort(reason);
    this.#onAbort?.(reason);
  }

  dispose(): void {
    if (this.#outer !== undefined) leave(this.#outer, this);
  }
}

/** Who waits for which signal: one listener each, however many wait, for Node warns of eleven and looks through all. */
const waiting = new WeakMap<AbortSignal, Set<Cancellation>>();

function join(signal: AbortSignal, work: Cancellation): void {
  const known = waiting.get(signal);
  const works = known ?? new Set();
  if (known === undefined) waiting.set(signal, works);
  if (works.size === 0) signal.addEventListener("abort", onAbort);
  works.add(work);
}

function leave(signal: AbortSignal, work: Cancellation): void {
  const works = waiting.get(signal);
  if (works?.delete(work) === true && works.size === 0) signal.removeEventListener("abort", onAbort);
}

function onAbort({ target }: Event): void {
  // Not `currentTarget`: Node clears that after the first listener.
  const signal = target as AbortSignal;
  for (const work of [...(waiting.get(signal) ?? [])]) work.abort(signal.reason);
}

/** Waits for `work`, but no longer than until the signal aborts. @throws its reason */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise<T>((resolve, reject) => {
    const scope = new Cancellation({ outer: signal, onAbort: reject });
    if (scope.aborted) {
      // Nobody waits for it any more, and its failure is nobody's.
      work.catch(() => undefined);
      return;
    }
    work.then(
      (value) => {
        scope.dispose();
        resolve(value);
      },
      (error: unknown) => {
        scope.dispose();
        reject(error);
      },
    );
  });
}
