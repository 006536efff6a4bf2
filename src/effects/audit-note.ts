/** What goes into the audit log with a change of the ledger. */
import { AUTOMATIC, type AuditEntry } from "../core/audit-ports.js";
import type { EffectEntry, EffectState } from "../core/effect-ports.js";

/** Names the ledger's record of a rollback: not a name that an effect can have. */
export const ROLLBACK_ENTRY = "(rollback)";

/** Who changes the ledger, and why. */
export interface Signer {
  readonly by: string;
  readonly reason?: string;
  /** What each change is noted as; default: as its state says, those that undo something alone. */
  readonly as?: string;
}

export const NOBODY: Signer = { by: AUTOMATIC };

const effectNotes: Partial<Record<EffectState, string>> = {
  compensating: "effect.compensating",
  compensated: "effect.compensated",
  compensation_failed: "effect.compensation_failed",
};
const rollbackNotes: Partial<Record<EffectState, string>> = {
  dispatched: "rollback.begun",
  confirmed: "rollback.done",
};

/** Undefined for a change that is no deed of its own: what was done is in the ledger. */
export function auditNote(entry: EffectEntry, signer: Signer, nowMs: number): AuditEntry | undefined {
  const { threadId, effect, state, change } = entry;
  const isRollback = effect === ROLLBACK_ENTRY;
  const what = isRollback ? rollbackNotes[state] : (signer.as ?? effectNotes[state]);
  if (what === undefined) return undefined;
  const { by, reason } = signer;
  return {
    v: 1,
    id: change,
    at: nowMs,
    by,
    what,
    threadId,
    ...(reason === undefined ? {} : { reason }),
    details: isRollback ? { ...(entry.input as object) } : effectDetails(entry),
  };
}

function effectDetails({ effect, key, epoch, kind, state, scope, undoCalls, error }: EffectEntry) {
  return {
    effect,
    key,
    epoch,
    kind,
    state,
    node: scope.map(({ node }) => node).join("/"),
    undoCalls,
    ...(error === undefined ? {} : { error }),
  };
}
