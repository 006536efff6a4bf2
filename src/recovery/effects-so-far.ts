/** What a thread did to the outside world, as a person who decides is shown it. */
import type { EffectScope, EffectState, StoredEffect } from "../core/effect-ports.js";
import type { FailureRecord } from "../core/records.js";
import { redact } from "../core/redact.js";

/** Of a thread with more, the newest. */
const maxShown = 20;

export interface ShownEffect {
  readonly effect: string;
  readonly state: EffectState;
  /** The nodes around and the node that did it: `outer/inner`. */
  readonly node: string;
  /** The beginning of the key, enough to settle it by. */
  readonly key: string;
  /** Of its last change, ISO 8601. */
  readonly at: string;
  /** Secrets hidden, long values shortened. */
  readonly receipt?: unknown;
}

/** @param entries of the thread, in the order of intent */
export function shownEffects(entries: readonly StoredEffect[]): ShownEffect[] {
  return entries.slice(-maxShown).map((entry) => ({
    effect: entry.effect,
    state: entry.state,
    node: nodePath(entry),
    key: shortKey(entry.key),
    at: new Date(effectTimeMs(entry)).toISOString(),
    ...(entry.receipt === undefined ? {} : { receipt: redact(entry.receipt, { maxText: 200, maxItems: 10 }) }),
  }));
}

/** Effects of the step that may have happened, and that a repetition with the same key would not make certain. */
export function openEffects(failure: FailureRecord, entries: readonly StoredEffect[]): readonly StoredEffect[] {
  const { scope } = failure;
  if (scope === undefined) return [];
  return entries.filter(
    (entry) => entry.state === "unknown" && entry.kind !== "idempotent" && isWithin(entry.scope, scope),
  );
}

/** A graph that the step called has frames of its own beneath those of the step. */
export function isWithin(inner: EffectScope, outer: EffectScope): boolean {
  return outer.every((frame, depth) => {
    const own = inner[depth];
    return own?.taskId === frame.taskId && own.checkpointId === frame.checkpointId;
  });
}

export function shortKey(key: string): string {
  return key.slice(0, 12);
}

export function nodePath({ scope }: Pick<StoredEffect, "scope">): string {
  return scope.map(({ node }) => node).join("/");
}

/** Of its last change, in milliseconds since the Unix epoch. */
export function effectTimeMs({ intendedAt, dispatchedAt, settledAt, compensatedAt }: StoredEffect): number {
  return Math.max(intendedAt, dispatchedAt ?? 0, settledAt ?? 0, compensatedAt ?? 0);
}
