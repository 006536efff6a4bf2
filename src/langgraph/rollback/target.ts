/** Which checkpoint a rollback goes back to. */
import type { StateSnapshot } from "@langchain/langgraph";
import { z } from "zod";
import { InvalidInputError } from "../../errors/own-errors.js";
import type { RunnableGraph } from "../threads/graph.js";

/**
 * A checkpoint by its ID; so many checkpoints back; or the last one on this branch from which this node is run.
 */
export type RollbackTarget =
  | string
  | number
  | { readonly checkpoint: string }
  | { readonly steps: number }
  | { readonly before: string };

const one = {
  checkpoint: z.strictObject({ checkpoint: z.string().min(1) }),
  steps: z.strictObject({ steps: z.int().min(1) }),
  before: z.strictObject({ before: z.string().min(1) }),
};

export const targetSchema = z
  .unknown()
  .transform((given) =>
    typeof given === "string" ? { checkpoint: given } : typeof given === "number" ? { steps: given } : given,
  )
  .pipe(
    z.union(
      [one.checkpoint, one.steps, one.before],
      'must be a checkpoint ID, { checkpoint }, { steps } or { before: "node" }',
    ),
  );

export type ParsedTarget = z.output<typeof targetSchema>;

export interface FoundTarget {
  readonly target: StateSnapshot;
  readonly head: string;
  /** IDs from the target to the head, both included. */
  readonly from: ReadonlySet<string>;
}

/**
 * Goes back from the head, checkpoint by checkpoint, on this branch alone. Reading the target checks that it is sound.
 *
 * @throws InvalidInputError where there is no such checkpoint on the way back, naming those there are
 */
export async function findTarget(graph: RunnableGraph, threadId: string, wanted: ParsedTarget): Promise<FoundTarget> {
  const thread = { thread_id: threadId, checkpoint_ns: "" };
  const from = new Set<string>();
  const nodes = new Set<string>();
  let snapshot = await graph.getState({ configurable: thread });
  const head = idOf(snapshot.config);
  if (head === undefined) throw new InvalidInputError(`Thread "${threadId}" has no checkpoint to go back to`);
  for (;;) {
    const id = idOf(snapshot.config);
    if (id === undefined || snapshot.metadata === undefined) break;
    from.add(id);
    const next = nextOf(snapshot);
    for (const node of next) nodes.add(node);
    if (isWanted(wanted, id, next, from.size - 1)) return { target: snapshot, head, from };
    const parent = idOf(snapshot.parentConfig);
    if (parent === undefined) break;
    snapshot = await graph.getState({ configurable: { ...thread, checkpoint_id: parent } });
  }
  throw new InvalidInputError(
    `There is no ${said(wanted)} on the way back from checkpoint ${head} of thread "${threadId}": it has ${from.size} checkpoints, from which ${nodes.size === 0 ? "no node was run" : `${[...nodes].join(", ")} were run`}`,
  );
}

/** Nodes that are run from there: those that failed are among the tasks, and not in `next`. */
export function nextOf({ tasks }: StateSnapshot): string[] {
  return [...new Set(tasks.map(({ name }) => name))];
}

function isWanted(wanted: ParsedTarget, id: string, next: readonly string[], steps: number): boolean {
  if ("checkpoint" in wanted) return wanted.checkpoint === id;
  return "steps" in wanted ? wanted.steps === steps : next.includes(wanted.before);
}

function said(wanted: ParsedTarget): string {
  if ("checkpoint" in wanted) return `checkpoint ${wanted.checkpoint}`;
  return "steps" in wanted ? `checkpoint ${wanted.steps} steps back` : `checkpoint before node "${wanted.before}"`;
}

function idOf(config: { readonly configurable?: Record<string, unknown> } | undefined): string | undefined {
  const id = config?.configurable?.checkpoint_id;
  return typeof id === "string" ? id : undefined;
}
