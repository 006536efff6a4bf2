/** Checkpoints that cannot be gone on from, and the way back from them to the last one that can. */
import type { StateSnapshot } from "@langchain/langgraph";
import { type ZodType, z } from "zod";
import { systemClock } from "../../core/clock.js";
import type { WentBack } from "../../core/events.js";
import { parseOptions } from "../../core/options.js";
import { CheckpointCorruptError } from "../../errors/persistence-errors.js";
import type { RunnableGraph } from "./graph.js";
import type { ThreadRef } from "./resolve-thread.js";

/** What the state of a usable checkpoint must fit; fields it does not name may be anything. */
export type UsableState = ZodType;

export function isDamage(error: unknown): error is CheckpointCorruptError {
  return (error as { code?: unknown } | null | undefined)?.code === "CHECKPOINT_CORRUPT";
}

/** A state that is whole but lacks what the graph needs. At the beginning, before the input's step, nothing is asked. */
export function unusableState(
  snapshot: StateSnapshot,
  { threadId }: Pick<ThreadRef, "threadId">,
  usable: UsableState | undefined,
): CheckpointCorruptError | undefined {
  const checkpointId = snapshot.config.configurable?.checkpoint_id as string | undefined;
  if (usable === undefined || checkpointId === undefined || (snapshot.metadata?.step ?? -1) < 0) return undefined;
  const { error } = usable.safeParse(snapshot.values);
  if (error === undefined) return undefined;
  const why = error.issues.map(({ path, message }) => `${path.join(".") || "value"}: ${message}`).join("; ");
  const parentId = snapshot.parentConfig?.configurable?.checkpoint_id as string | undefined;
  return new CheckpointCorruptError(
    { threadId, namespace: "", checkpointId, part: "the state", ...(parentId === undefined ? {} : { parentId }) },
    `it does not fit usableState: ${why}`,
  );
}

/** In {@link ResumeOptions.from}: not a certain checkpoint, but the last one that is sound. */
export const LAST_SOUND = "lastSound";

/** What a run does about damaged checkpoints, as its options say it. */
export interface DamageOptions {
  /**
   * What to do when the thread's newest checkpoint is damaged: "refuse" (default) throws CheckpointCorruptError,
   * "lastSound" goes on from the last sound checkpoint as a branch of its own. The steps after that run again.
   */
  readonly onCorrupt?: "refuse" | "lastSound";
  /**
   * How old the checkpoint that is gone back to may be, in milliseconds. Default 3 600 000 (an hour) with `onCorrupt`,
   * no limit with `from: "lastSound"`.
   */
  readonly maxAgeMs?: number;
  /**
   * What the state of a usable checkpoint fits, as a zod schema of the fields that count. A checkpoint whose state does
   * not is taken for damaged. Not asked of those before the first step.
   */
  readonly usableState?: UsableState;
}

const defaultMaxAgeMs = 60 * 60_000;

const schema = z.object({
  onCorrupt: z.enum(["refuse", LAST_SOUND]).default("refuse"),
  maxAgeMs: z.union([z.number().min(0), z.literal(Number.POSITIVE_INFINITY)]).default(defaultMaxAgeMs),
});

/** How a damage is to be met; `goesBack: false` refuses it. */
export interface DamagePlan extends WayBackOptions {
  readonly goesBack: boolean;
}

/** @throws ConfigError */
export function damagePlan(caller: string, options: DamageOptions, from?: string): DamagePlan {
  const { onCorrupt, maxAgeMs } = options;
  const told = from === LAST_SOUND;
  const parsed = parseOptions(caller, schema, {
    ...(onCorrupt === undefined ? {} : { onCorrupt }),
    maxAgeMs: maxAgeMs ?? (told ? Number.POSITIVE_INFINITY : undefined),
  });
  return {
    goesBack: told || parsed.onCorrupt === LAST_SOUND,
    maxAgeMs: parsed.maxAgeMs,
    usableState: options.usableState,
  };
}

export interface WayBackOptions {
  /** Milliseconds; a sound checkpoint that is older is not taken. */
  readonly maxAgeMs: number;
  readonly usableState: UsableState | undefined;
}

/**
 * The nearest ancestor of the damaged head that can be read with all it stands on, the states of subgraphs included.
 * Where the way from parent to parent is broken off, that before it in time.
 *
 * @throws CheckpointCorruptError, the one given, with the reason why nothing is gone back to
 */
export async function wayBack(
  graph: RunnableGraph,
  ref: ThreadRef,
  damage: CheckpointCorruptError,
  { maxAgeMs, usableState }: WayBackOptions,
): Promise<WentBack> {
  const damaged = [damage.place];
  const met = new Set<string>();
  let at = positionOf(damage, await graph.checkpointer.getTuple(root(ref)).catch(ifDamage));
  for (;;) {
    met.add(at.checkpointId);
    const checkpointId = await before(graph, ref, at, met);
    if (checkpointId === undefined) throw given(damage, "no checkpoint before it is sound");
    const found = await soundAt(graph, ref, checkpointId, usableState);
    if (!isDamage(found)) {
      const ageMs = Math.max(0, systemClock.now() - Date.parse(found.createdAt ?? ""));
      // An unknown age is no young one.
      if (Number.isFinite(maxAgeMs) && !(ageMs <= maxAgeMs))
        throw given(
          damage,
          `the last sound checkpoint, ${checkpointId}, is ${minutes(ageMs)} old, and it is not gone back further than ${minutes(maxAgeMs)} unless told so`,
        );
      return { damaged, checkpointId, step: found.metadata?.step ?? -1, ageMs };
    }
    damaged.push(found.place);
    at = positionOf(found, await graph.checkpointer.getTuple(root(ref, checkpointId)).catch(ifDamage), checkpointId);
  }
}

/** A checkpoint that may be damaged, and the one that it says it came from. */
export interface Position {
  readonly checkpointId: string;
  readonly parentId: string | undefined;
}

type Read = Awaited<ReturnType<RunnableGraph["checkpointer"]["getTuple"]>>;

/** Where the search stands: a damage may be in an ancestor or a subgraph, and then the checkpoint itself can be read. */
export function positionOf(
  damage: CheckpointCorruptError,
  read: Read | CheckpointCorruptError,
  asked?: string,
): Position {
  if (isDamage(read)) return { checkpointId: read.place.checkpointId, parentId: read.place.parentId };
  if (read === undefined) return { checkpointId: asked ?? damage.place.checkpointId, parentId: undefined };
  return { checkpointId: read.checkpoint.id, parentId: read.parentConfig?.configurable?.checkpoint_id };
}

export function ifDamage(error: unknown): CheckpointCorruptError {
  if (isDamage(error)) return error;
  throw error;
}

/** The parent, if it is there; else the newest of those older than this one. */
export async function before(
  graph: RunnableGraph,
  ref: Pick<ThreadRef, "threadId">,
  { checkpointId, parentId }: Position,
  met: ReadonlySet<string>,
): Promise<string | undefined> {
  if (parentId !== undefined && !met.has(parentId)) {
    const parent = await graph.checkpointer.getTuple(root(ref, parentId)).catch(ifDamage);
    if (parent !== undefined) return parentId;
  }
  const older = { before: root(ref, checkpointId), limit: 1 };
  try {
    for await (const tuple of graph.checkpointer.list(root(ref), older)) return tuple.checkpoint.id;
  } catch (error) {
    const { place } = ifDamage(error);
    return met.has(place.checkpointId) ? undefined : place.checkpointId;
  }
  return undefined;
}

/** Its state, or the damage that is met on reading it. */
async function soundAt(
  graph: RunnableGraph,
  ref: ThreadRef,
  checkpointId: string,
  usableState: UsableState | undefined,
): Promise<StateSnapshot | CheckpointCorruptError> {
  try {
    const snapshot = await graph.getState(root(ref, checkpointId), { subgraphs: true });
    return unusableState(snapshot, ref, usableState) ?? snapshot;
  } catch (error) {
    return ifDamage(error);
  }
}

export function root({ threadId }: Pick<ThreadRef, "threadId">, checkpointId?: string) {
  return {
    configurable: {
      thread_id: threadId,
      checkpoint_ns: "",
      ...(checkpointId === undefined ? {} : { checkpoint_id: checkpointId }),
    },
  };
}

function given({ place, why }: CheckpointCorruptError, also: string): CheckpointCorruptError {
  return new CheckpointCorruptError(place, `${why}; ${also}`);
}

function minutes(ms: number): string {
  return ms < 60_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
}
