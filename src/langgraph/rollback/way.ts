/** The way back from a thread's head, checkpoint by checkpoint, on its own branch alone. */
import type { StateSnapshot } from "@langchain/langgraph";
import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import type { CheckpointCorruptError } from "../../errors/persistence-errors.js";
import { hasFailure, nodesBetween } from "../checkpoint-internals.js";
import { before, ifDamage, isDamage, positionOf, root, type UsableState, unusableState } from "../threads/damage.js";
import type { RunnableGraph } from "../threads/graph.js";

export interface SoundPlace {
  readonly id: string;
  readonly tuple: CheckpointTuple;
  /** What made the checkpoint: "input", "loop", "update" or "fork". */
  readonly source: string | undefined;
  readonly step: number;
  /** When it was made, in milliseconds since the Unix epoch. */
  readonly atMs: number;
  /** The one that came after it on the way; absent for the head, and where that is damaged. */
  readonly later?: SoundPlace;
  /** Names of the nodes that are run from there. */
  nodes(): Promise<readonly string[]>;
}

/** A checkpoint that cannot be read, or is not usable. */
export interface DamagedPlace {
  readonly id: string;
  readonly damage: CheckpointCorruptError;
}

export interface WayOptions {
  /** Whether of the first sound one all that it stands on has to be sound, the states of subgraphs too. */
  readonly firstIsWhole?: boolean;
  /** And what its state has to fit. */
  readonly usableState?: UsableState | undefined;
  /** Where to begin; default: at the head. */
  readonly start?: string | undefined;
}

/** From the head on; it ends at the first checkpoint, or at the first that was not pruned. */
export async function* wayBackFromHead(
  graph: RunnableGraph,
  threadId: string,
  { firstIsWhole = false, usableState, start }: WayOptions = {},
): AsyncGenerator<SoundPlace | DamagedPlace> {
  const met = new Set<string>();
  const reader = new WayReader(graph, threadId);
  let asked = start;
  let later: SoundPlace | undefined;
  let isFirst = firstIsWhole;
  for (;;) {
    const found = await reader.read(asked, later?.id);
    if (found === undefined) return;
    const damage = isDamage(found) ? found : isFirst ? await damageOf(graph, found, usableState) : undefined;
    if (damage !== undefined) {
      const position = positionOf(damage, found, asked);
      met.add(position.checkpointId);
      yield { id: position.checkpointId, damage };
      later = undefined;
      asked = await before(graph, { threadId }, position, met);
    } else {
      const place = placeOf(graph, found as CheckpointTuple, later);
      met.add(place.id);
      yield place;
      later = place;
      isFirst = false;
      asked = (found as CheckpointTuple).parentConfig?.configurable?.checkpoint_id as string | undefined;
    }
    if (asked === undefined || met.has(asked)) return;
  }
}

/** Older checkpoints at a time: few at first, for most ways are short. */
const pageSizes = { first: 4, most: 64 };

/** Reads checkpoints some at a time: the parent of one is mostly the one that was made before it. */
class WayReader {
  readonly #saver: RunnableGraph["checkpointer"];
  readonly #threadId: string;
  readonly #page = new Map<string, CheckpointTuple>();
  #size = pageSizes.first;

  constructor({ checkpointer }: RunnableGraph, threadId: string) {
    this.#saver = checkpointer;
    this.#threadId = threadId;
  }

  /** @param after the one that was read before it, and came after it; undefined: nothing is known of what comes next */
  async read(
    id: string | undefined,
    after: string | undefined,
  ): Promise<CheckpointTuple | CheckpointCorruptError | undefined> {
    if (id !== undefined && after !== undefined && !this.#page.has(id)) await this.#readOn(after);
    const known = this.#page.get(id ?? "");
    return known ?? this.#saver.getTuple(root({ threadId: this.#threadId }, id)).catch(ifDamage);
  }

  async #readOn(after: string): Promise<void> {
    this.#page.clear();
    const ref = { threadId: this.#threadId };
    try {
      const older = this.#saver.list(root(ref), { before: root(ref, after), limit: this.#size });
      for await (const tuple of older) this.#page.set(tuple.checkpoint.id, tuple);
      this.#size = Math.min(pageSizes.most, this.#size * 2);
    } catch (error) {
      // Those up to the damaged one are there; it is met when it is asked for.
      ifDamage(error);
    }
  }
}

/** Nodes that are run from there: those that failed are among the tasks, and not in `next`. */
export function nextOf({ tasks }: StateSnapshot): string[] {
  return [...new Set(tasks.map(({ name }) => name))];
}

async function damageOf(
  graph: RunnableGraph,
  { config }: CheckpointTuple,
  usableState: UsableState | undefined,
): Promise<CheckpointCorruptError | undefined> {
  const threadId = String(config.configurable?.thread_id);
  const id = config.configurable?.checkpoint_id as string;
  const whole = await graph.getState(root({ threadId }, id), { subgraphs: true }).catch(ifDamage);
  return isDamage(whole) ? whole : unusableState(whole, { threadId }, usableState);
}

function placeOf(graph: RunnableGraph, tuple: CheckpointTuple, later: SoundPlace | undefined): SoundPlace {
  const { checkpoint, metadata } = tuple;
  return {
    id: checkpoint.id,
    tuple,
    source: metadata?.source,
    step: metadata?.step ?? -1,
    atMs: Date.parse(checkpoint.ts),
    ...(later === undefined ? {} : { later }),
    nodes: async () => nodesRun(tuple, later) ?? nextOf(await graph.getState(tuple.config)),
  };
}

/**
 * What was run from a checkpoint, told by the one it led to: LangGraph prepares every node of the graph to say the same.
 *
 * @returns undefined where that does not tell: none was led to, or a task has failed, of which the next one knows nothing
 */
function nodesRun({ checkpoint, pendingWrites = [] }: CheckpointTuple, later: SoundPlace | undefined) {
  if (later?.source !== "loop" || hasFailure(pendingWrites)) return undefined;
  return nodesBetween(checkpoint, later.tuple.checkpoint);
}
