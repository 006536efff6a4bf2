import { z } from "zod";
import { Cancellation } from "../core/abort.js";
import type { Clock } from "../core/clock.js";

/** How much longer than the base a kind of task may take. */
const TASK_FACTORS: Readonly<Record<string, number>> = { default: 1, embedding: 1.5, reasoning: 2 };

export const timeoutSchema = z
  .strictObject({
    /** Limit of the first attempt of a "default" task; each further attempt gets twice as long. */
    baseMs: z.number().positive().default(30_000),
    /** "default", "embedding" (× 1.5), "reasoning" (× 2), or a key of `taskFactors`. */
    taskType: z.string().default("default"),
    taskFactors: z.record(z.string(), z.number().positive()).default({}),
    /** Cap of one attempt. */
    maxMs: z.number().positive().default(300_000),
    /** Until the first sign of life of an attempt (a token, a chunk written, a heartbeat); none by default. */
    firstTokenMs: z.number().positive().optional(),
    /** Between two signs of life; none by default. */
    idleMs: z.number().positive().optional(),
    /** Limit over all attempts, waits and fallbacks together; none by default. What runs within inherits it. */
    deadlineMs: z.number().positive().optional(),
  })
  .superRefine((options, context) => {
    const known = { ...TASK_FACTORS, ...options.taskFactors };
    if (!Object.hasOwn(known, options.taskType)) {
      context.addIssue({
        code: "custom",
        path: ["taskType"],
        message: `must be one of ${Object.keys(known).join(", ")}`,
      });
    }
  });

export type TimeoutOptions = z.input<typeof timeoutSchema>;
export type TimeoutPolicy = z.output<typeof timeoutSchema>;

/** The limit of attempt `number` (1 = first) in milliseconds: base × task factor, doubled per attempt, at most `maxMs`. */
export function attemptTimeoutMs(policy: TimeoutPolicy, number: number): number {
  const factor = policy.taskFactors[policy.taskType] ?? TASK_FACTORS[policy.taskType] ?? 1;
  return Math.min(policy.maxMs, policy.baseMs * factor * 2 ** (number - 1));
}

export interface TimeLimit {
  readonly limitMs?: number | undefined;
  /** The reason the work is aborted with when its time is up. */
  readonly onLimit: () => Error;
  readonly clock: Clock;
  readonly outer?: AbortSignal | undefined;
  /** The work that this is part of; default the one that `outer` belongs to. */
  readonly within?: Cancellation | undefined;
  /** The service that the work has been admitted to. */
  readonly holds?: object | undefined;
  /** The limit is a deadline that everything within has to keep. */
  readonly inherited?: boolean;
}

/**
 * Runs `work` in a cancellation of its own and for at most `limitMs` milliseconds. The loser is told to stop by its
 * signal; if it does not listen, its late result is dropped.
 *
 * @throws what `onLimit` makes, after `limitMs`; the outer signal's reason as soon as that aborts
 */
export function withTimeLimit<T>(work: (scope: Cancellation) => Promise<T>, limit: TimeLimit): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const { limitMs, clock, outer, within, holds } = limit;
    let callOff: (() => void) | undefined;
    const deadlineAt = limit.inherited === true && limitMs !== undefined ? clock.now() + limitMs : undefined;
    const scope = new Cancellation({
      outer,
      ...(within === undefined ? {} : { within }),
      holds,
      deadlineAt,
      onAbort: (reason) => {
        callOff?.();
        reject(reason);
      },
    });
    if (scope.aborted) return;
    if (limitMs !== undefined) callOff = clock.after(limitMs, () => scope.abort(limit.onLimit()));
    const end = () => {
      callOff?.();
      scope.dispose();
    };
    work(scope).then(
      (value) => {
        end();
        resolve(value);
      },
      (error: unknown) => {
        end();
        // Work that hears its signal often fails with an AbortError of its own before the abort is heard here.
        reject(scope.aborted ? scope.reason : error);
      },
    );
  });
}
