/** What a failed step did, or the run so far, is undone from within the run: the thread does not go back. */
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { AUTOMATIC } from "../../core/audit-ports.js";
import { systemClock } from "../../core/clock.js";
import type { EffectLedger, EffectScope } from "../../core/effect-ports.js";
import { runHoldOf } from "../../core/run-hold.js";
import { LedgerBook } from "../../effects/ledger-book.js";
import { affectedBy, type PlannedEffect } from "../../recovery/rollback-plan.js";
import { ownFrames } from "../effects/effect-scope.js";
import { checkpointerOf } from "../internals.js";
import { isRollback } from "./open-rollback.js";
import { affectedIn, wayPoints } from "./reach.js";
import { lookedUp, undoAll } from "./undo-all.js";

export interface UndoStepRequest {
  readonly ledger: EffectLedger;
  readonly threadId: string;
  /** The step at its first execution. */
  readonly scope: EffectScope;
  readonly acceptStanding: boolean;
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
  /** Told how many effects are to be undone, before the first is. */
  readonly begun?: (effects: number) => Promise<void>;
}

/** `why`: nothing was undone where something would have stayed, else all but what failed. */
export type UndoneStep =
  | { readonly kind: "undone"; readonly effects: readonly PlannedEffect[] }
  | { readonly kind: "refused"; readonly why: string; readonly undone: number; readonly failed: number };

/** Interrupted, it goes on where it was when it is called again. */
export async function undoStep(request: UndoStepRequest, config: LangGraphRunnableConfig): Promise<UndoneStep> {
  const { ledger, threadId, scope, acceptStanding, by = AUTOMATIC, reason } = request;
  const { signal } = config;
  const signer = { by, ...(reason === undefined ? {} : { reason }) };
  const book = new LedgerBook(ledger, runHoldOf(config)?.lease, systemClock, signer);
  const affected = async () => {
    const entries = (await ledger.list(threadId)).filter((entry) => !isRollback(entry));
    return affectedBy(entries, { from: new Set(), only: { steps: [scope] } });
  };
  await lookedUp(book, (await affected()).doubtful, signal);
  const { undo, doubtful, stays } = await affected();
  const standing = [...doubtful.map(({ effect }) => `whether "${effect}" happened is not known`), ...stays.map(said)];
  if (standing.length > 0 && !acceptStanding)
    return { kind: "refused", why: `something would stay in the world: ${standing.join("; ")}`, undone: 0, failed: 0 };
  await request.begun?.(undo.length);
  const { undone, failed } = await undoAll(book, undo, { signal });
  if (failed.length === 0) return { kind: "undone", effects: undone };
  return { kind: "refused", why: notUndone(failed), undone: undone.length, failed: failed.length };
}

export function notUndone(failed: readonly PlannedEffect[]): string {
  const what = failed.map(({ effect, why }) => `"${effect}": ${why ?? "undoing it failed"}`).join("; ");
  return `not all could be undone: ${what}`;
}

function said([{ effect }, why]: readonly [{ readonly effect: string }, string]): string {
  return `"${effect}": ${why}`;
}

/**
 * What the run did up to the step that asks, before it is ended there: as far as it is known to have happened, for others
 * of its steps may be under way.
 *
 * @returns what could not be undone
 */
export async function undoRun(
  { ledger, threadId, by = AUTOMATIC, reason }: Omit<UndoStepRequest, "scope" | "acceptStanding">,
  config: LangGraphRunnableConfig,
): Promise<readonly PlannedEffect[]> {
  const root = ownFrames(config)[0]?.checkpointId;
  const saver = checkpointerOf(config) as BaseCheckpointSaver | undefined;
  if (root === undefined || saver === undefined) return [];
  const stores = { saver, ledger, threadId };
  const way = await wayPoints(stores, root, "");
  const begin = way.findIndex(({ source }) => source === "input");
  const from = new Set(way.slice(0, begin === -1 ? way.length : begin + 1).map(({ checkpointId }) => checkpointId));
  const signer = { by, ...(reason === undefined ? {} : { reason }) };
  const book = new LedgerBook(ledger, runHoldOf(config)?.lease, systemClock, signer);
  const { undo } = await affectedIn(stores, { from });
  const { failed } = await undoAll(book, undo, { signal: config.signal });
  return failed;
}
