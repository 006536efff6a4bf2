/** That a rollback is under way is kept in the thread's ledger, so that nothing else goes on from its middle. */
import type { EffectEntry, EffectLedger, StoredEffect } from "../../core/effect-ports.js";
import type { LedgerBook } from "../../effects/ledger-book.js";
import { ThreadError } from "../../errors/own-errors.js";
import { ownProcess } from "../effects/calling-process.js";

/** Not the name an effect can have. */
const ROLLBACK = "(rollback)";

interface Way {
  readonly target: string;
  readonly head: string;
}

export interface OpenRollback extends Way {
  readonly entry: EffectEntry;
}

export function isRollback({ effect }: Pick<EffectEntry, "effect">): boolean {
  return effect === ROLLBACK;
}

export async function openRollback(ledger: EffectLedger, threadId: string): Promise<OpenRollback | undefined> {
  const { found } = await newest(ledger, threadId);
  return found === undefined || found.state !== "dispatched" ? undefined : { ...(found.input as Way), entry: found };
}

export async function beginRollback(book: LedgerBook, threadId: string, way: Way): Promise<OpenRollback> {
  const { found } = await newest(book.ledger, threadId);
  const added = await book.add({
    threadId,
    key: ROLLBACK,
    epoch: found === undefined ? 0 : found.epoch + 1,
    idempotencyKey: ROLLBACK,
    effect: ROLLBACK,
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

/** @throws ThreadError THREAD_NOT_RESUMABLE while a rollback of the thread is not finished */
export async function refuseAmidRollback(
  ledger: EffectLedger | undefined,
  threadId: string,
  label: string,
): Promise<void> {
  const open = ledger === undefined ? undefined : await openRollback(ledger, threadId);
  if (open === undefined) return;
  throw new ThreadError(
    "THREAD_NOT_RESUMABLE",
    `A rollback of thread "${label}" to checkpoint ${open.target} was begun and not finished; finish it first: rollback(graph, "${label}") or lgr rollback ${label}`,
    { details: { threadId, target: open.target } },
  );
}

function newest(ledger: EffectLedger, threadId: string): Promise<{ readonly found?: StoredEffect }> {
  return ledger.look(threadId, ROLLBACK, { effect: ROLLBACK, place: "" });
}
