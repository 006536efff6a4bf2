/** Undoes effects one after the other; one that fails for good does not keep the others from being undone. */
import type { StoredEffect } from "../../core/effect-ports.js";
import type { ProbeAnswer } from "../../effects/effect.js";
import { knownEffect } from "../../effects/known-effects.js";
import type { LedgerBook } from "../../effects/ledger-book.js";
import { undoEffect } from "../../effects/undo-effect.js";
import { asError } from "../../errors/own-errors.js";
import { type PlannedEffect, planned, whyItStays } from "../../recovery/rollback-plan.js";
import { ownProcess } from "../effects/calling-process.js";

export interface UndoneAll {
  readonly undone: readonly PlannedEffect[];
  readonly failed: readonly PlannedEffect[];
}

interface Watch {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?:
    | ((done: PlannedEffect, count: { readonly done: number; readonly of: number }) => void)
    | undefined;
}

/**
 * @param entries in the order of undoing
 * @throws the signal's reason, between two effects; LeaseLostError
 */
export async function undoAll(
  book: LedgerBook,
  entries: readonly StoredEffect[],
  { signal, onProgress }: Watch,
): Promise<UndoneAll> {
  const undone: PlannedEffect[] = [];
  const failed: PlannedEffect[] = [];
  for (const entry of entries) {
    signal?.throwIfAborted();
    const done = await undoOne(book, entry);
    (done.why === undefined ? undone : failed).push(done);
    onProgress?.(done, { done: undone.length + failed.length, of: entries.length });
  }
  return { undone, failed };
}

async function undoOne(book: LedgerBook, entry: StoredEffect): Promise<PlannedEffect> {
  const known = knownEffect(entry);
  if (typeof known !== "object" || known.undoing === undefined) return planned(entry, whyItStays(entry) ?? "");
  const { undoing, limitMs, tried } = known;
  const done = await undoEffect(
    // Not under the signal of who asked: an undoing that has begun is brought to its end.
    { book, undoing, process: ownProcess(), limitMs, tried: (work) => tried(work, undefined) },
    entry,
  );
  switch (done.kind) {
    case "undone":
      return planned(done.entry);
    case "failed":
      return planned(done.entry, done.error.message);
    case "overtaken":
      return planned(entry, "somebody else has changed it meanwhile; look again");
  }
}

/** Asks about each effect that may have happened; what cannot be found out stays as it is. */
export async function lookedUp(
  book: LedgerBook,
  doubtful: readonly StoredEffect[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const entry of doubtful) {
    signal?.throwIfAborted();
    const known = knownEffect(entry);
    if (typeof known !== "object") continue;
    const { effect, tried } = known;
    const { probe } = effect;
    if (probe === undefined) continue;
    const call = { idempotencyKey: entry.idempotencyKey };
    const answer = await tried(async (within) => probe(entry.input, { ...call, signal: within }), signal).then(
      (found) => found as ProbeAnswer<unknown>,
      (error: unknown) => {
        process.emitWarning(
          `Whether effect "${entry.effect}" happened could not be looked up: ${asError(error).message}`,
          "ResilienceWarning",
        );
        return undefined;
      },
    );
    const change = { settledAt: book.now, caller: undefined };
    if (answer?.happened === true) await book.move(entry, "confirmed", { ...change, receipt: answer.receipt });
    else if (answer?.happened === false) await book.move(entry, "failed", change);
  }
}
