/** The way back from a thread's head, checkpoint by checkpoint, on its own branch alone. */
import type { StateSnapshot } from "@langchain/langgraph";
import type { CheckpointCorruptError } from "../../errors/persistence-errors.js";
import { before, isDamage, positionOf, root, type UsableState, unusableState } from "../threads/damage.js";
import type { RunnableGraph } from "../threads/graph.js";

export interface SoundPlace {
  readonly id: string;
  readonly snapshot: StateSnapshot;
}

/** A checkpoint that cannot be read, or is not usable. */
export interface DamagedPlace {
  readonly id: string;
  readonly damage: CheckpointCorruptError;
}

export interface WayOptions {
  /** Whether what subgraphs stand on has to be sound as well. */
  readonly subgraphs?: boolean;
  readonly usableState?: UsableState | undefined;
}

/** From the head on; it ends at the first checkpoint, or at the first that was not pruned. */
export async function* wayBackFromHead(
  graph: RunnableGraph,
  threadId: string,
  { subgraphs = false, usableState }: WayOptions = {},
): AsyncGenerator<SoundPlace | DamagedPlace> {
  const met = new Set<string>();
  let asked: string | undefined;
  for (;;) {
    const config = root({ threadId }, asked);
    const found = await graph.getState(config, { subgraphs }).catch(damageOf);
    const damage = isDamage(found) ? found : unusableState(found, { threadId }, usableState);
    if (damage !== undefined) {
      const position = positionOf(damage, await graph.checkpointer.getTuple(config).catch(damageOf), asked);
      met.add(position.checkpointId);
      yield { id: position.checkpointId, damage };
      asked = await before(graph, { threadId }, position, met);
    } else {
      const snapshot = found as StateSnapshot;
      const id = idOf(snapshot.config);
      if (id === undefined || snapshot.metadata === undefined) return;
      met.add(id);
      yield { id, snapshot };
      asked = idOf(snapshot.parentConfig);
    }
    if (asked === undefined || met.has(asked)) return;
  }
}

/** Nodes that are run from there: those that failed are among the tasks, and not in `next`. */
export function nextOf({ tasks }: StateSnapshot): string[] {
  return [...new Set(tasks.map(({ name }) => name))];
}

function damageOf(error: unknown): CheckpointCorruptError {
  if (isDamage(error)) return error;
  throw error;
}

function idOf(config: { readonly configurable?: Record<string, unknown> } | undefined): string | undefined {
  const id = config?.configurable?.checkpoint_id;
  return typeof id === "string" ? id : undefined;
}
