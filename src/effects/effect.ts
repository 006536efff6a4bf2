/** What an effect is, as its author says it and as it is performed. */
import type { EffectKind, StoredEffect } from "../core/effect-ports.js";
import type { ErrorReport } from "../errors/report.js";

/** What each call to the outside world is told. */
export interface EffectCall {
  /** The same for every repetition of this effect, and for no other. Hand it to the service, if it takes one. */
  readonly idempotencyKey: string;
  /** Aborts when the call's time is up, or the step was given up on. */
  readonly signal: AbortSignal;
}

/** What a probe found out. `unknown`: it could not tell either, and a person has to. */
export type ProbeAnswer<O> =
  | { readonly happened: true; readonly receipt: O }
  | { readonly happened: false }
  | { readonly happened: "unknown" };

/**
 * What is done when a branch of the thread comes to an effect that the branch it left has done already. `reuse`: its
 * receipt is given, if the input is the same. `rerun`: it is done again. `forbid`: a person decides.
 */
export const ON_FORK = ["reuse", "rerun", "forbid"] as const;
export type OnFork = (typeof ON_FORK)[number];

/** An effect as `performEffect` needs it. */
export interface Effect {
  readonly name: string;
  readonly kind: EffectKind;
  readonly onFork: OnFork;
  run(input: unknown, call: EffectCall): unknown;
  readonly probe?: ((input: unknown, call: EffectCall) => unknown) | undefined;
  /** Whether a failure says for certain that nothing happened; undefined: it is told by the error. */
  readonly notDone?: ((report: ErrorReport, error: unknown) => boolean | undefined) | undefined;
}

/** Whether it may have left something in the outside world. */
export function mayStand({ state }: StoredEffect): boolean {
  return state !== "failed" && state !== "intended" && state !== "compensated";
}

/** Whether a repetition with the same key does no harm. */
export function isRepeatable({ kind }: Pick<Effect, "kind">): boolean {
  return kind === "idempotent" || kind === "read";
}
