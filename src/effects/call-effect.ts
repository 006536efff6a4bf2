/** The call to the outside world, and what is written before and after it. */
import { crashPoint } from "../core/crash-points.js";
import type { EffectEntry } from "../core/effect-ports.js";
import { classifyError } from "../errors/classify.js";
import { isControlFlow, rethrowControlFlow } from "../errors/control-flow.js";
import { EffectUnknownError } from "../errors/effect-errors.js";
import { asError } from "../errors/own-errors.js";
import { approved, firstQuestion } from "./approve-effect.js";
import { isRepeatable } from "./effect.js";
import { idempotencyKey } from "./effect-key.js";
import { type EffectRequest, Overtaken, placeOf } from "./effect-request.js";
import { mayHaveHappened } from "./outcome.js";

export async function begun(request: EffectRequest, fresh: ReturnType<typeof freshEntry>): Promise<unknown> {
  return goneOn(request, await intended(request, fresh));
}

/** Writes down that it is about to be called for the first time, or that somebody is to be asked whether it may. */
export async function intended(request: EffectRequest, fresh: ReturnType<typeof freshEntry>): Promise<EffectEntry> {
  const { approval, book } = request;
  request.throwIfAsking();
  const first = approval.isNeeded
    ? { state: "intended" as const, ...firstQuestion(request) }
    : dispatch(request, fresh.calls + 1);
  const added = await book.add({ ...fresh, ...first });
  if (added === undefined) throw new Overtaken();
  return added;
}

/** Goes on from what was written down first. */
export function goneOn(request: EffectRequest, entry: EffectEntry): Promise<unknown> {
  return entry.state === "intended" ? called(request, entry) : answered(request, entry);
}

export async function called(request: EffectRequest, found: EffectEntry): Promise<unknown> {
  // A step that was begun by a process that died stands on its checkpoint; one that is resumed elsewhere has one of its own.
  await request.durable();
  request.throwIfAsking();
  const { entry, change, book, verdict } = await approved(request, found);
  const dispatching = { ...dispatch(request, entry.calls + 1), ...change, error: undefined, settledAt: undefined };
  const moved = await book.move(entry, "dispatched", dispatching, [entry.state]);
  if (moved === undefined) throw new Overtaken();
  if (verdict === undefined) return answered(request, moved);
  request.approval.decided(verdict);
  // Beside the call: an approval is not to make it slower, nor to keep it from being written down.
  const settling = request.approval.settle(entry);
  return answered(request, moved).finally(() => settling);
}

function dispatch({ book, process, limitMs }: EffectRequest, calls: number) {
  return {
    state: "dispatched" as const,
    calls,
    dispatchedAt: book.now,
    caller: { process, until: book.now + limitMs },
  };
}

/** Calls, and writes down what came of it. */
async function answered(request: EffectRequest, entry: EffectEntry): Promise<unknown> {
  const { effect, input, running } = request;
  const { idempotencyKey } = entry;
  request.tell("effect.dispatched", entry);
  let made: Promise<unknown> | undefined;
  let own: { readonly error: unknown } | undefined;
  try {
    crashPoint("effect.call.before");
    const result = await request.limited((signal) => {
      // A copy: what it does to its input must not be what it is given the next time.
      made = (async () => effect.run(structuredClone(input), { idempotencyKey, signal }))();
      made.catch((error: unknown) => {
        own = { error };
      });
      return made;
    });
    made = undefined;
    crashPoint("effect.call.after");
    const receipt = asJson(request, result);
    await confirmed(request, entry, receipt);
    return receipt;
  } catch (thrown) {
    if (made === undefined) throw thrown;
    // Given up on while it goes on: what comes of it is known late, if at all.
    const settled = made.then(
      async (result) => {
        await confirmed(request, entry, asJson(request, result));
      },
      () => {},
    );
    if (own === undefined)
      running.noteLate(
        entry.key,
        settled.catch(() => {}),
      );
    return failed(request, entry, thrown, own?.error === thrown);
  }
}

/** @param isAnswer whether the call itself ended so, and not the wait for it: then the error may tell what happened */
async function failed(request: EffectRequest, entry: EffectEntry, thrown: unknown, isAnswer: boolean): Promise<never> {
  const { effect, book } = request;
  const error = asError(thrown);
  const report = classifyError(error);
  // A question asked within it comes before the deed, or the deed would be repeated with the answer.
  const happened = !isInterrupt(thrown) && (!isAnswer || mayHaveHappened(effect, report, thrown));
  const change = { error: report, settledAt: book.now, caller: undefined };
  const state = happened ? "unknown" : "failed";
  const moved = await book.move(entry, state, change, ["dispatched"]);
  rethrowControlFlow(thrown);
  if (moved === undefined || !happened || isRepeatable(effect) || effect.probe !== undefined) {
    if (!happened) request.tell("effect.failed", moved ?? entry);
    throw error;
  }
  throw unknown(request, moved, 'it has neither a "probe" nor a kind that may be repeated', error);
}

/** A late answer counts as long as nobody has said otherwise. */
export async function confirmed(request: EffectRequest, entry: EffectEntry, receipt: unknown): Promise<void> {
  const { book, running } = request;
  const change = { receipt, error: undefined, caller: undefined, settledAt: book.now };
  running.keepUnsaved(entry.idempotencyKey, receipt);
  const moved = await book.move(entry, "confirmed", change);
  running.saved(entry.idempotencyKey);
  if (moved === undefined) {
    const { found } = await book.ledger.look(entry.threadId, entry.key, entry);
    if (found?.state === "confirmed" && found.epoch === entry.epoch) return;
    throw new EffectUnknownError(
      placeOf(request, entry),
      `the ledger says "${found?.state ?? "nothing"}" of it by now`,
    );
  }
  request.tell("effect.confirmed", moved);
}

export function freshEntry(
  { identity, effect, input, inputHash, transaction }: EffectRequest,
  epoch: number,
  isForked: boolean,
) {
  const { threadId, key, scope, place, name } = identity;
  return {
    threadId,
    key,
    epoch,
    idempotencyKey: idempotencyKey(effect.name, key, epoch),
    effect: effect.name,
    kind: effect.kind,
    scope,
    place,
    name,
    inputHash,
    input,
    calls: 0,
    undoCalls: 0,
    ...(isForked ? { forked: true as const } : {}),
    ...(transaction === undefined ? {} : { transaction }),
  };
}

/** What the step is given is what the ledger gives again: JSON. What JSON cannot hold must not undo that it happened. */
export function asJson({ effect }: EffectRequest, value: unknown): unknown {
  try {
    return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
  } catch (error) {
    process.emitWarning(
      `Effect "${effect.name}" happened, but what it gave back is no JSON and is not kept: ${asError(error).message}`,
      "ResilienceWarning",
    );
    return undefined;
  }
}

function isInterrupt(thrown: unknown): boolean {
  return isControlFlow(thrown) && (thrown as { name?: unknown }).name === "GraphInterrupt";
}

export function unknown(request: EffectRequest, found: EffectEntry, why: string, cause?: unknown): EffectUnknownError {
  const { effect } = request;
  // Neither another attempt nor a fallback: a person.
  request.noteBegun(`effect "${effect.name}"`);
  request.tell("effect.unknown", found);
  const since = found.error === undefined ? "the process died during the call" : found.error.message;
  return new EffectUnknownError(placeOf(request, found), `${since}, and ${why}`, cause === undefined ? {} : { cause });
}
