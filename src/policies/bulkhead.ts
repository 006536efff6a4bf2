import { z } from "zod";
import type { Clock } from "../core/clock.js";
import { BulkheadFullError } from "../errors/policy-errors.js";
import { createWaitQueue } from "./wait-queue.js";

export const bulkheadSchema = z.strictObject({
  /** Calls in flight at the same time. */
  maxConcurrent: z.int().min(1).default(10),
  /** Callers that may wait for a slot; 0 refuses whoever finds none free. */
  maxQueue: z.int().min(0).default(100),
  /** How long a caller waits for a slot. */
  queueTimeoutMs: z.number().min(0).default(30_000),
});

export type BulkheadOptions = z.input<typeof bulkheadSchema>;
export type BulkheadPolicy = z.output<typeof bulkheadSchema>;

export interface Bulkhead {
  /** Slots taken, those included that were handed over a moment ago. */
  readonly inFlight: number;
  /** Callers that wait for a slot. */
  readonly queued: number;
  /**
   * Takes a slot: at once, and then there is nothing to wait for, or when the returned promise resolves. A caller that
   * was given one gives it back with {@link release}, also when its signal aborts right after.
   *
   * @returns undefined when the slot is taken already
   * @throws (by rejection) BulkheadFullError when the queue is full, or no slot came free within `queueTimeoutMs`; the
   * signal's reason when it has aborted, or does while the caller waits
   */
  acquire(signal?: AbortSignal): undefined | Promise<void>;
  /**
   * Gives a slot back. It goes to whoever has waited longest, and is never free in between, so that nobody overtakes.
   *
   * @throws RangeError when no slot is taken. A second release by one caller goes unnoticed while others hold slots.
   */
  release(): void;
}

/**
 * Bounds the calls in flight to one service, so that a slow one cannot take up all there is.
 *
 * The term is from Michael Nygard, "Release It!", 2007.
 *
 * @param service whose slots they are, for messages
 */
export function createBulkhead(
  service: string,
  policy: BulkheadPolicy,
  { clock }: { readonly clock: Clock },
): Bulkhead {
  const { maxConcurrent, maxQueue, queueTimeoutMs } = policy;
  const queue = createWaitQueue<{ callOff: () => void }>({ onLeave: (alarm) => alarm.callOff() });
  let inFlight = 0;

  function wait(signal: AbortSignal | undefined): Promise<void> {
    const alarm = { callOff: (): void => undefined };
    const waiter = queue.join(alarm, signal);
    alarm.callOff = clock.after(queueTimeoutMs, () =>
      waiter.refuse(new BulkheadFullError(service, `none of ${maxConcurrent} came free within ${queueTimeoutMs} ms`)),
    );
    return waiter.turn;
  }

  return {
    get inFlight() {
      return inFlight;
    },
    get queued() {
      return queue.length;
    },
    acquire(signal) {
      if (signal?.aborted) return Promise.reject(signal.reason);
      // A slot is free only when nobody waits: release hands it over.
      if (inFlight < maxConcurrent) {
        inFlight += 1;
        return undefined;
      }
      if (queue.length < maxQueue) return wait(signal);
      const why = `all ${maxConcurrent} are taken and ${maxQueue} callers wait already; ask later, or raise maxConcurrent or maxQueue`;
      return Promise.reject(new BulkheadFullError(service, why));
    },
    release() {
      if (inFlight === 0) {
        throw new RangeError(
          `Bulkhead "${service}": release() while no slot is taken; call it once for each slot that was given`,
        );
      }
      while (queue.first !== undefined) {
        if (queue.first.admit()) return;
      }
      inFlight -= 1;
    },
  };
}
