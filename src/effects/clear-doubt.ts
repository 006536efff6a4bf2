/** What becomes of an effect that may have happened: waited for, looked up, or left to a person. */
import { unlessAborted } from "../core/abort.js";
import { crashPoint } from "../core/crash-points.js";
import type { EffectEntry } from "../core/effect-ports.js";
import { MalformedOutputError } from "../errors/own-errors.js";
import { asJson, confirmed, unknown } from "./call-effect.js";
import { isRepeatable, type ProbeAnswer } from "./effect.js";
import { type EffectRequest, Overtaken } from "./effect-request.js";

/** Between looks at a call that another process is making, in milliseconds. */
const lookEveryMs = 250;

/**
 * Waits while the call may be under way.
 *
 * @throws Overtaken where what is stored may have changed since
 */
export async function waitWhileCalled(request: EffectRequest, found: EffectEntry): Promise<void> {
  const { running, book, clock, signal } = request;
  // One of this very step under another name may be done right now, by an attempt that was given up on.
  const other = found.key === request.identity.key ? undefined : running.performed(found.key)?.receipt.catch(() => {});
  const late = running.late(found.key) ?? other;
  if (late !== undefined) {
    await request.limited((within) => unlessAborted(late, within));
    throw new Overtaken();
  }
  const { caller } = found;
  if (found.state !== "dispatched" || caller === undefined || !request.isOtherAlive(caller.process)) return;
  while (book.now < caller.until) {
    await clock.sleep(Math.min(caller.until - book.now, lookEveryMs), signal);
    const { found: stored } = await book.ledger.look(found.threadId, found.key, found);
    if (stored?.state !== "dispatched") throw new Overtaken();
  }
}

/** The receipt if it is found out that it happened; undefined if it may be called (again). */
export async function cleared(
  request: EffectRequest,
  found: EffectEntry,
): Promise<{ readonly value: unknown } | undefined> {
  const { effect, input, book, running } = request;
  const { probe } = effect;
  const unsaved = running.unsaved(found.idempotencyKey);
  if (unsaved !== undefined) {
    await confirmed(request, found, unsaved.receipt);
    return { value: unsaved.receipt };
  }
  if (probe === undefined) {
    if (isRepeatable(effect)) return undefined;
    await book.move(found, "unknown", { caller: undefined });
    throw unknown(request, found, 'it has neither a "probe" nor a kind that may be repeated');
  }
  const call = { idempotencyKey: found.idempotencyKey };
  crashPoint("effect.probe.before");
  const answer = (await request.limited(async (signal) =>
    probe(structuredClone(input), { ...call, signal }),
  )) as ProbeAnswer<unknown>;
  crashPoint("effect.probe.after");
  switch (answer?.happened) {
    case true: {
      const receipt = asJson(request, answer.receipt);
      await confirmed(request, found, receipt);
      return { value: receipt };
    }
    case false:
      return undefined;
    case "unknown":
      await book.move(found, "unknown", { caller: undefined });
      throw unknown(request, found, "its probe could not tell");
    default:
      throw new MalformedOutputError(
        `Effect "${effect.name}": its probe has to answer { happened: true, receipt }, { happened: false } or { happened: "unknown" }`,
      );
  }
}
