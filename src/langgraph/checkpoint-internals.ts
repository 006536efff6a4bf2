/** What LangGraph keeps with a checkpoint beneath what it documents; see internals.ts. */
import { isDeepStrictEqual } from "node:util";

type PendingWrites = readonly (readonly [taskId: string, channel: string, value: unknown])[];

const NOT_OUTPUT: readonly string[] = ["__error__", "__error_source_node__", "__interrupt__", "__resume__"];

/** Whether a task of a checkpoint has failed. */
export function hasFailure(pendingWrites: PendingWrites): boolean {
  return pendingWrites.some(([, channel]) => channel === "__error__");
}

/** Whether a task of a checkpoint has asked something. */
export function hasInterrupt(pendingWrites: PendingWrites): boolean {
  return pendingWrites.some(([, channel]) => channel === "__interrupt__");
}

/** What the tasks of a checkpoint have asked. Assumption: one pending write a task, with a list of `{ id, value }`. */
export function interruptsOf(
  pendingWrites: PendingWrites,
): readonly { readonly taskId: string; readonly value: unknown }[] {
  return pendingWrites
    .filter(([, channel]) => channel === "__interrupt__")
    .flatMap(([taskId, , asked]) =>
      (Array.isArray(asked) ? asked : [asked]).map((one: { value?: unknown } | null) => ({
        taskId,
        value: one?.value,
      })),
    );
}

/** Whether a person has ended the run here. Assumption: a task's error is a pending write, with name and message. */
export function wasAborted(pendingWrites: PendingWrites): boolean {
  return pendingWrites.some(
    ([, channel, error]) => channel === "__error__" && (error as { name?: unknown } | null)?.name === "RunAbortedError",
  );
}

/**
 * How many questions of each task of a checkpoint were answered, although the task did not end. Assumption: the answers
 * of a task are one pending write, a list of them.
 */
export function answersOf(pendingWrites: PendingWrites): ReadonlyMap<string, number> {
  const answers = pendingWrites.filter(([, channel]) => channel === "__resume__");
  return new Map(answers.map(([taskId, , value]) => [taskId, Array.isArray(value) ? value.length : 1]));
}

/**
 * The tasks of a checkpoint that have answered already, although others of their superstep have not.
 * Assumption: a task is done when it has a pending write that is neither an error, an interrupt nor an answer to one.
 */
export function finishedTasks(pendingWrites: PendingWrites): ReadonlySet<string> {
  return new Set(pendingWrites.filter(([, channel]) => !NOT_OUTPUT.includes(channel)).map(([taskId]) => taskId));
}

interface RunCheckpoint {
  readonly channel_values: Record<string, unknown>;
  readonly versions_seen: Record<string, unknown>;
}

/** What a checkpoint sends to nodes beside what its channels trigger. Assumption: it lies in a channel of its own. */
export function sendsOf({
  channel_values,
}: Pick<RunCheckpoint, "channel_values">): readonly { readonly node: string; readonly args: unknown }[] {
  const sent = channel_values.__pregel_tasks;
  return Array.isArray(sent) ? sent : [];
}

/** Not nodes: what LangGraph notes beside them. */
const NOT_NODES: readonly string[] = ["__interrupt__", "__input__", "__error__"];

/**
 * Nodes that a checkpoint has run on the way to the next one. Assumption: the next one has noted what each of them saw,
 * but for those that something was sent to.
 */
export function nodesBetween(checkpoint: RunCheckpoint, next: RunCheckpoint): readonly string[] {
  const noted = Object.entries(next.versions_seen)
    .filter(([node, seen]) => !NOT_NODES.includes(node) && !isDeepStrictEqual(seen, checkpoint.versions_seen[node]))
    .map(([node]) => node);
  return [...new Set([...noted, ...sendsOf(checkpoint).map(({ node }) => node)])];
}
