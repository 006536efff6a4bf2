import { classifyError } from "../errors/classify.js";
import { ConfigError } from "../errors/own-errors.js";
import type { ErrorReport } from "../errors/report.js";
import { protect } from "../policies/protect.js";
import type { ChannelPolicy } from "./channel-options.js";
import { DeliveryError } from "./delivery-error.js";
import type { Hide } from "./hidden.js";

/** One try to send; it ends when the signal aborts. */
export type Attempt = (signal: AbortSignal) => Promise<void>;

/** Where to, and what must not be said of it. */
export interface Receiver {
  /** For people; nothing secret. */
  readonly where: string;
  readonly hide: Hide;
}

/** A channel that stays down longer is tried by whoever sends the notice again. */
const MAX_DELAY_MS = 60_000;

/** Of the receiver's own mistakes these pass; RFC 9110, section 15.5.9, and RFC 6585, section 4. */
const PASSING = [408, 429];

/**
 * Sends by the policies of this package: attempts, waits, Retry-After, a limit for each attempt.
 *
 * @returns a function that rejects with a {@link DeliveryError}, with a ConfigError of ours, or with the signal's reason
 */
export function delivery(channel: string, receiver: Receiver, policy: ChannelPolicy) {
  const { attempts, timeoutMs, initialDelayMs, maxRetryAfterMs, clock } = policy;
  const isHopeless = ({ status, retryAfterMs }: ErrorReport) =>
    (status !== undefined && status < 500 && !PASSING.includes(status)) || (retryAfterMs ?? 0) > maxRetryAfterMs;
  const send = protect((attempt: Attempt, { signal }) => attempt(signal), {
    name: channel,
    clock,
    retry: {
      maxAttempts: attempts,
      initialDelayMs,
      maxDelayMs: MAX_DELAY_MS,
      maxElapsedMs: attempts * (timeoutMs + Math.max(maxRetryAfterMs, MAX_DELAY_MS)),
      retryOn: (report) => (isHopeless(report) ? false : undefined),
    },
    timeout: { baseMs: timeoutMs, maxMs: timeoutMs },
  });
  return async (attempt: Attempt, signal: AbortSignal): Promise<void> => {
    try {
      await send(attempt, { signal });
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ConfigError) throw error;
      const report = classifyError(error);
      throw new DeliveryError(channel, receiver.where, receiver.hide(report.message), report);
    }
  };
}
