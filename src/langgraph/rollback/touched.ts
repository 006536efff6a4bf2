/** Whether a thread was touched by a faulty part since it became so, and where it stood before. */
import type { EffectLedger, StoredEffect } from "../../core/effect-ports.js";
import { mayStand } from "../../effects/effect.js";
import { InvalidInputError } from "../../errors/own-errors.js";
import type { RunnableGraph } from "../threads/graph.js";
import { affectedIn, leftByRollbacks, type ThreadStores } from "./reach.js";
import { findTarget, type Search, type WayPlace } from "./target.js";

/** An effect, by its name, or a node of the root graph. */
export type Touch = { readonly effect: string } | { readonly node: string };

/**
 * @param sinceMs milliseconds since the Unix epoch
 * @returns the ID of the checkpoint before the first touch on this branch; undefined where there was none
 */
export async function beforeTouch(
  graph: RunnableGraph,
  ledger: EffectLedger,
  threadId: string,
  touch: Touch,
  sinceMs: number,
): Promise<string | undefined> {
  const stores = { saver: graph.checkpointer, ledger, threadId };
  const all = await ledger.list(threadId);
  const search =
    "node" in touch
      ? nodeSearch(touch.node, sinceMs)
      : effectSearch(await stepsWith(stores, touch.effect, sinceMs, all));
  if (search === undefined) return undefined;
  try {
    const { target, ...reach } = await findTarget(graph, threadId, search);
    const { from } = reach;
    const { undo, doubtful, stays } = await affectedIn(stores, reach);
    // The head itself, from which nothing was done: there is nothing to take back.
    if (from.size === 1 && undo.length + doubtful.length + stays.length === 0) return undefined;
    return String(target.config.configurable?.checkpoint_id);
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined;
    throw error;
  }
}

/** Checkpoints whose steps stand on the effect: they did it, or took it over from where a rollback went back. */
async function stepsWith(
  stores: ThreadStores,
  effect: string,
  sinceMs: number,
  all: readonly StoredEffect[],
): Promise<Set<string>> {
  const own = all.filter((entry) => entry.effect === effect && mayStand(entry));
  const isSince = ({ intendedAt, dispatchedAt }: StoredEffect) => (dispatchedAt ?? intendedAt) >= sinceMs;
  const done = own.filter((entry) => entry.origin === undefined && isSince(entry));
  const steps = new Set(done.map(checkpointOf));
  const linked = own.filter(({ origin }) => origin !== undefined);
  if (linked.length === 0 || done.length === 0) return steps;
  const left = await leftByRollbacks(stores, all);
  if (done.some((entry) => left.has(checkpointOf(entry)))) for (const entry of linked) steps.add(checkpointOf(entry));
  return steps;
}

function checkpointOf({ scope }: StoredEffect): string {
  return scope[0]?.checkpointId ?? "";
}

function effectSearch(steps: Set<string>): Search | undefined {
  if (steps.size === 0) return undefined;
  return {
    wanted: "step that was touched",
    judge({ id }) {
      if (!steps.delete(id)) return undefined;
      return steps.size === 0 ? "perhaps, end" : "perhaps";
    },
    passes: ({ id }) => !steps.has(id),
  };
}

/** What a checkpoint's nodes did was done by the time of the one they led to; one that was made aside says nothing. */
function nodeSearch(node: string, sinceMs: number): Search {
  const wereRun = ({ later }: WayPlace) => later === undefined || later.source === "loop";
  return {
    wanted: "step that was touched",
    async judge(place) {
      if (place.later !== undefined && place.later.atMs < sinceMs) return "end";
      return wereRun(place) && (await place.nodes()).includes(node) ? "perhaps" : undefined;
    },
  };
}
