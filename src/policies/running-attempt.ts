import type { Cancellation } from "../core/abort.js";
import type { AttemptRecord } from "../core/records.js";
import type { Liveness } from "./liveness.js";

/** One attempt while it is under way: what it is told, and what it tells. */
export interface RunningAttempt {
  /** 1 for the first. */
  readonly number: number;
  /** The failed attempts before this one, oldest first. */
  readonly failures: readonly AttemptRecord[];
  /** When the service was called, after every queue; ms since the Unix epoch. */
  calledAt?: number;
  /** Tokens it has used so far, where somebody counts them. */
  usedTokens?: number;
  /** Ends it, and knows what it has begun; set once it runs. */
  scope?: Cancellation;
  liveness?: Liveness | undefined;
  /** Set once it has failed: what parts of it still do no longer counts. */
  hasFailed?: boolean;
}
