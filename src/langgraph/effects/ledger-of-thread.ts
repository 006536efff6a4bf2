/** The ledger of a thread, for people and programs outside of its runs. */
import { z } from "zod";
import { systemClock } from "../../core/clock.js";
import type { EffectLedger, EffectState, StoredEffect } from "../../core/effect-ports.js";
import { parseOptions } from "../../core/options.js";
import { persistenceOf } from "../../core/persistence-of.js";
import type { Persistence } from "../../core/ports.js";
import { LedgerBook } from "../../effects/ledger-book.js";
import { ConfigError, InvalidInputError, ResilienceError } from "../../errors/own-errors.js";
import { isRollback } from "../rollback/open-rollback.js";
import { type GraphLike, runnableGraph } from "../threads/graph.js";
import { resolveThread } from "../threads/resolve-thread.js";
import { callMayBeUnderWay } from "./calling-process.js";

/** What a person found out about an effect whose outcome was not known, or did by hand about one that could not be undone. */
export type EffectOutcome =
  | { readonly undone: true; readonly by: string; readonly reason?: string }
  | { readonly happened: true; readonly receipt?: unknown; readonly by: string; readonly reason?: string }
  | { readonly happened: false; readonly by: string; readonly reason?: string };

const signature = { by: z.string().min(1), reason: z.string().optional() };
const outcomeSchema = z.union([
  z.strictObject({ undone: z.literal(true), ...signature }),
  z.strictObject({ happened: z.literal(true), receipt: z.unknown().optional(), ...signature }),
  z.strictObject({ happened: z.literal(false), ...signature }),
]);

/**
 * What the steps of a thread did to the outside world, in the order of intent; receipts and inputs as they are stored.
 *
 * @param source a persistence, or a graph compiled with the checkpointer of one
 * @param thread its name or ID
 * @throws ConfigError for a graph whose checkpointer is not from `openPersistence`, and for a persistence without a ledger
 */
export async function listEffects(source: GraphLike | Persistence, thread: string): Promise<readonly StoredEffect[]> {
  const { ledger, threadId } = await ledgerOf(source, thread, "listEffects()");
  return (await ledger.list(threadId)).filter((entry) => !isRollback(entry));
}

/**
 * Says what came of an effect that is `unknown`, or `dispatched` by a process that died; or that one whose undoing failed
 * was undone by hand. The thread then goes on by a retry of the step: with the receipt given here, or by doing it. A
 * receipt that somebody gave can be given anew.
 *
 * @param source a persistence, or a graph compiled with the checkpointer of one
 * @param thread its name or ID
 * @param key of the effect, or so much of its beginning that no other of the thread begins so
 * @returns the entry as it is then
 * @throws InvalidInputError where no effect, or more than one, has such a key; ConfigError for an outcome that is none;
 * ResilienceError EFFECT_NOT_OPEN where there is nothing to say: it is settled, or being done right now
 */
export async function settleEffect(
  source: GraphLike | Persistence,
  thread: string,
  key: string,
  outcome: EffectOutcome,
): Promise<StoredEffect> {
  const said = parseOptions("settleEffect()", outcomeSchema, outcome);
  const { ledger, threadId } = await ledgerOf(source, thread, "settleEffect()");
  const found = newestOf(await ledger.list(threadId), key, thread);
  const settledBy = { by: said.by, ...(said.reason === undefined ? {} : { reason: said.reason }) };
  const book = new LedgerBook(ledger, undefined, systemClock, { ...settledBy, as: "effect.settled" });
  const { state, change } = changeBy(said, found, book.now);
  const moved = await book.move(
    found,
    state,
    { ...change, settledBy, settledAt: book.now, caller: undefined, error: undefined },
    [found.state],
  );
  if (moved === undefined) throw notOpen(found, "it was settled meanwhile");
  return { ...moved, seq: found.seq };
}

/** @throws ResilienceError EFFECT_NOT_OPEN */
function changeBy(
  said: z.output<typeof outcomeSchema>,
  found: StoredEffect,
  nowMs: number,
): { readonly state: EffectState; readonly change: { readonly receipt?: unknown; readonly compensatedAt?: number } } {
  const { state } = found;
  if ("undone" in said) {
    if (state !== "compensation_failed" && state !== "compensating")
      throw notOpen(found, `it is "${state}", not one whose undoing failed`);
    return { state: "compensated", change: { compensatedAt: nowMs } };
  }
  const isCorrected = said.happened && state === "confirmed" && found.settledBy !== undefined;
  if (state !== "unknown" && state !== "dispatched" && !isCorrected) throw notOpen(found, `it is "${state}"`);
  if (!isCorrected && !isOpen(found, nowMs))
    throw notOpen(found, "a process is doing it right now; wait for what comes of it");
  return said.happened ? { state: "confirmed", change: { receipt: said.receipt } } : { state: "failed", change: {} };
}

/**
 * Whether it may have happened or not, and no call that would tell is under way.
 *
 * @param nowMs milliseconds since the Unix epoch
 */
export function isOpen({ state, caller }: StoredEffect, nowMs: number): boolean {
  return state === "unknown" || (state === "dispatched" && !callMayBeUnderWay(caller, nowMs));
}

function newestOf(entries: readonly StoredEffect[], key: string, thread: string): StoredEffect {
  const found = key === "" ? [] : entries.filter((entry) => entry.key.startsWith(key));
  const keys = [...new Set(found.map((entry) => entry.key))];
  const newest = found.toSorted((a, b) => a.epoch - b.epoch).at(-1);
  if (newest === undefined || keys.length > 1)
    throw new InvalidInputError(
      `${keys.length > 1 ? `${keys.length} effects` : "No effect"} of thread "${thread}" ${keys.length > 1 ? "have keys that begin" : "has a key that begins"} with "${key}"; listEffects() or "lgr effects ${thread}" shows them`,
    );
  return newest;
}

function notOpen({ effect, key, threadId }: StoredEffect, why: string): ResilienceError {
  return new ResilienceError("EFFECT_NOT_OPEN", `Effect "${effect}" (${key.slice(0, 12)}) cannot be settled: ${why}`, {
    details: { effect, key, threadId },
  });
}

async function ledgerOf(
  source: GraphLike | Persistence,
  thread: string,
  caller: string,
): Promise<{ readonly ledger: EffectLedger; readonly threadId: string }> {
  const isPersistence = "threads" in source;
  const { checkpointer } = isPersistence ? source : runnableGraph(source, caller);
  const persistence = isPersistence ? source : persistenceOf(checkpointer);
  if (persistence === undefined)
    throw new ConfigError(`${caller}: the graph's checkpointer is not from openPersistence(), so it has no ledger`);
  if (persistence.ledger === undefined)
    throw new ConfigError(`${caller}: ${persistence.description} keeps no ledger of effects`);
  return { ledger: persistence.ledger, threadId: (await resolveThread({ checkpointer }, thread)).threadId };
}
