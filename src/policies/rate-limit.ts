import { z } from "zod";
import type { Clock } from "../core/clock.js";
import { RateLimitedError } from "../errors/policy-errors.js";
import { createTokenBucket } from "./token-bucket.js";
import { createWaitQueue } from "./wait-queue.js";

/** Up to here amounts are counted exactly. */
const perMinute = z.int().min(1).max(1_000_000_000);

export const rateLimitSchema = z
  .strictObject({
    requestsPerMinute: perMinute.optional(),
    /** Tokens as the service counts them against its limit. */
    tokensPerMinute: perMinute.optional(),
    /**
     * How much may be used at once after a pause, as a share of a minute's requests and tokens, so that no minute sees
     * more than 1 + `burst` times the limit. The default, a whole minute's, is the bucket that Anthropic documents for
     * its own limits; its page warns that 60 a minute may be enforced as 1 a second, for which 1/60 is right
     * (https://platform.claude.com/docs/en/api/rate-limits).
     */
    burst: z.number().positive().max(1).default(1),
    /** Callers that may wait for room; 0 refuses whoever finds none. */
    maxQueue: z.int().min(0).default(1000),
    /** No caller waits longer, and none begins to wait that would have to. */
    queueTimeoutMs: z.number().min(0).default(30_000),
  })
  .refine((options) => options.requestsPerMinute !== undefined || options.tokensPerMinute !== undefined, {
    message: "a rate limit needs requestsPerMinute, tokensPerMinute or both",
  });

export type RateLimitOptions = z.input<typeof rateLimitSchema>;
export type RateLimitPolicy = z.output<typeof rateLimitSchema>;

export interface RateLimit {
  /** Callers that wait for room. */
  readonly queued: number;
  /** What could be used right now, of each limit that is set; below zero in debt. */
  readonly room: { readonly requests?: number; readonly tokens?: number };
  /**
   * Takes room for one request of about `tokens` tokens: at once, and then there is nothing to wait for, or when the
   * returned promise resolves. A request of more tokens than fit into a burst waits until the bucket is full, and those
   * behind it wait until it is paid for.
   *
   * @param tokens not negative; rounded up. 0 where nobody can tell: the request waits only while tokens are owed, and
   * {@link settle} makes it count
   * @returns undefined when the room is taken already
   * @throws (by rejection) RateLimitedError when the queue is full or there will be no room within `queueTimeoutMs`;
   * the signal's reason when it has aborted, or does while the caller waits
   * @throws RangeError when `tokens` is negative or not finite
   */
  acquire(tokens: number, signal?: AbortSignal): undefined | Promise<void>;
  /**
   * Corrects what {@link acquire} took once the real usage is known. What was used beyond the estimate is owed: a
   * caller in line who cannot be in time any more is refused when it comes first.
   *
   * @throws RangeError when a number is negative or not finite
   */
  settle(estimatedTokens: number, actualTokens: number): void;
  /**
   * Gives back what {@link acquire} took for a call that was never made.
   *
   * @throws RangeError when `tokens` is negative or not finite
   */
  refund(tokens: number): void;
}

interface Ticket {
  readonly tokens: number;
  readonly deadlineMs: number;
}

/**
 * Keeps the requests and tokens to one service within limits per minute: token buckets that refill evenly, and a queue
 * in which nobody overtakes. Over any span no more is let through than the burst (or the largest single request, if
 * that is more) and what flows in meanwhile.
 *
 * A caller is refused at once when its turn, after all who wait already, cannot come in time. For one limit that is known
 * to the millisecond a waiter; with both, the turn may be taken for earlier than it is, and then the refusal comes when
 * the caller is first in line, still within `queueTimeoutMs`.
 *
 * @param service whose limits they are, for messages
 */
export function createRateLimit(
  service: string,
  policy: RateLimitPolicy,
  { clock }: { readonly clock: Clock },
): RateLimit {
  const { maxQueue, queueTimeoutMs } = policy;
  const bucketOf = (limit: number | undefined) =>
    limit === undefined ? undefined : createTokenBucket(limit, policy.burst, clock.now());
  const requests = bucketOf(policy.requestsPerMinute);
  const tokens = bucketOf(policy.tokensPerMinute);
  let queuedTokens = 0;
  let callOffAlarm = (): void => undefined;
  const queue = createWaitQueue<Ticket>({
    onLeave: (ticket) => {
      queuedTokens -= ticket.tokens;
    },
    onAbort: serve,
  });

  function waitMs(amount: number, nowMs: number): number {
    return Math.max(requests?.waitMs(1, nowMs) ?? 0, tokens?.waitMs(amount, nowMs) ?? 0);
  }

  /** When the last in line would get its turn, at the earliest. */
  function waitInLineMs(amount: number, nowMs: number): number {
    if (queue.first === undefined) return waitMs(amount, nowMs);
    const head = queue.first.ticket.tokens;
    const headMs = waitMs(head, nowMs);
    return Math.max(
      requests?.waitBehindMs(1, 1, headMs, queue.length - 1, nowMs) ?? 0,
      tokens?.waitBehindMs(amount, head, headMs, queuedTokens - head, nowMs) ?? 0,
    );
  }

  function take(amount: number, nowMs: number): void {
    requests?.take(1, nowMs);
    tokens?.take(amount, nowMs);
  }

  /** Lets go on whoever can, and sets the one alarm for whoever is first then. */
  function serve(): void {
    callOffAlarm();
    const nowMs = clock.now();
    for (let head = queue.first; head !== undefined; head = queue.first) {
      const { tokens: amount, deadlineMs } = head.ticket;
      const headMs = waitMs(amount, nowMs);
      if (headMs === 0) {
        if (head.admit()) take(amount, nowMs);
      } else if (nowMs + headMs > deadlineMs) {
        head.refuse(tooLate(headMs));
      } else {
        callOffAlarm = clock.after(headMs, serve);
        return;
      }
    }
  }

  function tooLate(roomInMs: number): RateLimitedError {
    return new RateLimitedError(service, `a turn would come after queueTimeoutMs (${queueTimeoutMs} ms)`, roomInMs);
  }

  return {
    get queued() {
      return queue.length;
    },
    get room() {
      const nowMs = clock.now();
      return {
        ...(requests === undefined ? {} : { requests: requests.levelAt(nowMs) }),
        ...(tokens === undefined ? {} : { tokens: tokens.levelAt(nowMs) }),
      };
    },
    acquire(estimated, signal) {
      const amount = whole(service, estimated);
      if (signal?.aborted) return Promise.reject(signal.reason);
      const nowMs = clock.now();
      if (queue.length === 0 && waitMs(amount, nowMs) === 0) {
        take(amount, nowMs);
        return undefined;
      }
      const roomInMs = waitInLineMs(amount, nowMs);
      if (queue.length >= maxQueue) {
        return Promise.reject(new RateLimitedError(service, `${maxQueue} callers (maxQueue) wait already`, roomInMs));
      }
      if (roomInMs > queueTimeoutMs) return Promise.reject(tooLate(roomInMs));
      const { turn } = queue.join({ tokens: amount, deadlineMs: nowMs + queueTimeoutMs }, signal);
      queuedTokens += amount;
      if (queue.length === 1) callOffAlarm = clock.after(roomInMs, serve);
      return turn;
    },
    settle(estimatedTokens, actualTokens) {
      const more = whole(service, actualTokens) - whole(service, estimatedTokens);
      tokens?.take(more, clock.now());
      if (queue.length > 0) serve();
    },
    refund(unused) {
      const amount = whole(service, unused);
      const nowMs = clock.now();
      requests?.take(-1, nowMs);
      tokens?.take(-amount, nowMs);
      if (queue.length > 0) serve();
    },
  };
}

/** One wrong number would spoil the count for good. */
function whole(service: string, tokens: number): number {
  if (tokens >= 0 && tokens < Number.POSITIVE_INFINITY) return Math.ceil(tokens);
  throw new RangeError(`Rate limit "${service}": ${tokens} tokens cannot be counted; give a number from 0 up`);
}
