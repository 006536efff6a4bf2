/**
 * An effect that a person has to approve before it is begun.
 *
 *     nothing called yet ─► the question is noted ─► asked, and the run ends ─► run again ─┬─ approved ─► dispatched
 *            ▲                                                                            └─ rejected ─► the error
 *            └──────────────── the step is tried again, or the input is another ────────────────┘
 *
 * Which question it was is durable before it is asked, and who approved it is written with `dispatched`: an answer
 * counts for exactly what was asked, and nobody is asked again for what they have approved.
 */
import { createHash } from "node:crypto";
import type { EffectEntry } from "../core/effect-ports.js";
import { EffectRejectedError } from "../errors/effect-errors.js";
import { type EffectRequest, Overtaken, placeOf, type Verdict } from "./effect-request.js";
import type { LedgerBook } from "./ledger-book.js";

/** What exactly is approved: with another input, or once it was undone, it is something else. */
export function approvalHash({ effect, key, epoch, inputHash }: EffectEntry): string {
  return createHash("sha256")
    .update(JSON.stringify([effect, key, epoch, inputHash]))
    .digest("hex")
    .slice(0, 16);
}

/** Whether what was asked about under this hash still waits for an answer. */
export function isAwaited(entry: EffectEntry, hash: string): boolean {
  return entry.approvedBy === undefined && entry.asked?.settled !== true && approvalHash(entry) === hash;
}

/** What is noted of the question with an entry that is still to be asked about. */
export function firstQuestion({ approval }: EffectRequest): Pick<EffectEntry, "asked"> {
  return approval.isNeeded ? { asked: { task: approval.task, question: approval.next() } } : {};
}

/** What of the question stays with what is done in the place of this: its answer was to something else. */
export function questionOver({ asked }: EffectEntry): Pick<EffectEntry, "asked"> {
  return asked === undefined ? {} : { asked: { task: asked.task, question: asked.question, settled: true } };
}

export interface Approved {
  readonly entry: EffectEntry;
  /** To be written with what comes next, in the name of who approved it. */
  readonly change: Pick<EffectEntry, "approvedBy">;
  readonly book: LedgerBook;
  readonly verdict?: Verdict;
}

/**
 * @throws EffectRejectedError; control flow while there is no answer; Overtaken
 */
export async function approved(request: EffectRequest, found: EffectEntry): Promise<Approved> {
  const { approval, book } = request;
  if (!approval.isNeeded || found.approvedBy !== undefined) return { entry: found, change: {}, book };
  for (let entry = found; ; ) {
    const verdict = await approval.verdict(entry);
    if (verdict === undefined) {
      throwIfStillRejected(request, entry);
      entry = await noted(request, entry);
      await approval.ask(entry);
      continue;
    }
    await approval.taken(entry, verdict);
    const { action, by, reason } = verdict;
    const who = { by, ...(reason === undefined ? {} : { reason }) };
    if (action === "approve")
      return { entry, change: { approvedBy: who }, book: book.signedBy({ ...who, as: "effect.approved" }), verdict };
    const signed = book.signedBy({ ...who, as: "effect.rejected" });
    const asked = { task: approval.task, question: 0, ...entry.asked, settled: true as const };
    const rejected = { ...who, answers: approval.next() };
    const moved = await signed.move(entry, entry.state, { asked: { ...asked, rejected } }, [entry.state]);
    if (moved === undefined) throw new Overtaken();
    approval.decided(verdict);
    await approval.settle(entry);
    throw new EffectRejectedError(placeOf(request, entry), who);
  }
}

/** A step that has caught it, and is run again because another question of it was answered, is told the same. */
function throwIfStillRejected(request: EffectRequest, entry: EffectEntry): void {
  const { approval } = request;
  const { task, rejected } = entry.asked ?? {};
  if (rejected === undefined || task !== approval.task || approval.next() <= rejected.answers) return;
  throw new EffectRejectedError(placeOf(request, entry), rejected);
}

async function noted({ approval, book }: EffectRequest, entry: EffectEntry): Promise<EffectEntry> {
  const { task } = approval;
  const question = approval.next();
  const { asked } = entry;
  if (asked?.task === task && asked.question === question && asked.settled !== true) return entry;
  const moved = await book.move(entry, entry.state, { asked: { task, question } }, [entry.state]);
  if (moved === undefined) throw new Overtaken();
  return moved;
}
