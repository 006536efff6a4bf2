import type { Cancellation } from "../core/abort.js";
import type { Clock } from "../core/clock.js";
import { AttemptTimeoutError } from "../errors/own-errors.js";
import type { TimeoutPolicy } from "./timeout.js";

/** Watches an attempt for signs of life. */
export interface Liveness {
  /** A sign of life: a token, a chunk, a heartbeat. Cheap enough for each token: it sets no timer. */
  beat(): void;
  /** Ends the watch. */
  stop(): void;
}

/**
 * Aborts the attempt when its first sign of life does not come within `firstTokenMs`, or a further one within `idleMs`
 * of the last.
 *
 * @returns undefined when the policy sets neither limit
 */
export function watchLiveness(
  policy: TimeoutPolicy,
  what: () => string,
  scope: Cancellation,
  clock: Clock,
): Liveness | undefined {
  const { firstTokenMs, idleMs } = policy;
  if (firstTokenMs === undefined && idleMs === undefined) return undefined;
  let lastBeatAt: number | undefined;
  let callOff: (() => void) | undefined;
  const expectBeatWithin = (ms: number) => {
    callOff = clock.after(ms, () => {
      if (lastBeatAt === undefined && firstTokenMs !== undefined) {
        scope.abort(new AttemptTimeoutError(what(), firstTokenMs, { kind: "first_token" }));
        return;
      }
      if (idleMs === undefined) return;
      const leftMs = (lastBeatAt ?? startedAt) + idleMs - clock.now();
      if (leftMs > 0) expectBeatWithin(leftMs);
      else scope.abort(new AttemptTimeoutError(what(), idleMs, { kind: "idle" }));
    });
  };
  const startedAt = clock.now();
  expectBeatWithin(firstTokenMs ?? idleMs ?? 0);
  return {
    beat() {
      const first = lastBeatAt === undefined;
      lastBeatAt = clock.now();
      if (!first || firstTokenMs === undefined) return;
      callOff?.();
      if (idleMs !== undefined) expectBeatWithin(idleMs);
    },
    stop() {
      callOff?.();
      // A beat of an attempt that has ended must not set the watch again.
      lastBeatAt ??= startedAt;
    },
  };
}
