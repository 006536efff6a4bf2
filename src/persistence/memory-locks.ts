import { type Clock, systemClock } from "../core/clock.js";
import type { HeldLease } from "../core/run-hold.js";
import type { LeaseAnswer, LeaseStore } from "../core/store-ports.js";

interface Row {
  readonly token: number;
  readonly holder: string;
  readonly expiresAtMs: number;
}

/** Leases of this process. */
export class MemoryLocks implements LeaseStore {
  readonly #rows = new Map<string, Row>();
  readonly #clock: Clock;
  #lastToken = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  async acquire(name: string, holder: string, leaseMs: number): Promise<LeaseAnswer> {
    return this.#take(name, holder, leaseMs, (row) => row.expiresAtMs <= this.#clock.now());
  }

  async takeOver(name: string, token: number, holder: string, leaseMs: number): Promise<LeaseAnswer> {
    return this.#take(name, holder, leaseMs, (row) => row.token === token || row.expiresAtMs <= this.#clock.now());
  }

  async renew(name: string, token: number, leaseMs: number): Promise<boolean> {
    const row = this.#rows.get(name);
    if (row?.token !== token) return false;
    this.#rows.set(name, { ...row, expiresAtMs: this.#clock.now() + leaseMs });
    return true;
  }

  async release(name: string, token: number): Promise<void> {
    if (this.#rows.get(name)?.token === token) this.#rows.delete(name);
  }

  /** Whether a write under this lease counts. */
  isHeld({ name, token }: HeldLease): boolean {
    const row = this.#rows.get(name);
    return row?.token === token && row.expiresAtMs > this.#clock.now();
  }

  #take(name: string, holder: string, leaseMs: number, isFree: (row: Row) => boolean): LeaseAnswer {
    const row = this.#rows.get(name);
    const isOwn = row?.holder === holder;
    if (row !== undefined && !isOwn && !isFree(row)) {
      const { token, expiresAtMs } = row;
      return { kind: "busy", holder: row.holder, token, expiresInMs: expiresAtMs - this.#clock.now() };
    }
    if (!isOwn) this.#lastToken += 1;
    const token = isOwn ? row.token : this.#lastToken;
    this.#rows.set(name, { token, holder, expiresAtMs: this.#clock.now() + leaseMs });
    return { kind: "held", token };
  }
}
