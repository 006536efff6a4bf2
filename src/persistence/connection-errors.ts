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
  if (exhaustedMessages.some((message) => messageOf(error).startsWith(message))) return false;
  return passingStates.has(codeOf(error)) || isConnectionLost(error);
}

/** Waits between tries, in milliseconds: long enough for a failover of the pooler, short beside a step of an agent. */
const retryDelaysMs = [50, 200, 800];

/** Repeats `work`, which must be idempotent, after a transient error. The last error is thrown as it came. */
export async function retryTransient<T>(work: () => Promise<T>, clock: Clock = systemClock): Promise<T> {
  for (const delayMs of retryDelaysMs) {
    try {
      return await work();
    } catch (error) {
      if (!isTransient(error)) throw error;
      await clock.sleep(delayMs);
    }
  }
  return await work();
}
