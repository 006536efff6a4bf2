/**
 * One effect of one step, done once.
 *
 *     look ─┬─ confirmed ───────────────────────────────► its receipt
 *           ├─ nothing, failed, undone ─► dispatched ─► call ─┬─ answered ─► confirmed ─► its receipt
 *           │                                ▲                ├─ refused ──► failed ────► the error
 *           │                                │ no             └─ perhaps ──► unknown ───► the error, or a person
 *           └─ dispatched, unknown ─► probe ─┴─ yes ─► confirmed ─► its receipt
 *
 * Each state is durable before what follows it: `dispatched` before the call, and the call's checkpoint before that;
 * `confirmed` before the step goes on. So a process that dies leaves at most one doubt, and says so: `dispatched`.
 */
import type { EffectEntry, StoredEffect } from "../core/effect-ports.js";
import { EffectForbiddenError, EffectInputChangedError, EffectUnknownError } from "../errors/effect-errors.js";
import { questionOver } from "./approve-effect.js";
import { begun, called, freshEntry, goneOn, intended } from "./call-effect.js";
import { cleared, waitWhileCalled } from "./clear-doubt.js";
import { mayStand } from "./effect.js";
import { type EffectRequest, Overtaken, placeOf } from "./effect-request.js";

/** How often it is looked again after having been overtaken. */
const maxLooks = 20;

/**
 * @returns the receipt as JSON
 * @throws what the call threw; EffectUnknownError, EffectInputChangedError, EffectForbiddenError where a person has to
 * decide; LeaseLostError; the ledger's own errors, with nothing called since
 */
export async function performEffect(request: EffectRequest): Promise<unknown> {
  const { identity, inputHash, running } = request;
  for (;;) {
    const other = running.performed(identity.key);
    if (other === undefined) break;
    const receipt = await other.receipt.then(
      (value) => ({ value }),
      () => undefined,
    );
    request.signal.throwIfAborted();
    if (receipt === undefined) continue;
    if (other.inputHash !== inputHash) throw new EffectInputChangedError(placeOf(request), "it is being done with one");
    return receipt.value;
  }
  return running.perform(identity.key, inputHash, () => perform(request));
}

async function perform(request: EffectRequest): Promise<unknown> {
  for (let looks = 1; ; looks += 1) {
    try {
      return await lookAndGoOn(request);
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error;
      request.signal.throwIfAborted();
      if (looks === maxLooks)
        throw new EffectUnknownError(placeOf(request), "others keep changing what the ledger says of it");
    }
  }
}

async function lookAndGoOn(request: EffectRequest): Promise<unknown> {
  const { book, identity, effect, running } = request;
  const { threadId, key, place } = identity;
  const { found, newest } = await book.ledger.look(threadId, key, { effect: effect.name, place });
  if (found !== undefined) {
    request.approval.pass(found);
    return advance(request, found);
  }
  await request.durable();
  if (newest === undefined || (await request.wentStraightOn(newest)))
    return begun(request, freshEntry(request, 0, false));
  // Parallel branches take over what was left to them one after the other, and not both the same.
  const name = JSON.stringify([threadId, effect.name, place]);
  const taken = await running.inTurn(name, () => takeOver(request));
  return taken === undefined ? lookAndGoOn(request) : taken.goOn();
}

/** @returns how it goes on; undefined where it has to be looked at again */
async function takeOver(request: EffectRequest): Promise<{ goOn(): Promise<unknown> } | undefined> {
  const { book, identity, effect } = request;
  const { threadId, key, place } = identity;
  const { found } = await book.ledger.look(threadId, key, { effect: effect.name, place });
  if (found !== undefined) return undefined;
  const { candidate, isInherited, isForked } = await request.leftBehind();
  const receipt = candidate === undefined ? undefined : await receiptOf(request, candidate, isInherited);
  const fresh = freshEntry(request, 0, isForked);
  if (receipt === undefined || candidate === undefined) {
    const instead = candidate === undefined || mayStand(candidate) ? {} : { instead: idOf(candidate) };
    const entry = await intended(request, { ...fresh, ...instead });
    return { goOn: () => goneOn(request, entry) };
  }
  const linked = {
    ...fresh,
    state: "confirmed" as const,
    receipt: receipt.value,
    origin: idOf(candidate),
    settledAt: book.now,
  };
  const added = await book.add(linked);
  if (added === undefined) throw new Overtaken();
  request.tell("effect.reused", added);
  return { goOn: async () => receipt.value };
}

function idOf({ key, epoch }: StoredEffect) {
  return { key, epoch };
}

/** What came of the effect on the branch that was left; undefined where it left nothing in the world or is to be done again. */
async function receiptOf(
  request: EffectRequest,
  candidate: StoredEffect,
  isInherited: boolean,
): Promise<{ readonly value: unknown } | undefined> {
  const { effect, inputHash } = request;
  if (!mayStand(candidate)) return undefined;
  if (!isInherited && effect.onFork === "rerun") return undefined;
  if (!isInherited && effect.onFork === "forbid")
    throw new EffectForbiddenError(
      placeOf(request, candidate),
      `it is "${candidate.state}" on the branch of the thread that this one left (onFork: "forbid"); roll that back, or retry with the branch that has it`,
    );
  if (candidate.inputHash !== inputHash)
    throw new EffectInputChangedError(
      placeOf(request, candidate),
      "the branch of the thread that this one left has done it with one",
    );
  return { value: await advance(request, candidate) };
}

/** Whether it is the receipt of a deed of another branch that was undone since. */
async function isHollow({ book }: EffectRequest, { threadId, effect, place, origin }: StoredEffect): Promise<boolean> {
  if (origin === undefined) return false;
  const { found: deed } = await book.ledger.look(threadId, origin.key, { effect, place });
  if (deed === undefined) return false;
  return deed.epoch > origin.epoch || deed.state === "compensated";
}

/** Goes on from a stored state. */
async function advance(request: EffectRequest, found: StoredEffect): Promise<unknown> {
  const isSame = found.inputHash === request.inputHash;
  switch (found.state) {
    case "confirmed":
      if (await isHollow(request, found)) return begun(request, freshEntry(request, found.epoch + 1, false));
      if (!isSame) throw new EffectInputChangedError(placeOf(request, found), "it was done with one");
      return found.receipt;
    case "compensated":
      return begun(request, { ...freshEntry(request, found.epoch + 1, false), ...questionOver(found) });
    case "failed":
      // Its key stands for the input it was refused with.
      return isSame
        ? called(request, found)
        : begun(request, { ...freshEntry(request, found.epoch + 1, false), ...questionOver(found) });
    case "intended":
      return called(request, isSame ? found : await renewed(request, found));
    case "compensating":
    case "compensation_failed":
      throw new EffectForbiddenError(
        placeOf(request, found),
        `an earlier one was undone in part ("${found.state}"), and has to be undone or settled first`,
      );
    case "dispatched":
    case "unknown": {
      if (!isSame) throw new EffectInputChangedError(placeOf(request, found), "it may have been done with one");
      await waitWhileCalled(request, found);
      const receipt = await cleared(request, found);
      return receipt === undefined ? called(request, found) : receipt.value;
    }
  }
}

/** Nothing was called under its key yet, which may stand for another input. */
async function renewed({ book, input, inputHash }: EffectRequest, found: StoredEffect): Promise<EffectEntry> {
  const moved = await book.move(found, "intended", { input, inputHash, ...questionOver(found) }, ["intended"]);
  if (moved === undefined) throw new Overtaken();
  return moved;
}
