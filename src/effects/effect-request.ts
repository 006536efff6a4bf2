import type { Clock } from "../core/clock.js";
import type { EffectEntry, StoredEffect } from "../core/effect-ports.js";
import type { Effect } from "./effect.js";
import type { EffectIdentity } from "./effect-key.js";
import type { LedgerBook } from "./ledger-book.js";
import type { RunningEffects } from "./running-effects.js";

/** What the branches that this one left behind have of the same effect at the same place. */
export interface LeftBehind {
  /** The one whose turn it is here; none when all have had theirs. */
  readonly candidate?: StoredEffect;
  /** It belongs to this very step, which is run again under other names: its receipt counts whatever `onFork` says. */
  readonly isInherited: boolean;
  /** Whether there are more after it. */
  readonly isForked: boolean;
}

/** What a person says of it. */
export interface Verdict {
  readonly action: "approve" | "reject";
  readonly by: string;
  readonly reason?: string;
}

/** How a task asks about one of its effects. */
export interface Approval {
  readonly isNeeded: boolean;
  readonly task: string;
  /** The number that the task's next question will have. */
  next(): number;
  /** Counts the question of an effect that is not asked about again as one that the task has asked. */
  pass(entry: EffectEntry): void;
  /** @throws control flow where the answer that was given does not fit; the question stays open */
  verdict(entry: EffectEntry): Promise<Verdict | undefined>;
  /**
   * Asks, by ending the run. Resolves where it has to be looked anew whether there is an answer.
   *
   * @param entry with the number of the question noted
   */
  ask(entry: EffectEntry): Promise<void>;
  /** Says of the question that an answer is taken in. */
  taken(entry: EffectEntry, verdict: Verdict): Promise<void>;
  /** Says that the ledger has the answer. */
  decided(verdict: Verdict): void;
  /** Says of the question that it is answered for good; never rejects. */
  settle(entry: EffectEntry): Promise<void>;
}

/** All that `performEffect` needs to know of the call, the run and the process. */
export interface EffectRequest {
  readonly effect: Effect;
  readonly identity: EffectIdentity & { readonly key: string };
  /** JSON. */
  readonly input: unknown;
  readonly inputHash: string;
  readonly transaction?: string | undefined;
  /** Whether, and how, a person is asked before it is begun. */
  readonly approval: Approval;
  readonly book: LedgerBook;
  readonly running: RunningEffects;
  readonly clock: Clock;
  /** Aborts when the step was given up on. */
  readonly signal: AbortSignal;
  /** This process, for others to see whether it still runs. */
  readonly process: string;
  /** How long a call may take, in milliseconds: so long it is not taken for lost by another process. */
  readonly limitMs: number;
  /** Runs the work within the time of a call. */
  limited<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Whether it is another process than this one, and may still run. */
  isOtherAlive(process: string): boolean;
  /** Resolves when every checkpoint that the step stands on is stored. */
  durable(): Promise<void>;
  /**
   * Whether nothing of the same effect at the same place was left behind by this branch.
   *
   * @param newest the newest entry of it
   */
  wentStraightOn(newest: StoredEffect): Promise<boolean>;
  /** Otherwise: what was. */
  leftBehind(): Promise<LeftBehind>;
  /** Throws the question that another effect of the task has asked: nothing more of it is begun before the answer. */
  throwIfAsking(): void;
  /** Says that the attempt must not be repeated, nor a fallback be tried. */
  noteBegun(what: string): void;
  tell(
    type: "effect.dispatched" | "effect.confirmed" | "effect.failed" | "effect.unknown" | "effect.reused",
    entry: EffectEntry,
  ): void;
}

/** Somebody else has changed the entry between our look and our own change: it is to be looked at again. */
export class Overtaken extends Error {}

export function placeOf({ identity, effect }: EffectRequest, entry?: Pick<EffectEntry, "key">) {
  const { threadId, key } = identity;
  return { effect: effect.name, threadId, key: entry?.key ?? key };
}
