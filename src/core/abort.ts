/**
 * The end of one piece of work: by a limit of its own, or because whoever asked for it gave up. An `AbortSignal` is made
 * only for those who ask for one: on Node 20 it costs ten times the rest of a call.
 */

/** Known of signals this package has made: when the work they belong to must be done, in ms since the Unix epoch. */
const deadlines = new WeakMap<AbortSignal, number>();

/** The time by which all work under this signal has to be done; undefined where nobody set one. */
export function deadlineOf(signal: AbortSignal | undefined): number | undefined {
  return signal === undefined ? undefined : deadlines.get(signal);
}

export class Cancellation {
  readonly #outer: AbortSignal | undefined;
  readonly #onAbort: ((reason: unknown) => void) | undefined;
  #controller: AbortController | undefined;
  #aborted = false;
  #reason: unknown;
  /** The earlier of its own deadline and that of the outer signal. */
  readonly deadlineAt: number | undefined;

  /**
   * @param outer aborts this too; {@link dispose} lets go of it
   * @param onAbort called once, at once
   */
  constructor(outer?: AbortSignal, onAbort?: (reason: unknown) => void, deadlineAt?: number) {
    this.#outer = outer;
    this.#onAbort = onAbort;
    const inherited = deadlineOf(outer);
    this.deadlineAt =
      inherited === undefined || deadlineAt === undefined ? (inherited ?? deadlineAt) : Math.min(inherited, deadlineAt);
    if (outer === undefined) return;
    if (outer.aborted) this.abort(outer.reason);
    else outer.addEventListener("abort", this);
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
      if (this.deadlineAt !== undefined) deadlines.set(this.#controller.signal, this.deadlineAt);
      if (this.#aborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
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
    this.#outer?.removeEventListener("abort", this);
  }

  /** The listener on the outer signal. */
  handleEvent(): void {
    this.abort(this.#outer?.reason);
  }
}
