/** What a failed statement says about its connection, and whether the same statement may succeed a moment later. */
import { type Clock, systemClock } from "../core/clock.js";

const lostErrnos = new Set([
  "ECONNRESET",
  "ECONNREFUSED",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "ENETUNREACH",
  "EHOSTUNREACH",
  // The resolver's, of a server whose name is gone while it starts anew, as in a network of containers.
  "ENOTFOUND",
  "EAI_AGAIN",
]);

/** PostgreSQL appendix A: class 08 is connection exceptions, 57P01 to 57P05 are shutdowns and terminations. */
const lostStates = /^(08...|57P0[1-5])$/;

/** Serialization failure, deadlock, too many connections: the connection is sound, the statement may be repeated. */
const passingStates = new Set(["40001", "40P01", "53300"]);

/** node-postgres throws these as plain errors with nothing but a message. */
const lostMessages = [
  "Connection terminated",
  "Client has encountered a connection error and is not queryable",
  "Client was closed and is not queryable",
  "Query read timeout",
];

/** These have waited out a time limit already; waiting for another one would only hide a dead host for longer. */
const exhaustedMessages = [
  "timeout exceeded when trying to connect",
  "Connection terminated due to connection timeout",
  "Query read timeout",
];

function codeOf(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : "";
}

/** Whether the connection that reported this error is beyond use. */
export function isConnectionLost(error: unknown): boolean {
  const code = codeOf(error);
  if (lostErrnos.has(code) || lostStates.test(code)) return true;
  return lostMessages.some((message) => messageOf(error).startsWith(message));
}

/** Whether the same statement on another connection has a fair chance. */
export function isTransient(error: unknown): boolean {
  if (isPreparedStatementLost(error)) return false;
  if (exhaustedMessages.some((message) => messageOf(error).startsWith(message))) return false;
  return passingStates.has(codeOf(error)) || isConnectionLost(error);
}

/**
 * Whether the connection does not know a statement that was prepared on it: behind a pooler of the old kind the server's
 * connection may be another one by now (26000, 42P05, and 08P01 where another statement bears its name), or the tables
 * have changed since it was planned (0A000). The same statement without a name succeeds.
 */
export function isPreparedStatementLost(error: unknown): boolean {
  const code = codeOf(error);
  if (code === "26000" || code === "42P05") return true;
  if (code === "08P01") return /prepared statement/i.test(messageOf(error));
  return code === "0A000" && /cached plan/i.test(messageOf(error));
}

/** Waits between tries, in milliseconds, and how long to go on at all, counted from the first failure. */
const patiences = {
  /** Long enough for a failover of the pooler, soon enough to report a wrong address. */
  short: { delaysMs: [50, 200, 800], inAllMs: 2_000 },
  /** For a server that starts up again. */
  long: { delaysMs: [50, 100, 200, 400, 800, 1500, 2000, 2000, 2500, 2500, 2500], inAllMs: 15_000 },
} as const;

export interface Retrying {
  readonly clock?: Clock;
  /** Ends a wait at once. */
  readonly signal?: AbortSignal;
  /** Default "short": about 1 s in all; "long": about 15 s. */
  readonly patience?: keyof typeof patiences;
}

/** Repeats `work`, which must be idempotent, after a transient error. The last error is thrown as it came. */
export async function retryTransient<T>(work: () => Promise<T>, retrying: Retrying = {}): Promise<T> {
  let firstFailedAt: number | undefined;
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      const { clock = systemClock, signal, patience = "short" } = retrying;
      const { delaysMs, inAllMs } = patiences[patience];
      const delayMs = delaysMs[tries];
      if (delayMs === undefined || !isTransient(error)) throw error;
      firstFailedAt ??= clock.now();
      if (clock.now() - firstFailedAt + delayMs > inAllMs) throw error;
      await clock.sleep(delayMs, signal).catch(() => {
        throw error;
      });
    }
  }
}
