import { z } from "zod";
import { linkAbort, rejectOnAbort } from "../core/abort.js";
import type { Clock } from "../core/clock.js";
import { AttemptTimeoutError } from "../errors/own-errors.js";

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
    /** Limit over all attempts, waits and fallbacks together; none by default. */
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
  const factor = { ...TASK_FACTORS, ...policy.taskFactors }[policy.taskType] ?? 1;
  return Math.min(policy.maxMs, policy.baseMs * factor * 2 ** (number - 1));
}

/**
 * Runs `work` with a signal of its own and at most `limitMs` milliseconds. The loser is told to stop by its signal; if
 * it does not listen, its late result is dropped.
 *
 * @throws AttemptTimeoutError after `limitMs`; the outer signal's reason as soon as that aborts
 */
export async function withTimeLimit<T>(
  work: (signal: AbortSignal) => Promise<T>,
  limitMs: number | undefined,
  what: string,
  clock: Clock,
  outer?: AbortSignal,
): Promise<T> {
  const scope = linkAbort(outer);
  const aborted = rejectOnAbort(scope.signal);
  const timer = new AbortController();
  if (limitMs !== undefined) {
    clock.sleep(limitMs, timer.signal).then(
      () => scope.abort(new AttemptTimeoutError(what, limitMs)),
      () => undefined,
    );
  }
  try {
    if (scope.signal.aborted) return await aborted.promise;
    return await Promise.race([work(scope.signal), aborted.promise]);
  } catch (error) {
    // Work that hears its signal often fails with an AbortError of its own before the race is settled.
    throw scope.signal.aborted ? scope.signal.reason : error;
  } finally {
    timer.abort();
    aborted.dispose();
    scope.dispose();
  }
}
