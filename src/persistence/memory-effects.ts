import type { AuditEntry } from "../core/audit-ports.js";
import type { EffectEntry, EffectLedger, EffectMove, EffectState, StoredEffect } from "../core/effect-ports.js";
import type { HeldLease } from "../core/run-hold.js";
import { jsonText } from "./json-text.js";
import type { MemoryAudit } from "./memory-audit.js";
import type { MemoryLocks } from "./memory-locks.js";

interface Row extends Pick<EffectEntry, "key" | "epoch" | "effect" | "place" | "state" | "change"> {
  readonly seq: number;
  /** The whole entry. */
  readonly json: string;
}

/** The effects of a process that keeps nothing. */
export class MemoryEffects implements EffectLedger {
  /** By thread, then by key and epoch, in the order of intent. */
  readonly #threads = new Map<string, Map<string, Row>>();
  readonly #locks: Pick<MemoryLocks, "isHeld">;
  readonly #audit: Pick<MemoryAudit, "add">;
  #lastSeq = 0;

  constructor(locks: Pick<MemoryLocks, "isHeld">, audit: Pick<MemoryAudit, "add">) {
    this.#locks = locks;
    this.#audit = audit;
  }

  async look(
    threadId: string,
    key: string,
    like: { readonly effect: string; readonly place: string },
  ): Promise<{ readonly found?: StoredEffect; readonly newest?: StoredEffect }> {
    let found: Row | undefined;
    let newest: Row | undefined;
    for (const row of this.#threads.get(threadId)?.values() ?? []) {
      if (row.key === key && row.epoch > (found?.epoch ?? -1)) found = row;
      if (row.effect === like.effect && row.place === like.place) newest = row;
    }
    return {
      ...(found === undefined ? {} : { found: toStored(found) }),
      ...(newest === undefined ? {} : { newest: toStored(newest) }),
    };
  }

  async move(
    entry: EffectEntry,
    from: readonly EffectState[],
    lease?: HeldLease,
    audit?: AuditEntry,
  ): Promise<EffectMove> {
    const { threadId, key, epoch, effect, place, state, change } = entry;
    const json = jsonText(`Effect "${effect}"`, entry);
    if (lease !== undefined && !this.#locks.isHeld(lease)) return "lease lost";
    const rows = this.#threads.get(threadId) ?? new Map<string, Row>();
    const at = JSON.stringify([key, epoch]);
    const row = rows.get(at);
    const isRepeated = row?.change === change;
    if (!isRepeated && (row === undefined ? from.length > 0 : !from.includes(row.state))) return "refused";
    if (audit !== undefined) this.#audit.add(audit);
    if (isRepeated) return "moved";
    if (row === undefined) this.#lastSeq += 1;
    rows.set(at, { key, epoch, effect, place, state, change, json, seq: row?.seq ?? this.#lastSeq });
    this.#threads.set(threadId, rows);
    return "moved";
  }

  async list(threadId: string): Promise<readonly StoredEffect[]> {
    return [...(this.#threads.get(threadId)?.values() ?? [])].map(toStored);
  }

  /** The thread was deleted. */
  forget(threadId: string): void {
    this.#threads.delete(threadId);
  }
}

function toStored({ json, seq }: Row): StoredEffect {
  return { ...(JSON.parse(json) as EffectEntry), seq };
}
