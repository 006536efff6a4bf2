/**
 * One effect undone.
 *
 *     confirmed, compensation_failed ─► compensating ─► call ─┬─ answered ─► compensated
 *                                            ▲                └─ failed ───► compensation_failed
 *                          a process died ───┘
 *
 * `compensating` is durable before the call, `compensated` before anything else is undone. A call that died is asked of
 * `undone`, and without one made again with the same key: undoing has to be harmless when it is repeated under its key.
 */
import { crashPoint } from "../core/crash-points.js";
import type { StoredEffect } from "../core/effect-ports.js";
import { classifyError } from "../errors/classify.js";
import { isControlFlow } from "../errors/control-flow.js";
import { asError, InvalidInputError } from "../errors/own-errors.js";
import type { EffectCall } from "./effect.js";
import type { LedgerBook } from "./ledger-book.js";

/** How an effect is undone, as its author says it. */
export interface Undoing {
  compensate(receipt: unknown, call: EffectCall): unknown;
  /** Whether it is undone already; undefined where it cannot tell. */
  readonly undone?: ((receipt: unknown, call: EffectCall) => unknown) | undefined;
}

export interface UndoRequest {
  readonly book: LedgerBook;
  readonly undoing: Undoing;
  readonly process: string;
  /** How long a call may take, in milliseconds. */
  readonly limitMs: number;
  /** Makes a call within its time, and again as the effect's policy allows. */
  tried<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

export type Undone =
  | { readonly kind: "undone"; readonly entry: StoredEffect }
  | { readonly kind: "failed"; readonly entry: StoredEffect; readonly error: Error }
  /** Another is at it, or has changed it. */
  | { readonly kind: "overtaken" };

export async function undoEffect(request: UndoRequest, found: StoredEffect): Promise<Undone> {
  const { book, undoing, process, limitMs } = request;
  const { receipt, seq } = found;
  const call = { idempotencyKey: `${found.idempotencyKey}-undo` };
  // An answer that was lost looks like a failure: what was asked for once may have been done.
  let mayBeUndone = found.state !== "confirmed";
  const caller = { process, until: book.now + limitMs };
  const began = await book.move(found, "compensating", { caller, undoCalls: found.undoCalls + 1, error: undefined }, [
    found.state,
  ]);
  if (began === undefined) return { kind: "overtaken" };
  let failure: Error | undefined;
  try {
    await request.tried(async (signal) => {
      const { undone } = undoing;
      if (mayBeUndone && undone !== undefined && (await undone(receipt, { ...call, signal })) === true) return;
      mayBeUndone = true;
      crashPoint("effect.undo.before");
      await undoing.compensate(receipt, { ...call, signal });
      crashPoint("effect.undo.after");
    });
  } catch (thrown) {
    // Nobody is there to be asked, and the others have to be undone all the same.
    failure = isControlFlow(thrown)
      ? new InvalidInputError(`Undoing effect "${found.effect}" threw LangGraph's control flow: it cannot ask or stop`)
      : asError(thrown);
  }
  const change = { caller: undefined, settledAt: book.now };
  if (failure === undefined) {
    const moved = await book.move(began, "compensated", { ...change, compensatedAt: book.now });
    return moved === undefined ? { kind: "overtaken" } : { kind: "undone", entry: { ...moved, seq } };
  }
  const moved = await book.move(began, "compensation_failed", { ...change, error: classifyError(failure) });
  return moved === undefined ? { kind: "overtaken" } : { kind: "failed", entry: { ...moved, seq }, error: failure };
}
