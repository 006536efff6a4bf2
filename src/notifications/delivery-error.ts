import { ResilienceError } from "../errors/own-errors.js";
import type { ErrorReport } from "../errors/report.js";

/**
 * A channel has not told anybody. Made anew from what is known of the failure, and without a cause: errors of mail and
 * HTTP clients may hold addresses and logins.
 */
export class DeliveryError extends ResilienceError {
  readonly category: string;
  /** Whether it may work later. */
  readonly retryable: boolean;
  /** What the receiver asked for. */
  readonly retryAfterMs?: number;

  /** @param where the receiver, without anything secret */
  constructor(channel: string, where: string, message: string, report: ErrorReport) {
    const { category, retryable, status, retryAfterMs } = report;
    super("DELIVERY_FAILED", `Channel "${channel}" did not reach ${where} (${category}): ${message}`, {
      details: { channel, where, ...(status === undefined ? {} : { status }) },
    });
    this.category = category;
    this.retryable = retryable;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
  }
}
