/** That a rollback is under way is kept in the thread's ledger, so that nothing else goes on from its middle. */

import type { EffectEntry, EffectLedger, StoredEffect } from "../../core/effect-ports.js";
import { shellQuote } from "../../core/shell-quote.js";
import { ROLLBACK_ENTRY } from "../../effects/audit-note.js";
import type { LedgerBook } from "../../effects/ledger-book.js";
import { ThreadError } from "../../errors/own-errors.js";
import type { AffectedOnly } from "../../recovery/rollback-plan.js";
import type { RollbackScope } from "../../recovery/rollback-target.js";
import { ownProcess } from "../effects/calling-process.js";

/** How a rollback goes, as it is kept until it is done. */
export interface RollbackWay {
  readonly target: string;
  readonly head: string;
  readonly scope: RollbackScope;
  readonly only?: AffectedOnly;
  /** Whether the head is damaged: the new one is then beside the target and not after it. */
  readonly isDamaged?: true;
  /** Whether the thread stays where it is. */
  readonly stays?: true;
  /** Whether a run has begun it and goes on after it. */
  readonly resumes?: true;
  /** Whether it was agreed that something may stay in the world. */
  readonly acceptStanding?: true;
  /** The checkpoint with the input of the run that it was made in; where it counts. */
  readonly run?: string;
  /** The node whose failure it is for, where nobody was asked. */
  readonly because?: string;
}

export interface OpenRollback extends RollbackWay {
  readonly entry: EffectEntry;
}

export function isRollback({ effect }: Pick<EffectEntry, "effect">): boolean {
  return effect === ROLLBACK_ENTRY;
}

/** One that was written before there were scopes is of the whole thread. */
export function wayOf({ input }: Pick<EffectEntry, "input">): RollbackWay {
  return { scope: "session", ...(input as Omit<RollbackWay, "scope">) };
}

export async function openRollback(ledger: EffectLedger, threadId: string): Promise<OpenRollback | undefined> {
  const { found } = await newest(ledger, threadId);
  return found === undefined || found.state !== "dispatched" ? undefined : { ...wayOf(found), entry: found };
}

export async function beginRollback(book: LedgerBook, threadId: string, way: RollbackWay): Promise<OpenRollback> {
  const { found } = await newest(book.ledger, threadId);
  const added = await book.add({
    threadId,
    key: ROLLBACK_ENTRY,
    epoch: found === undefined ? 0 : found.epoch + 1,
    idempotencyKey: ROLLBACK_ENTRY,
    effect: ROLLBACK_ENTRY,
    kind: "read",
    state: "dispatched",
    scope: [],
    place: "",
    name: "",
    inputHash: "",
    input: way,
    calls: 1,
    undoCalls: 0,
    caller: { process: ownProcess(), until: book.now },
  });
  if (added === undefined)
    throw new ThreadError(
      "THREAD_NOT_RESUMABLE",
      `Another rollback of thread "${threadId}" was begun meanwhile; see what became of it`,
    );
  return { ...way, entry: added };
}

export async function endRollback(book: LedgerBook, { entry }: OpenRollback): Promise<void> {
  await book.move(entry, "confirmed", { settledAt: book.now, caller: undefined });
}

/** A thread in the middle of a rollback does not run: its state and the world do not agree. */
export function amidRollback({ target }: OpenRollback, threadId: string, label: string): ThreadError {
  return new ThreadError(
    "THREAD_NOT_RESUMABLE",
    `A rollback of thread "${label}" to checkpoint ${target} was begun and not finished; finish it first: rollback(graph, "${label}") or lgr rollback ${shellQuote(label)}`,
    { details: { threadId, target } },
  );
}

function newest(ledger: EffectLedger, threadId: string): Promise<{ readonly found?: StoredEffect }> {
  return ledger.look(threadId, ROLLBACK_ENTRY, { effect: ROLLBACK_ENTRY, place: "" });
}
