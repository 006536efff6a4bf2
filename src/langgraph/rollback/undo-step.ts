/** What a failed step did is undone from within its run: the thread goes forward, to the same step anew. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { AUTOMATIC } from "../../core/audit-ports.js";
import { systemClock } from "../../core/clock.js";
import type { EffectLedger, EffectScope } from "../../core/effect-ports.js";
import { runHoldOf } from "../../core/run-hold.js";
import { LedgerBook } from "../../effects/ledger-book.js";
import { affectedBy, type PlannedEffect } from "../../recovery/rollback-plan.js";
import { isRollback } from "./open-rollback.js";
import { lookedUp, undoAll } from "./undo-all.js";

export interface UndoStepRequest {
  readonly ledger: EffectLedger;
  readonly threadId: string;
  /** The step at its first execution. */
  readonly scope: EffectScope;
  readonly acceptStanding: boolean;
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
}

/** `why`: nothing was undone where something would have stayed, else all but what failed. */
export type UndoneStep =
  | { readonly kind: "undone"; readonly effects: readonly PlannedEffect[] }
  | { readonly kind: "refused"; readonly why: string };

/** Interrupted, it goes on where it was when it is called again. */
export async function undoStep(request: UndoStepRequest, config: LangGraphRunnableConfig): Promise<UndoneStep> {
  const { ledger, threadId, scope, acceptStanding, by = AUTOMATIC, reason } = request;
  const { signal } = config;
  const signer = { by, ...(reason === undefined ? {} : { reason }) };
  const book = new LedgerBook(ledger, runHoldOf(config)?.lease, systemClock, signer);
  const affected = async () => {
    const entries = (await ledger.list(threadId)).filter((entry) => !isRollback(entry));
    return affectedBy(entries, new Set(), { steps: [scope] });
  };
  await lookedUp(book, (await affected()).doubtful, signal);
  const { undo, doubtful, stays } = await affected();
  const standing = [...doubtful.map(({ effect }) => `whether "${effect}" happened is not known`), ...stays.map(said)];
  if (standing.length > 0 && !acceptStanding)
    return { kind: "refused", why: `something would stay in the world: ${standing.join("; ")}` };
  const { undone, failed } = await undoAll(book, undo, { signal });
  if (failed.length === 0) return { kind: "undone", effects: undone };
  const what = failed.map(({ effect, why }) => `"${effect}": ${why ?? "undoing it failed"}`).join("; ");
  return { kind: "refused", why: `not all could be undone: ${what}` };
}

function said([{ effect }, why]: readonly [{ readonly effect: string }, string]): string {
  return `"${effect}": ${why}`;
}
