/** Undoes effects one after the other; one that fails for good does not keep the others from being undone. */
import { Cancellation } from "../../core/abort.js";
import { systemClock } from "../../core/clock.js";
import type { StoredEffect } from "../../core/effect-ports.js";
import type { ProbeAnswer } from "../../effects/effect.js";
import { type KnownEffect, knownEffect } from "../../effects/known-effects.js";
import type { LedgerBook } from "../../effects/ledger-book.js";
import { runningEffects } from "../../effects/running-effects.js";
import { undoEffect } from "../../effects/undo-effect.js";
import { asError, CancelledError } from "../../errors/own-errors.js";
import { type PlannedEffect, planned, whyItStays } from "../../recovery/rollback-plan.js";
import { isOtherAlive, ownProcess } from "../effects/calling-process.js";

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

/** Asks about each effect that may have happened, once no call of it is under way; what cannot be found out stays as it is. */
export async function lookedUp(
  book: LedgerBook,
  doubtful: readonly StoredEffect[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const found of doubtful) {
    signal?.throwIfAborted();
    const known = knownEffect(found);
    if (typeof known !== "object") continue;
    const entry = await onceCalled(book, found, known.limitMs, signal);
    if (entry !== undefined) await probed(book, entry, known, signal);
  }
}

async function probed(
  book: LedgerBook,
  entry: StoredEffect,
  { effect, tried }: KnownEffect,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { probe } = effect;
  if (probe === undefined) return;
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

/** A call of this process that was given up on is waited for so long at least, in milliseconds. */
const leastWaitMs = 5_000;
/** Between looks at a call that another process is making, in milliseconds. */
const lookEveryMs = 250;

/**
 * A call that was given up on may still have its effect: it is waited for as long as a call may take.
 *
 * @returns the entry, if it is in doubt then; undefined where it is not, or the call is still under way
 */
async function onceCalled(
  book: LedgerBook,
  found: StoredEffect,
  limitMs: number,
  signal: AbortSignal | undefined,
): Promise<StoredEffect | undefined> {
  const late = runningEffects().late(found.key);
  const until = book.now + limitMs;
  if (late !== undefined && !(await endsBefore(late, Math.max(limitMs, leastWaitMs), signal))) return undefined;
  for (;;) {
    const { found: entry } = await book.ledger.look(found.threadId, found.key, found);
    if (entry?.epoch !== found.epoch || (entry.state !== "dispatched" && entry.state !== "unknown")) return undefined;
    const { caller } = entry;
    const isCalled = entry.state === "dispatched" && caller !== undefined && isOtherAlive(caller.process);
    if (!isCalled || book.now >= caller.until) return entry;
    if (book.now >= until) return undefined;
    await systemClock.sleep(Math.min(caller.until - book.now, lookEveryMs), signal);
  }
}

async function endsBefore(late: Promise<unknown>, limitMs: number, signal: AbortSignal | undefined): Promise<boolean> {
  const given = new Cancellation({ outer: signal });
  try {
    const waited = systemClock.sleep(limitMs, given.signal).then(() => false);
    waited.catch(() => {});
    return await Promise.race([late.then(() => true), waited]);
  } finally {
    given.abort(new CancelledError("it has ended"));
    given.dispose();
  }
}
