/** Whether a thread was touched by a faulty part since it became so, and where it stood before. */
import type { EffectLedger } from "../../core/effect-ports.js";
import { mayStand } from "../../effects/effect.js";
import { InvalidInputError } from "../../errors/own-errors.js";
import { affectedBy } from "../../recovery/rollback-plan.js";
import type { RunnableGraph } from "../threads/graph.js";
import { effectsOf } from "./perform-rollback.js";
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
  const entries = await effectsOf(ledger, threadId);
  const search =
    "node" in touch
      ? nodeSearch(touch.node, sinceMs)
      : effectSearch(
          new Set(
            entries
              .filter((entry) => entry.effect === touch.effect && entry.origin === undefined && mayStand(entry))
              .filter(({ intendedAt, dispatchedAt }) => (dispatchedAt ?? intendedAt) >= sinceMs)
              .map(({ scope }) => scope[0]?.checkpointId ?? ""),
          ),
        );
  if (search === undefined) return undefined;
  try {
    const { target, from } = await findTarget(graph, threadId, search);
    const { undo, doubtful, stays } = affectedBy(entries, from);
    // The head itself, from which nothing was done: there is nothing to take back.
    if (from.size === 1 && undo.length + doubtful.length + stays.length === 0) return undefined;
    return String(target.config.configurable?.checkpoint_id);
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined;
    throw error;
  }
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
