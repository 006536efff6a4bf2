/** Writes an effect's way through its states into the ledger, each state only after the one it follows. */
import { randomUUID } from "node:crypto";
import type { Clock } from "../core/clock.js";
import type { EffectEntry, EffectLedger, EffectState, StoredEffect } from "../core/effect-ports.js";
import type { HeldLease } from "../core/run-hold.js";
import { LeaseLostError } from "../errors/persistence-errors.js";
import { auditNote, NOBODY, type Signer } from "./audit-note.js";

type Changeable = Omit<EffectEntry, "v" | "threadId" | "key" | "epoch" | "change" | "intendedAt">;

/** `undefined` takes a field away. */
export type Change = { readonly [K in keyof Changeable]?: Changeable[K] | undefined };

/** Which states may follow which. */
const after: Readonly<Record<EffectState, readonly EffectState[]>> = {
  intended: [],
  dispatched: ["intended", "failed", "unknown", "dispatched"],
  confirmed: ["dispatched", "unknown"],
  failed: ["dispatched", "unknown"],
  unknown: ["dispatched"],
  compensating: ["confirmed", "compensating", "compensation_failed"],
  compensated: ["compensating", "compensation_failed"],
  compensation_failed: ["compensating"],
};

export class LedgerBook {
  readonly ledger: EffectLedger;
  readonly #lease: HeldLease | undefined;
  readonly #clock: Clock;
  readonly #signer: Signer;

  /** @param signer whom the audit log names */
  constructor(ledger: EffectLedger, lease: HeldLease | undefined, clock: Clock, signer = NOBODY) {
    this.ledger = ledger;
    this.#lease = lease;
    this.#clock = clock;
    this.#signer = signer;
  }

  /** The same book, in another's name. */
  signedBy(signer: Signer): LedgerBook {
    return new LedgerBook(this.ledger, this.#lease, this.#clock, signer);
  }

  get now(): number {
    return this.#clock.now();
  }

  /**
   * @returns the entry; undefined when somebody else has written one under its key and epoch before
   * @throws LeaseLostError
   */
  add(entry: Omit<EffectEntry, "v" | "change" | "intendedAt">): Promise<EffectEntry | undefined> {
    return this.#move({ ...entry, v: 1, change: randomUUID(), intendedAt: this.now }, []);
  }

  /**
   * @param from the states it may come from; default all that the new one may follow
   * @returns the entry as it is then; undefined when it is in another state by now
   * @throws LeaseLostError
   */
  move(
    entry: EffectEntry,
    state: EffectState,
    change: Change = {},
    from: readonly EffectState[] = after[state],
  ): Promise<EffectEntry | undefined> {
    const { seq: _, ...stored } = entry as StoredEffect;
    return this.#move({ ...stored, ...change, state, change: randomUUID() } as EffectEntry, from);
  }

  async #move(entry: EffectEntry, from: readonly EffectState[]): Promise<EffectEntry | undefined> {
    const note = auditNote(entry, this.#signer, this.now);
    switch (await this.ledger.move(entry, from, this.#lease, note)) {
      case "moved":
        return entry;
      case "refused":
        return undefined;
      case "lease lost":
        throw new LeaseLostError(this.#lease?.name ?? "");
    }
  }
}
