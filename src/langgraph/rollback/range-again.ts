/** What a rollback that was begun is about, for whoever finishes it. */
import { isDeepStrictEqual } from "node:util";
import { InvalidInputError } from "../../errors/own-errors.js";
import type { RollbackScope } from "../../recovery/rollback-target.js";
import { ifDamage, isDamage, root } from "../threads/damage.js";
import type { RunnableGraph } from "../threads/graph.js";
import type { ThreadRef } from "../threads/resolve-thread.js";
import type { OpenRollback } from "./open-rollback.js";
import { type Range, type RangeRequest, rangeOf } from "./range.js";
import { findTarget, type Search } from "./target.js";

interface Thread {
  readonly graph: RunnableGraph;
  readonly ref: ThreadRef;
}

/** One that was begun goes on to its own target: the head may have moved, and with it what "two steps back" is. */
export async function rangeAgain(
  thread: Thread,
  request: RangeRequest | undefined,
  earlier: OpenRollback | undefined,
): Promise<{ readonly scope: RollbackScope; readonly range: Range }> {
  const { graph, ref } = thread;
  const label = ref.name ?? ref.threadId;
  if (earlier === undefined) {
    if (request === undefined)
      throw new InvalidInputError(
        `No rollback of thread "${label}" is to be finished; say what to take back: rollback() with { to } or { scope }, lgr rollback with --to or --scope`,
      );
    return { scope: request.scope, range: await rangeOf(graph, ref, request) };
  }
  const { scope, target, head, only, stays } = earlier;
  if (request !== undefined && !(await isSame(thread, request, earlier)))
    throw new InvalidInputError(
      `A rollback of thread "${label}" (scope "${scope}", to checkpoint ${target}) was begun and not finished: finish it first, by rollback() without { to } and { scope }`,
    );
  // From where it began, wherever somebody has moved the thread since; and what was done since then too.
  const toTarget = { wanted: `checkpoint ${target}`, judge: isIt(target), passes: () => true };
  const found = await findTarget(graph, ref.threadId, { ...toTarget, start: head });
  const newest = await graph.checkpointer.getTuple(root(ref)).catch(ifDamage);
  const newestId = isDamage(newest) ? newest.place.checkpointId : (newest?.checkpoint.id ?? head);
  const since = newestId === head ? undefined : await findTarget(graph, ref.threadId, toTarget).catch(notOnTheWay);
  return {
    scope,
    range: {
      ...found,
      head: newestId,
      ...(since === undefined
        ? {}
        : {
            from: new Set([...since.from, ...found.from]),
            reentered: [...(since.reentered ?? []), ...(found.reentered ?? [])],
          }),
      ...(only === undefined ? {} : { only }),
      ...(stays === true ? { stays } : {}),
    },
  };
}

function isIt(wanted: string): Search["judge"] {
  return ({ id }) => (id === wanted ? "this" : undefined);
}

function notOnTheWay(error: unknown): undefined {
  if (error instanceof InvalidInputError) return undefined;
  throw error;
}

/** Whether what is asked for now is what was begun; it may have its new head already, which was made from its target. */
async function isSame(
  { graph, ref }: Thread,
  request: RangeRequest,
  { scope, target, only }: OpenRollback,
): Promise<boolean> {
  if (request.scope !== scope) return false;
  const now = await rangeOf(graph, ref, request).catch(notOnTheWay);
  if (now === undefined) return false;
  const { configurable } = now.target.config;
  const isTarget = configurable?.checkpoint_id === target;
  const isMadeFrom = now.target.parentConfig?.configurable?.checkpoint_id === target;
  return (isTarget || isMadeFrom) && isDeepStrictEqual(now.only, only);
}
